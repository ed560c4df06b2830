/* Cases of the dense products: every transposition, odd sizes around the register and
   cache blocks, empty dimensions, padded rows. */
#include "kernels/cases.h"

typedef struct gemm_shape {
    bool ta, tb;
    size_t m, n, k, gap; /* floats behind each row of each matrix */
    float beta;
} gemm_shape;

static const gemm_shape gemm_shapes[] = {
    {false, false, 0, 3, 4, 0, 0.0f},        {false, true, 3, 4, 0, 0, 1.0f},
    {false, false, 1, 1, 1, 0, 0.0f},        {true, false, 3, 5, 2, 1, 1.0f},
    {false, true, 7, 17, 33, 3, 0.0f},       {true, true, 19, 23, 9, 0, 1.0f},
    {false, false, 65, 50, 70, 2, 1.0f},     {false, true, 33, 97, 300, 0, 0.0f},
    {true, false, 100, 129, 67, 5, 1.0f},    {true, true, 40, 70, 131, 1, 0.0f},
    {false, true, 101, 531, 777, 3, 1.0f},   {true, false, 97, 600, 803, 0, 1.0f},
    {false, true, 11, 40, 1111, 1, 1.0f},    {false, false, 70, 33, 1030, 2, 0.0f},
    {false, true, 512, 1024, 1024, 0, 0.0f},
};

static size_t columns(bool transposed, size_t rows, size_t cols, size_t gap)
{
    return (transposed ? rows : cols) + gap;
}

/* Floats of a matrix with `gap` floats behind every row. */
static size_t matrix(bool transposed, size_t rows, size_t cols, size_t gap)
{
    return (transposed ? cols : rows) * columns(transposed, rows, cols, gap);
}

static void declare_gemm(rn_case *c)
{
    const gemm_shape *s = &gemm_shapes[c->index];
    rn_case_shape(c, "m %zu, n %zu, k %zu, %c%c, beta %.0f", s->m, s->n, s->k,
                  s->ta ? 't' : 'n', s->tb ? 't' : 'n', (double)s->beta);
    rn_case_floats(c, "a", matrix(s->ta, s->m, s->k, s->gap), RN_CASE_IN, 1.0);
    rn_case_floats(c, "b", matrix(s->tb, s->k, s->n, s->gap), RN_CASE_IN, 1.0);
    rn_case_floats(c, "c", matrix(false, s->m, s->n, s->gap),
                   s->beta == 0.0f ? RN_CASE_OUT : RN_CASE_INOUT, 1.0);
    c->flops = 2.0 * (double)(s->m * s->n) * (double)s->k;
}

static void multiply(const rn_case *c, rn_exec *x, rn_gemm_fn gemm)
{
    const gemm_shape *s = &gemm_shapes[c->index];
    gemm(x, s->ta, s->tb, s->m, s->n, s->k, rn_case_f32(c, 0),
         columns(s->ta, s->m, s->k, s->gap), rn_case_f32(c, 1),
         columns(s->tb, s->k, s->n, s->gap), s->beta, rn_case_f32(c, 2), s->n + s->gap);
}

static void run_gemm(const rn_case *c, rn_exec *x)
{
    multiply(c, x, x->k.gemm);
}

static void declare_gemm_bf16(rn_case *c)
{
    declare_gemm(c);
    c->scratch = RN_GEMM_BF16_SCRATCH;
}

static void run_gemm_bf16(const rn_case *c, rn_exec *x)
{
    multiply(c, x, x->k.gemm_bf16);
}

typedef struct matvec_shape {
    size_t rows, n, k, gap_y, gap_in;
} matvec_shape;

static const matvec_shape matvec_shapes[] = {
    {0, 3, 4, 0, 0},   {1, 1, 1, 0, 0},     {1, 17, 33, 0, 0},   {2, 5, 100, 1, 3},
    {3, 64, 64, 0, 0}, {5, 129, 131, 7, 2}, {8, 300, 257, 0, 0}, {1, 8192, 2048, 0, 0},
};

static size_t padded(size_t rows, size_t cols, size_t gap)
{
    return rows ? rows * (cols + gap) - gap : 0;
}

static void declare_matvec(rn_case *c)
{
    const matvec_shape *s = &matvec_shapes[c->index];
    rn_case_shape(c, "rows %zu, n %zu, k %zu", s->rows, s->n, s->k);
    rn_case_floats(c, "y", padded(s->rows, s->n, s->gap_y), RN_CASE_OUT, 0);
    rn_case_floats(c, "in", padded(s->rows, s->k, s->gap_in), RN_CASE_IN, 1.0);
    rn_case_floats(c, "w", s->n * s->k, RN_CASE_IN, 1.0);
    c->flops = 2.0 * (double)(s->rows * s->n) * (double)s->k;
}

static void run_matvec(const rn_case *c, rn_exec *x)
{
    const matvec_shape *s = &matvec_shapes[c->index];
    x->k.matvec(x, rn_case_f32(c, 0), s->n + s->gap_y, rn_case_f32(c, 1),
                s->k + s->gap_in, rn_case_f32(c, 2), s->rows, s->n, s->k);
}

#define GEMM_COUNT   (sizeof gemm_shapes / sizeof *gemm_shapes)
#define MATVEC_COUNT (sizeof matvec_shapes / sizeof *matvec_shapes)

const rn_case_kind rn_case_gemm = {GEMM_COUNT, declare_gemm, NULL, run_gemm};
const rn_case_kind rn_case_gemm_bf16 = {GEMM_COUNT, declare_gemm_bf16, NULL,
                                        run_gemm_bf16};
const rn_case_kind rn_case_matvec = {MATVEC_COUNT, declare_matvec, NULL, run_matvec};
