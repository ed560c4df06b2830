/* Cases of retention: packed sequences of different lengths (some empty), shared key
   heads, odd widths, chunks that do not divide, every row normaliser, decays per head and
   per token, with and without states, padded rows. */
#include "kernels/cases.h"

#include <math.h>

typedef struct retention_shape {
    size_t length[RN_CASE_SEQUENCES]; /* ends with the first NONE */
    size_t heads, kv_heads, dk, dv, chunk, gap;
    rn_row_norm norm;
    bool token_decay, state, seen;
} retention_shape;

#define NONE SIZE_MAX

static const retention_shape shapes[] = {
    {{0, NONE}, 1, 1, 4, 4, 0, 0, RN_ROW_NORM_NONE, false, true, false},
    {{1, NONE}, 1, 1, 1, 1, 0, 0, RN_ROW_NORM_DECAY, false, true, true},
    {{5, 0, 9, NONE}, 2, 1, 6, 10, 4, 3, RN_ROW_NORM_NONE, true, true, false},
    {{17, 3, NONE}, 4, 2, 20, 33, 8, 0, RN_ROW_NORM_PAPER, false, true, true},
    {{70, NONE}, 2, 2, 16, 40, 64, 0, RN_ROW_NORM_DECAY, false, true, true},
    {{65, 130, NONE}, 1, 1, 35, 19, 0, 2, RN_ROW_NORM_TORCHSCALE, false, false, false},
    {{150, 1, 0, 64, NONE}, 2, 2, 24, 48, 48, 0, RN_ROW_NORM_DECAY, false, false, false},
    {{200, 77, NONE}, 3, 3, 32, 64, 128, 5, RN_ROW_NORM_NONE, true, true, false},
    {{129, 128, NONE}, 2, 1, 64, 96, 64, 0, RN_ROW_NORM_PAPER, false, false, false},
    {{2048, NONE}, 4, 4, 64, 128, 128, 0, RN_ROW_NORM_DECAY, false, true, false},
};

#define COUNT (sizeof shapes / sizeof *shapes)

static size_t sequences(const retention_shape *s)
{
    size_t batch = 0;
    while (batch < RN_CASE_SEQUENCES && s->length[batch] != NONE) batch++;
    return batch;
}

static size_t token_count(const retention_shape *s)
{
    size_t total = 0;
    for (size_t b = 0; b < sequences(s); b++) total += s->length[b];
    return total;
}

/* Floats of `rows` rows of `width` with the shape's gap between them. */
static size_t padded(const retention_shape *s, size_t width)
{
    size_t rows = token_count(s);
    return rows ? rows * (width + s->gap) - s->gap : 0;
}

static size_t state_floats(const retention_shape *s)
{
    return sequences(s) * s->heads * s->dk * s->dv;
}

static bool has_z(const retention_shape *s)
{
    return s->state && s->norm == RN_ROW_NORM_PAPER;
}

static void describe(rn_case *c, const retention_shape *s)
{
    static const char *const norms[] = {"none", "decay", "paper", "torchscale"};
    rn_case_shape(c, "T %zu in %zu, H %zu/%zu, dk %zu, dv %zu, chunk %zu, %s%s",
                  token_count(s), sequences(s), s->heads, s->kv_heads, s->dk, s->dv,
                  s->chunk, norms[s->norm], s->token_decay ? ", gated" : "");
    c->scratch = rn_retention_scratch(s->dk, s->dv);
}

/* Multiply-adds that the chunkwise form cannot do without, of `sweeps` sweeps: scores and
   values over the causal half of each chunk, read and update of the state. */
static double chunk_flops(const retention_shape *s, double sweeps)
{
    double width = (double)(s->dk + s->dv), state = (double)(s->dk * s->dv);
    double chunk = s->chunk ? (double)s->chunk : (double)token_count(s);
    double token = (chunk + 1.0) * width + 4.0 * state;
    return sweeps * (double)(token_count(s) * s->heads) * token;
}

static void add_queries(rn_case *c, const retention_shape *s)
{
    rn_case_floats(c, "q", padded(s, s->heads * s->dk), RN_CASE_IN, 0.5);
    rn_case_floats(c, "k", padded(s, s->kv_heads * s->dk), RN_CASE_IN, 0.5);
    rn_case_floats(c, "v", padded(s, s->kv_heads * s->dv), RN_CASE_IN, 1.0);
}

