/* The dense projection: which product serves a matrix, and how its columns are cut over
   the threads. */
#include "mixers/linear.h"

#include "core/arena.h"

#include <omp.h>

/* Rows of one pass over float32 weights; columns that a thread takes at least. */
#define FEW_ROWS ((size_t)16)
#define CUT      ((size_t)48)

typedef void linear_fn(rn_exec *x, float *y, size_t ldy, const rn_acts *in,
                       const rn_panels *w, size_t begin, size_t end);

static linear_fn *kernel_of(const rn_exec *x, rn_weight_type type, rn_acts_type acts)
{
    switch (type) {
    case RN_WEIGHT_BF16:
        return acts == RN_ACTS_BF16 ? x->k.linear_bf16_bf16 : x->k.linear_bf16;
    case RN_WEIGHT_F16: return x->k.linear_f16;
    case RN_WEIGHT_Q8_0: return x->k.linear_q8_0;
    case RN_WEIGHT_Q4_0: return x->k.linear_q4_0;
    case RN_WEIGHT_Q4_K: return x->k.linear_q4_k;
    default: return x->k.linear_q6_k;
    }
}

size_t rn_operand_bytes(size_t rows, size_t k)
{
    return rn_acts_bytes(RN_ACTS_BF16, rows, k) + rn_acts_bytes(RN_ACTS_Q8, rows, k);
}

rn_operand rn_operand_place(const rn_matrix *w, bool bf16, const float *data, size_t rows,
                            size_t ld, size_t k, void *buffer)
{
    rn_operand o = {.data = data, .rows = rows, .ld = ld};
    rn_acts *form = o.form;
    form[RN_ACTS_F32] =
        (rn_acts){.type = RN_ACTS_F32, .rows = rows, .k = k, .ld = ld, .data = data};
    char *at = buffer;
    for (size_t i = 0; i < w->parts; i++) {
        rn_acts_type type = rn_acts_of(w->part[i].type, bf16);
        if (form[type].data) continue;
        form[type] = rn_acts_place(type, rows, k, at);
        at += rn_acts_bytes(type, rows, k);
    }
    return o;
}

/* Rows begin .. end-1 and columns from .. to-1 of prepared activations. */
static rn_acts cut(const rn_acts *a, size_t begin, size_t end, size_t from, size_t to)
{
    rn_acts c = *a;
    const size_t width = a->type == RN_ACTS_Q8 ? 1 : a->type == RN_ACTS_BF16 ? 2 : 4;
    const size_t blocks = begin * (a->k / RN_PANEL_BLOCK) + from / RN_PANEL_BLOCK;
    c.rows = end - begin;
    c.k = to - from;
    c.data = (const char *)a->data + (begin * a->ld + from) * width;
    if (a->scale) c.scale = a->scale + blocks;
    if (a->sum) c.sum = a->sum + blocks;
    return c;
}

rn_operand rn_operand_row(const rn_operand *o, size_t r)
{
    rn_operand row = {.data = o->data + r * o->ld, .rows = 1, .ld = o->ld};
    for (int type = RN_ACTS_F32; type <= RN_ACTS_Q8; type++)
        if (o->form[type].data)
            row.form[type] = cut(&o->form[type], r, r + 1, 0, o->form[type].k);
    return row;
}

static void prepare(rn_exec *x, const rn_acts *to, const float *in, size_t ldin)
{
    if (to->type == RN_ACTS_BF16) x->k.acts_bf16(x, to, in, ldin);
    else x->k.acts_q8(x, to, in, ldin);
}

void rn_operand_rows(rn_exec *x, const rn_operand *o, size_t begin, size_t end)
{
    for (int type = RN_ACTS_BF16; type <= RN_ACTS_Q8 && begin < end; type++) {
        if (!o->form[type].data) continue;
        rn_acts part = cut(&o->form[type], begin, end, 0, o->form[type].k);
        prepare(x, &part, o->data + begin * o->ld, o->ld);
    }
}

