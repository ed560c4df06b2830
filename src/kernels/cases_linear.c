/* Operands of the products with packed weights, for every pair of types. */
#include "kernels/cases_linear.h"

#include "core/arena.h"
#include "core/rng.h"

#include <stdlib.h>
#include <string.h>

/* So many rows of W are different ones: encoding them is slow. No multiple of a panel. */
#define DISTINCT ((size_t)40)

static size_t padded(size_t rows, size_t cols, size_t gap)
{
    return rows ? rows * (cols + gap) - gap : 0;
}

void rn_case_linear(rn_case *c, const rn_linear_shape *s, rn_weight_type weights,
                    rn_acts_type acts)
{
    const size_t block = rn_weight_block(weights), k = (s->k + block - 1) / block * block;
    const size_t columns = s->end - s->begin;
    size_t bytes = 0;
    rn_panels_bytes(weights, s->n, k, &bytes);
    rn_case_shape(c, "rows %zu, n %zu, k %zu, columns %zu..%zu", s->rows, s->n, k,
                  s->begin, s->end);
    rn_case_floats(c, "y", padded(s->rows, s->n, s->gap), RN_CASE_OUT, 0);
    if (acts == RN_ACTS_F32)
        rn_case_floats(c, "in", padded(s->rows, k, s->gap), RN_CASE_IN, 1.0);
    else rn_case_bytes(c, "in", rn_acts_bytes(acts, s->rows, k), RN_CASE_IN);
    rn_case_bytes(c, "w", bytes, RN_CASE_IN);
    c->flops = 2.0 * (double)(s->rows * columns) * (double)k;
    c->panels = (rn_panels){.type = weights, .n = s->n, .k = k};
    c->acts = (rn_acts){.type = acts, .rows = s->rows, .k = k, .ld = k + s->gap};
}

void rn_case_uneven(float *out, size_t rows, size_t k, const rn_case_buffer *seed)
{
    uint64_t word = 0;
    memcpy(&word, seed->data, rn_case_buffer_bytes(seed) < 8 ? 0 : 8);
    for (size_t i = 0; i < rows * k; i++) {
        const float factor = (float)(1 + i % k / RN_PANEL_BLOCK % 5);
        out[i] = factor * (2.0f * rn_uniform(word, RN_STREAM_TEST, i, 0) - 1.0f);
    }
}

/* W: DISTINCT rows, encoded, packed over and over. */
static void prepare_panels(rn_case *c)
{
    const rn_panels *w = &c->panels;
    unsigned char *to = c->buffer[2].data;
    const size_t panel = rn_panel_bytes(w->type, w->k);
    const size_t row = rn_weight_bytes(w->type, w->k);
    float *numbers = malloc(DISTINCT * w->k * sizeof *numbers);
    unsigned char *stored = malloc((DISTINCT + RN_PANEL) * row);
    if (numbers && stored) {
        rn_case_uneven(numbers, DISTINCT, w->k, &c->buffer[2]);
        rn_weight_encode(w->type, stored, numbers, DISTINCT * w->k);
        memcpy(stored + DISTINCT * row, stored, RN_PANEL * row);
        for (size_t j = 0; j < w->n; j += RN_PANEL, to += panel)
            rn_panel_pack(w->type, w->k, to, stored + j % DISTINCT * row,
                          w->n - j < RN_PANEL ? w->n - j : RN_PANEL);
    }
    free(numbers);
    free(stored);
    c->panels.data = c->buffer[2].data;
}

static void prepare_acts(rn_case *c)
{
    rn_acts *a = &c->acts;
    if (a->type == RN_ACTS_F32) {
        a->data = c->buffer[1].data;
        return;
    }
    float *numbers = malloc((a->rows * a->k + 1) * sizeof *numbers);
    if (!numbers) return;
    rn_case_uneven(numbers, a->rows, a->k, &c->buffer[1]);
    memset(c->buffer[1].data, 0, rn_case_buffer_bytes(&c->buffer[1]));
    const size_t k = a->k;
    *a = rn_acts_place(a->type, a->rows, k, c->buffer[1].data);
    if (a->type == RN_ACTS_Q8) rn_acts_q8_ref(NULL, a, numbers, k);
    else rn_acts_bf16_ref(NULL, a, numbers, k);
    free(numbers);
}

void rn_case_linear_prepare(rn_case *c)
{
    prepare_panels(c);
    prepare_acts(c);
}