static void add_decays(rn_case *c, const retention_shape *s)
{
    size_t count = s->heads * (s->token_decay ? token_count(s) : 1);
    rn_case_floats(c, "log_decay", count, RN_CASE_IN, 0.3);
}

/* Heads forget at rates between every few tokens and hardly ever; one never does. */
static void set_decays(const retention_shape *s, float *log_decay)
{
    size_t count = s->heads * (s->token_decay ? token_count(s) : 1);
    for (size_t i = 0; i < count; i++) {
        double gamma = 1.0 - pow(2.0, -2.0 - 2.0 * (double)(i % s->heads));
        log_decay[i] = s->token_decay ? -fabsf(log_decay[i]) : (float)log(gamma);
    }
    if (s->heads > 2) log_decay[s->heads - 1] = 0.0f;
}

static void set_sequences(rn_case *c, const retention_shape *s, size_t state, size_t z)
{
    for (size_t b = 0; b < sequences(s); b++) {
        c->first[b + 1] = c->first[b] + s->length[b];
        c->seen[b] = 3 + 1000 * b;
        if (s->state) c->state[b] = rn_case_f32(c, state) + b * s->heads * s->dk * s->dv;
        if (has_z(s)) c->z[b] = rn_case_f32(c, z) + b * s->heads * s->dk;
    }
}

static rn_retention arguments(const rn_case *c, const retention_shape *s,
                              const float *log_decay)
{
    return (rn_retention){.batch = sequences(s),
                          .first = c->first,
                          .heads = s->heads,
                          .kv_heads = s->kv_heads,
                          .dk = s->dk,
                          .dv = s->dv,
                          .q_row = s->heads * s->dk + s->gap,
                          .k_row = s->kv_heads * s->dk + s->gap,
                          .v_row = s->kv_heads * s->dv + s->gap,
                          .o_row = s->heads * s->dv + s->gap,
                          .log_decay = log_decay,
                          .decay_head = s->token_decay ? token_count(s) : 1,
                          .decay_row = s->token_decay ? 1 : 0,
                          .seen = s->seen ? c->seen : NULL,
                          .norm = s->norm,
                          .chunk = s->chunk};
}

static void declare_forward(rn_case *c)
{
    const retention_shape *s = &shapes[c->index];
    describe(c, s);
    rn_case_floats(c, "o", padded(s, s->heads * s->dv), RN_CASE_OUT, 0);
    rn_case_floats(c, "row_scale", token_count(s) * s->heads, RN_CASE_OUT, 0);
    add_queries(c, s);
    if (s->state) rn_case_floats(c, "state", state_floats(s), RN_CASE_INOUT, 1.0);
    else rn_case_absent(c);
    if (has_z(s))
        rn_case_floats(c, "z", sequences(s) * s->heads * s->dk, RN_CASE_INOUT, 1.0);
    else rn_case_absent(c);
    add_decays(c, s);
    c->flops = chunk_flops(s, 1.0);
}

static void prepare_forward(rn_case *c)
{
    const retention_shape *s = &shapes[c->index];
    set_sequences(c, s, 5, 6);
    set_decays(s, rn_case_f32(c, 7));
}

static void run_forward(const rn_case *c, rn_exec *x)
{
    const retention_shape *s = &shapes[c->index];
    rn_retention d = arguments(c, s, rn_case_f32(c, 7));
    x->k.retention_fwd(x, &d, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2),
                       rn_case_f32(c, 3), rn_case_f32(c, 4), s->state ? c->state : NULL,
                       has_z(s) ? c->z : NULL);
}

/* One token of a batch: a step always has states, and torchscale has no step. */
static const retention_shape step_shapes[] = {
    {{0, NONE}, 1, 1, 4, 4, 0, 0, RN_ROW_NORM_NONE, false, true, false},
    {{1, NONE}, 1, 1, 1, 1, 0, 0, RN_ROW_NORM_DECAY, false, true, true},
    {{2, 0, 1, 3, NONE}, 2, 1, 6, 10, 0, 3, RN_ROW_NORM_NONE, true, true, false},
    {{1, 2, NONE}, 4, 2, 20, 33, 0, 0, RN_ROW_NORM_PAPER, false, true, true},
    {{3, 1, 2, NONE}, 3, 3, 70, 100, 0, 1, RN_ROW_NORM_DECAY, false, true, true},
    {{1, 1, 1, 1, 1, 1}, 8, 8, 256, 512, 0, 0, RN_ROW_NORM_DECAY, false, true, true},
};

