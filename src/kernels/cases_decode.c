/* Cases of the decoding step of one head: tails from one token to a full one, with and
   without the fold, odd widths, every row normaliser that has a recurrent form, and
   states in halves, which are made before the call and undone behind it. */
#include "kernels/cases.h"

#include "kernels/halves.h"

#include <math.h>

typedef struct decode_shape {
    size_t dk, dv, tail;
    double gamma;
    rn_row_norm norm;
    bool fold, only_fold, halves;
} decode_shape;

enum { MOST_IN_HALVES = 64 * 128 };

static const decode_shape shapes[] = {
    {1, 1, 1, 1.0, RN_ROW_NORM_NONE, false, false, false},
    {4, 10, 3, 0.9, RN_ROW_NORM_DECAY, false, false, false},
    {20, 33, 16, 0.99, RN_ROW_NORM_PAPER, true, false, false},
    {7, 100, 5, 1.0 - 0x1p-20, RN_ROW_NORM_NONE, true, true, false},
    {70, 130, 2, 0.5, RN_ROW_NORM_PAPER, false, false, false},
    {64, 128, 16, 0.96875, RN_ROW_NORM_DECAY, true, false, false},
    {5, 16, 0, 0.9, RN_ROW_NORM_NONE, true, true, false},
    {1, 16, 1, 0.9, RN_ROW_NORM_NONE, false, false, true},
    {30, 48, 7, 0.99, RN_ROW_NORM_DECAY, false, false, true},
    {64, 128, 16, 0.96875, RN_ROW_NORM_PAPER, true, false, true},
    {9, 80, 3, 1.0 - 0x1p-20, RN_ROW_NORM_NONE, true, true, true},
    {256, 512, 9, 0.99, RN_ROW_NORM_NONE, false, false, false},
};

#define COUNT (sizeof shapes / sizeof *shapes)

static void declare(rn_case *c)
{
    const decode_shape *s = &shapes[c->index];
    rn_case_shape(c, "dk %zu, dv %zu, tail %zu%s%s", s->dk, s->dv, s->tail,
                  s->only_fold ? ", fold alone"
                  : s->fold    ? ", fold"
                               : "",
                  s->halves ? ", halves" : "");
    if (s->only_fold) {
        rn_case_absent(c);
        rn_case_absent(c);
    } else {
        rn_case_floats(c, "o", s->dv, RN_CASE_OUT, 0);
        rn_case_floats(c, "q", s->dk, RN_CASE_IN, 0.5);
    }
    rn_case_role role = s->fold ? RN_CASE_INOUT : RN_CASE_IN;
    rn_case_floats(c, "state", s->dk * s->dv, role, 1.0);
    if (s->norm == RN_ROW_NORM_PAPER) rn_case_floats(c, "z", s->dk, role, 1.0);
    else rn_case_absent(c);
    rn_case_floats(c, "keys", s->tail * s->dk, RN_CASE_IN, 0.5);
    rn_case_floats(c, "values", s->tail * s->dv, RN_CASE_IN, 1.0);
    c->flops = 2.0 * (double)(s->dk * s->dv);
}

static void run(const rn_case *c, rn_exec *x)
{
    const decode_shape *s = &shapes[c->index];
    uint16_t spare[MOST_IN_HALVES];
    if (s->halves) rn_halves_split(rn_case_f32(c, 2), s->dk * s->dv, spare);
    rn_decode d = {.dk = s->dk,
                   .dv = s->dv,
                   .tail = s->tail,
                   .log_decay = (float)log(s->gamma),
                   .norm = s->norm,
                   .seen = 40,
                   .fold = s->fold,
                   .halves = s->halves};
    x->k.retention_decode(x, &d, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2),
                          rn_case_f32(c, 3), rn_case_f32(c, 4), rn_case_f32(c, 5));
    if (s->halves) rn_halves_join(rn_case_f32(c, 2), s->dk * s->dv, spare);
}

const rn_case_kind rn_case_retention_decode = {COUNT, declare, NULL, run};
