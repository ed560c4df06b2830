/*
 * References of products in bfloat16 and half floats: operands rounded to nearest even
 * where the operation says so, sums in double over the columns in order, rounded once.
 */
#include "kernels/exec.h"

#include "core/half.h"

#include <string.h>

static double rounded(float v)
{
    return (double)rn_bf16_to_float(rn_bf16_of_float(v));
}

void rn_gemm_bf16_ref(rn_exec *x, bool ta, bool tb, size_t m, size_t n, size_t k,
                      const float *a, size_t lda, const float *b, size_t ldb, float beta,
                      float *c, size_t ldc)
{
    const size_t a_row = ta ? 1 : lda, a_depth = ta ? lda : 1;
    const size_t b_depth = tb ? 1 : ldb, b_col = tb ? ldb : 1;
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, m *n *k))
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (size_t l = 0; l < k; l++)
                sum += rounded(a[i * a_row + l * a_depth]) *
                       rounded(b[l * b_depth + j * b_col]);
            if (beta != 0.0f) sum += (double)beta * (double)c[i * ldc + j];
            c[i * ldc + j] = (float)sum;
        }
}

/* Column c of row j of a panel, or of row r of activations. */
typedef double weight_fn(const unsigned char *panel, size_t j, size_t c);
typedef double number_fn(const void *row, size_t c);

static uint16_t word_at(const unsigned char *at)
{
    uint16_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static double bf16_weight(const unsigned char *panel, size_t j, size_t c)
{
    const unsigned char *line = panel + c / 2 * (RN_PANEL * 4);
    return (double)rn_bf16_to_float(word_at(line + j * 4 + c % 2 * 2));
}

static double f16_weight(const unsigned char *panel, size_t j, size_t c)
{
    return (double)rn_half_to_float(word_at(panel + c * (RN_PANEL * 2) + j * 2));
}

static double f32_number(const void *row, size_t c)
{
    return (double)((const float *)row)[c];
}

static double bf16_number(const void *row, size_t c)
{
    return (double)rn_bf16_to_float(((const uint16_t *)row)[c]);
}

static void linear(weight_fn *weight, number_fn *number, size_t number_bytes, float *y,
                   size_t ldy, const rn_acts *in, const rn_panels *w, size_t begin,
                   size_t end)
{
    const size_t panel = rn_panel_bytes(w->type, w->k);
    for (size_t r = 0; r < in->rows; r++) {
        const char *row = (const char *)in->data + r * in->ld * number_bytes;
        for (size_t j = begin; j < end; j++) {
            const unsigned char *at = w->data + j / RN_PANEL * panel;
            double sum = 0.0;
            for (size_t c = 0; c < w->k; c++)
                sum += number(row, c) * weight(at, j % RN_PANEL, c);
            y[r * ldy + j] = (float)sum;
        }
    }
}

void rn_linear_bf16_ref(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                        const rn_panels *w, size_t begin, size_t end)
{
    (void)x;
    linear(bf16_weight, f32_number, sizeof(float), y, ldy, in, w, begin, end);
}

void rn_linear_f16_ref(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                       const rn_panels *w, size_t begin, size_t end)
{
    (void)x;
    linear(f16_weight, f32_number, sizeof(float), y, ldy, in, w, begin, end);
}

void rn_linear_bf16_bf16_ref(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                             const rn_panels *w, size_t begin, size_t end)
{
    (void)x;
    linear(bf16_weight, bf16_number, sizeof(uint16_t), y, ldy, in, w, begin, end);
}

void rn_acts_bf16_ref(rn_exec *x, const rn_acts *to, const float *in, size_t ldin)
{
    (void)x;
    for (size_t r = 0; r < to->rows; r++) {
        uint16_t *row = (uint16_t *)to->data + r * to->ld;
        for (size_t c = 0; c < to->k; c++) row[c] = rn_bf16_of_float(in[r * ldin + c]);
        if (to->k % 2) row[to->k] = 0;
    }
}