#define STEP_COUNT (sizeof step_shapes / sizeof *step_shapes)

static void declare_step(rn_case *c)
{
    const retention_shape *s = &step_shapes[c->index];
    describe(c, s);
    rn_case_floats(c, "o", padded(s, s->heads * s->dv), RN_CASE_OUT, 0);
    rn_case_floats(c, "row_scale", token_count(s) * s->heads, RN_CASE_OUT, 0);
    add_queries(c, s);
    rn_case_floats(c, "state", state_floats(s), RN_CASE_INOUT, 1.0);
    if (has_z(s))
        rn_case_floats(c, "z", sequences(s) * s->heads * s->dk, RN_CASE_INOUT, 1.0);
    else rn_case_absent(c);
    add_decays(c, s);
    c->flops = 4.0 * (double)state_floats(s);
}

static void prepare_step(rn_case *c)
{
    const retention_shape *s = &step_shapes[c->index];
    set_sequences(c, s, 5, 6);
    set_decays(s, rn_case_f32(c, 7));
}

/* The first token of every sequence; the second where the index is even. */
static void run_step(const rn_case *c, rn_exec *x)
{
    const retention_shape *s = &step_shapes[c->index];
    rn_retention d = arguments(c, s, rn_case_f32(c, 7));
    x->k.retention_step(x, &d, c->index % 2 == 0, rn_case_f32(c, 0), rn_case_f32(c, 1),
                        rn_case_f32(c, 2), rn_case_f32(c, 3), rn_case_f32(c, 4), c->state,
                        has_z(s) ? c->z : NULL);
}

static void declare_backward(rn_case *c)
{
    const retention_shape *s = &shapes[c->index];
    describe(c, s);
    rn_case_floats(c, "dq", padded(s, s->heads * s->dk), RN_CASE_OUT, 0);
    rn_case_floats(c, "dk", padded(s, s->kv_heads * s->dk), RN_CASE_OUT, 0);
    rn_case_floats(c, "dv", padded(s, s->kv_heads * s->dv), RN_CASE_OUT, 0);
    rn_case_floats(c, "d_o", padded(s, s->heads * s->dv), RN_CASE_IN, 1.0);
    add_queries(c, s);
    if (s->state) {
        rn_case_floats(c, "state_in", state_floats(s), RN_CASE_IN, 1.0);
        rn_case_floats(c, "dstate", state_floats(s), RN_CASE_INOUT, 1.0);
    } else {
        rn_case_absent(c);
        rn_case_absent(c);
    }
    add_decays(c, s);
    c->flops = chunk_flops(s, 3.0);
}

static void prepare_backward(rn_case *c)
{
    const retention_shape *s = &shapes[c->index];
    set_sequences(c, s, 8, 8);
    set_decays(s, rn_case_f32(c, 9));
}

static void run_backward(const rn_case *c, rn_exec *x)
{
    const retention_shape *s = &shapes[c->index];
    rn_retention d = arguments(c, s, rn_case_f32(c, 9));
    const float *state_in[RN_CASE_SEQUENCES] = {NULL};
    for (size_t b = 0; s->state && b < d.batch; b++)
        state_in[b] = rn_case_f32(c, 7) + b * s->heads * s->dk * s->dv;
    x->k.retention_bwd(x, &d, rn_case_f32(c, 0), rn_case_f32(c, 1), rn_case_f32(c, 2),
                       rn_case_f32(c, 3), rn_case_f32(c, 4), rn_case_f32(c, 5),
                       rn_case_f32(c, 6), s->state ? state_in : NULL,
                       s->state ? c->state : NULL);
}

const rn_case_kind rn_case_retention_fwd = {COUNT, declare_forward, prepare_forward,
                                            run_forward};
const rn_case_kind rn_case_retention_step = {STEP_COUNT, declare_step, prepare_step,
                                             run_step};
const rn_case_kind rn_case_retention_bwd = {COUNT, declare_backward, prepare_backward,
                                            run_backward};