void rn_operand_columns(rn_exec *x, const rn_operand *o, size_t begin, size_t end)
{
    for (int type = RN_ACTS_BF16; type <= RN_ACTS_Q8 && begin < end; type++) {
        if (!o->form[type].data) continue;
        for (size_t r = 0; r < o->rows; r++) {
            rn_acts part = cut(&o->form[type], r, r + 1, begin, end);
            prepare(x, &part, o->data + r * o->ld + begin, o->ld);
        }
    }
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void stream_f32(rn_exec *x, float *y, size_t ldy, const rn_operand *in,
                       const rn_matrix *w, size_t begin, size_t end)
{
    for (size_t r = 0; r < in->rows; r += FEW_ROWS)
        x->k.matvec(x, y + r * ldy + begin, ldy, in->data + r * in->ld, in->ld,
                    w->f32 + begin * w->k, least(FEW_ROWS, in->rows - r), end - begin,
                    w->k);
}

/* Which of the operand's forms a part multiplies: what was prepared for its type. */
static const rn_acts *form_of(const rn_operand *in, rn_weight_type type)
{
    const rn_acts *best = &in->form[rn_acts_of(type, true)];
    return best->data ? best : &in->form[rn_acts_of(type, false)];
}

void rn_linear_range(rn_exec *x, float *y, size_t ldy, const rn_operand *in,
                     const rn_matrix *w, size_t begin, size_t end)
{
    if (begin >= end) return;
    if (w->f32) {
        stream_f32(x, y, ldy, in, w, begin, end);
        return;
    }
    size_t first = 0;
    for (size_t i = 0; i < w->parts; first += w->part[i].n, i++) {
        const rn_panels *p = &w->part[i];
        if (end <= first || begin >= first + p->n) continue;
        size_t from = begin > first ? begin - first : 0, to = least(end - first, p->n);
        const rn_acts *a = form_of(in, p->type);
        kernel_of(x, p->type, a->type)(x, y + first, ldy, a, p, from, to);
    }
}

void rn_linear_team(rn_exec *x, rn_team *team, int rank, float *y, const rn_operand *in,
                    const rn_matrix *w, const float *bias)
{
    for (rn_range r = rn_team_first(team, rank, w->n, RN_LINEAR_CUT); r.begin < r.end;
         r = rn_team_next(team, w->n, RN_LINEAR_CUT)) {
        rn_linear_range(x, y, w->n, in, w, r.begin, r.end);
        if (!bias) continue;
        x->k.bias_fwd(x, y + r.begin, w->n, bias + r.begin, in->rows, r.end - r.begin);
    }
}

void rn_linear_ask(const rn_team *team, int rank, const rn_matrix *w, size_t n,
                   size_t bytes)
{
    const size_t fixed = rn_team_fixed(team, n, RN_LINEAR_CUT);
    size_t begin = rn_team_share(team, rank, fixed, RN_LINEAR_CUT).begin;
    if (begin >= w->n) return;
    if (w->f32) {
        const size_t left = (w->n - begin) * w->k * sizeof *w->f32;
        rn_team_ask(w->f32 + begin * w->k, least(bytes, left));
        return;
    }
    const rn_panels *p = w->part;
    for (; begin >= p->n; p++) begin -= p->n;
    const size_t panel = rn_panel_bytes(p->type, p->k), first = begin / RN_PANEL;
    const size_t left = ((p->n + RN_PANEL - 1) / RN_PANEL - first) * panel;
    rn_team_ask(p->data + first * panel, least(bytes, left));
}

void rn_linear(rn_exec *x, rn_form form, float *y, size_t ldy, const float *in,
               size_t ldin, const rn_matrix *w, size_t rows)
{
    if (rows == 0) return;
    if (w->f32 && form != RN_FORM_RECURRENT) {
        rn_exec_gemm(x)(x, false, true, rows, w->n, w->k, in, ldin, w->f32, w->k, 0.0f, y,
                        ldy);
        return;
    }
    const rn_operand o = rn_operand_place(w, x->bf16, in, rows, ldin, w->k, x->acts);
    const int threads = rn_exec_parallel(x, rows * w->n / 4 * w->k);
#pragma omp parallel num_threads(threads)
    {
        const rn_team team = {.size = omp_get_num_threads()};
        const int rank = omp_get_thread_num();
        rn_range r = rn_team_share(&team, rank, rows, 1);
        rn_operand_rows(x, &o, r.begin, r.end);
#pragma omp barrier
        r = rn_team_share(&team, rank, w->n, CUT);
        rn_linear_range(x, y, ldy, &o, w, r.begin, r.end);
    }
}

static void packed_row(const rn_matrix *w, size_t j, float scale, float *y)
{
    size_t i = 0;
    while (j >= w->part[i].n) j -= w->part[i++].n;
    rn_panels_row(&w->part[i], j, y);
    for (size_t c = 0; c < w->k; c++) y[c] *= scale;
}

void rn_matrix_rows(rn_exec *x, float *y, const rn_matrix *w, const int32_t *ids,
                    size_t rows, float scale)
{
    if (w->f32) {
        x->k.embed_fwd(x, y, w->f32, ids, rows, w->k, scale);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(rn_exec_parallel(x, rows * w->k))
    for (size_t r = 0; r < rows; r++) packed_row(w, (size_t)ids[r], scale, y + r * w->k);
}

void rn_linear_backward(rn_exec *x, float *din, size_t lddin, float *dw, const float *dy,
                        size_t lddy, const float *in, size_t ldin, const rn_matrix *w,
                        size_t rows)
{
    rn_gemm_fn gemm = rn_exec_gemm(x);
    size_t n = w->n, k = w->k;
    gemm(x, true, false, n, k, rows, dy, lddy, in, ldin, 1.0f, dw, k);
    if (din) gemm(x, false, false, rows, k, n, dy, lddy, w->f32, k, 0.0f, din, lddin);
}
