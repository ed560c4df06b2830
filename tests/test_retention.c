/*
 * The retention operation: golden cases of other implementations, and the agreement of
 * the three forms, of every CPU variant, of splits and of packed batches with a
 * double-precision recurrence. Other folders of golden cases can be given as arguments.
 */
#include "test.h"

#include "core/rng.h"
#include "formats/safetensors.h"
#include "kernels/exec.h"
#include "retnet/retention.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORWARD_TOLERANCE  1e-5
#define GRADIENT_TOLERANCE 1e-4

static const char *const masks[] = {"ref", "avx2", "avx512"};

static int folder_count;
static char **folders;

/* A call with everything that belongs to it: inputs, states, upstream gradients. */
typedef struct scene {
    rn_retention_call call;
    size_t first[9];
    uint64_t seen[8];
    float log_decay[16];
    size_t rows;
    float *q, *k, *v, *d_o;
    float *s0[8], *z0[8], *ds[8];
} scene;

/* What a call gives. */
typedef struct result {
    float *o, *row_scale, *dq, *dk, *dv;
    float *s[8], *z[8], *ds0[8];
} result;

static size_t state_size(const scene *s)
{
    return s->call.heads * s->call.dk * s->call.dv;
}

static size_t sums_size(const scene *s)
{
    return s->call.heads * s->call.dk;
}

static float *copy_of(const float *from, size_t n)
{
    float *to = test_floats(n);
    if (n) memcpy(to, from, n * sizeof *to);
    return to;
}

static void free_result(const scene *s, result *r)
{
    free(r->o), free(r->row_scale), free(r->dq), free(r->dk), free(r->dv);
    for (size_t b = 0; b < s->call.batch; b++)
        free(r->s[b]), free(r->z[b]), free(r->ds0[b]);
}

static void free_scene(scene *s)
{
    free(s->q), free(s->k), free(s->v), free(s->d_o);
    for (size_t b = 0; b < s->call.batch; b++)
        free(s->s0[b]), free(s->z0[b]), free(s->ds[b]);
}

/* Forward, and for the forms that have it backward. `states` false: no state in, none
 * out. */
static result run(rn_exec *x, const scene *s, rn_form form, size_t chunk, bool states)
{
    const rn_retention_call *c = &s->call;
    rn_retention_call call = *c;
    call.form = form;
    call.chunk = chunk;
    call.first = s->first;
    call.seen = s->seen;
    call.log_decay = s->log_decay;
    result r = {.o = test_floats(s->rows * c->heads * c->dv),
                .row_scale = test_floats(s->rows * c->heads),
                .dq = test_floats(s->rows * c->heads * c->dk),
                .dk = test_floats(s->rows * c->kv_heads * c->dk),
                .dv = test_floats(s->rows * c->kv_heads * c->dv)};
    for (size_t b = 0; b < c->batch; b++) {
        r.s[b] = copy_of(s->s0[b], state_size(s));
        r.z[b] = copy_of(s->z0[b], sums_size(s));
        r.ds0[b] = copy_of(s->ds[b], state_size(s));
    }
    rn_error err;
    rn_status st = rn_retention_forward(x, &call, r.o, r.row_scale, s->q, s->k, s->v,
                                        states ? r.s : NULL, states ? r.z : NULL, &err);
    if (st) fail_msg("forward: %s", err.message);
    if (form == RN_FORM_RECURRENT) return r;
    float *d_o = copy_of(s->d_o, s->rows * c->heads * c->dv);
    st = rn_retention_backward(x, &call, r.dq, r.dk, r.dv, d_o, r.row_scale, s->q, s->k,
                               s->v, states ? (const float *const *)s->s0 : NULL, r.ds0,
                               &err);
    if (st) fail_msg("backward: %s", err.message);
    free(d_o);
    return r;
}

static void same(const char *where, const char *what, const float *got, const float *want,
                 size_t n, double tolerance)
{
    double e = test_difference(got, want, n);
    if (!(e <= tolerance))
        fail_msg("%s: %s differs by %.2e, more than %.0e", where, what, e, tolerance);
}

static void same_results(const char *where, const scene *s, const result *got,
                         const result *want, bool states, bool gradients)
{
    const rn_retention_call *c = &s->call;
    size_t rows = s->rows;
    same(where, "o", got->o, want->o, rows * c->heads * c->dv, FORWARD_TOLERANCE);
    for (size_t b = 0; states && b < c->batch; b++) {
        same(where, "state", got->s[b], want->s[b], state_size(s), FORWARD_TOLERANCE);
        if (c->row_norm == RN_ROW_NORM_PAPER)
            same(where, "z", got->z[b], want->z[b], sums_size(s), FORWARD_TOLERANCE);
    }
    if (!gradients) return;
    same(where, "dq", got->dq, want->dq, rows * c->heads * c->dk, GRADIENT_TOLERANCE);
    same(where, "dk", got->dk, want->dk, rows * c->kv_heads * c->dk, GRADIENT_TOLERANCE);
    same(where, "dv", got->dv, want->dv, rows * c->kv_heads * c->dv, GRADIENT_TOLERANCE);
    for (size_t b = 0; b < c->batch; b++)
        same(where, "ds0", got->ds0[b], want->ds0[b], state_size(s), GRADIENT_TOLERANCE);
}

/* ---- golden cases ---- */

static float *golden(const rn_safetensors *f, const char *name, size_t *count)
{
    const rn_tensor_view *t = rn_safetensors_find(f, name);
    if (!t) return NULL;
    float *to = test_floats(t->count);
    rn_error err;
    if (rn_tensor_floats(t, 0, t->count, to, &err)) fail_msg("%s", err.message);
    if (count) *count = t->count;
    return to;
}

/* [B,H,T,n] as [B T][H][n]. */
static float *by_rows(float *from, const uint64_t shape[4])
{
    size_t B = shape[0], H = shape[1], T = shape[2], n = shape[3];
    float *to = test_floats(B * H * T * n);
    for (size_t b = 0; b < B; b++)
        for (size_t h = 0; h < H; h++)
            for (size_t t = 0; t < T; t++)
                for (size_t i = 0; i < n; i++)
                    to[((b * T + t) * H + h) * n + i] =
                        from[((b * H + h) * T + t) * n + i];
    free(from);
    return to;
}

static float *golden_rows(const rn_safetensors *f, const char *name)
{
    float *flat = golden(f, name, NULL);
    return flat ? by_rows(flat, rn_safetensors_find(f, name)->shape) : NULL;
}

static rn_row_norm norm_of_name(const char *file)
{
    if (strncmp(file, "decay", 5) == 0) return RN_ROW_NORM_DECAY;
    if (strncmp(file, "paper", 5) == 0) return RN_ROW_NORM_PAPER;
    if (strncmp(file, "torchscale", 10) == 0) return RN_ROW_NORM_TORCHSCALE;
    return RN_ROW_NORM_NONE;
}

static void split_states(float *to[8], float *all, size_t batch, size_t n)
{
    for (size_t b = 0; b < batch; b++) {
        if (all) to[b] = copy_of(all + b * n, n);
        else to[b] = test_floats(n);
    }
    free(all);
}

static void load_scene(const rn_safetensors *f, const char *file, scene *s)
{
    const uint64_t *q = rn_safetensors_find(f, "q")->shape;
    const uint64_t *v = rn_safetensors_find(f, "v")->shape;
    *s = (scene){.call = {.batch = q[0],
                          .heads = q[1],
                          .kv_heads = q[1],
                          .dk = q[3],
                          .dv = v[3],
                          .decay_head = 1,
                          .row_norm = norm_of_name(file)},
                 .rows = q[0] * q[2]};
    float *gamma = golden(f, "gamma", NULL);
    for (size_t h = 0; h < s->call.heads; h++) s->log_decay[h] = (float)log(gamma[h]);
    free(gamma);
    const rn_tensor_view *n0 = rn_safetensors_find(f, "n0");
    int64_t seen = 0;
    if (n0) assert_int_equal(rn_tensor_ints(n0, 0, 1, &seen, NULL), RN_OK);
    for (size_t b = 0; b <= s->call.batch; b++) {
        s->first[b] = b * q[2];
        if (b < s->call.batch) s->seen[b] = (uint64_t)seen;
    }
    s->q = golden_rows(f, "q"), s->k = golden_rows(f, "k"), s->v = golden_rows(f, "v");
    s->d_o = golden_rows(f, "d_o");
    split_states(s->s0, golden(f, "s0", NULL), s->call.batch, state_size(s));
    split_states(s->z0, golden(f, "z0", NULL), s->call.batch, sums_size(s));
    split_states(s->ds, golden(f, "d_sT", NULL), s->call.batch, state_size(s));
}

static void load_result(const rn_safetensors *f, const scene *s, result *r)
{
    *r = (result){.o = golden_rows(f, "o"),
                  .dq = golden_rows(f, "dq"),
                  .dk = golden_rows(f, "dk"),
                  .dv = golden_rows(f, "dv")};
    split_states(r->s, golden(f, "sT", NULL), s->call.batch, state_size(s));
    split_states(r->z, golden(f, "zT", NULL), s->call.batch, sums_size(s));
    split_states(r->ds0, golden(f, "ds0", NULL), s->call.batch, state_size(s));
}

static void check_file(const char *folder, const char *file)
{
    char path[2048], where[2200];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    rn_safetensors *f;
    rn_error err;
    if (rn_safetensors_open(&f, path, &err)) fail_msg("%s", err.message);
    scene s;
    result want;
    load_scene(f, file, &s);
    load_result(f, &s, &want);
    static const size_t chunks[] = {0, 1, 2, 3, 7, 16, 33, 64, 100, 128};
    for (size_t m = 0; m < 3; m++) {
        rn_exec *x = test_exec(masks[m], 2);
        if (!x) continue;
        bool torchscale = s.call.row_norm == RN_ROW_NORM_TORCHSCALE;
        for (size_t c = 0; c < (torchscale ? 1 : 11); c++) {
            rn_form form = c == 0    ? RN_FORM_PARALLEL
                           : c == 10 ? RN_FORM_RECURRENT
                                     : RN_FORM_CHUNKWISE;
            size_t chunk = c < 10 ? chunks[c] : 0;
            snprintf(where, sizeof where, "%s, %s, form %d, chunk %zu", path, masks[m],
                     (int)form, chunk);
            result got = run(x, &s, form, chunk, !torchscale);
            same_results(where, &s, &got, &want, !torchscale, form != RN_FORM_RECURRENT);
            free_result(&s, &got);
        }
        rn_exec_close(x);
    }
    free_result(&s, &want);
    free_scene(&s);
    rn_safetensors_close(f);
}

static int check_folder(const char *folder)
{
    int checked = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 12 || strcmp(e->d_name + n - 12, ".safetensors") != 0) continue;
        check_file(folder, e->d_name);
        checked++;
    }
    if (d) closedir(d);
    return checked;
}

static void golden_cases(void **state)
{
    (void)state;
    for (int i = 0; i < folder_count; i++)
        if (check_folder(folders[i]) == 0) fail_msg("no case in %s", folders[i]);
    if (folder_count) return;
    assert_int_equal(check_folder(RN_GOLDEN "/retention-ops"), 18);
    assert_true(check_folder(RN_GOLDEN "/reference/ops") >= 10);
}

/* ---- agreement of the forms ---- */

static float *random_floats(size_t n, uint64_t seed, float scale)
{
    float *p = test_floats(n);
    for (size_t i = 0; i < n; i++)
        p[i] = scale * rn_normal(seed, RN_STREAM_TEST, 7, (uint32_t)i);
    return p;
}

/* Packed sequences of the given lengths; gammas of several kinds, 1 among them. */
static void random_scene(scene *s, rn_row_norm norm, size_t batch, const size_t *lengths,
                         size_t heads, size_t kv, size_t dk, size_t dv)
{
    *s = (scene){.call = {.batch = batch,
                          .heads = heads,
                          .kv_heads = kv,
                          .dk = dk,
                          .dv = dv,
                          .decay_head = 1,
                          .row_norm = norm}};
    for (size_t b = 0; b < batch; b++) {
        s->first[b + 1] = s->first[b] + lengths[b];
        s->seen[b] = norm == RN_ROW_NORM_TORCHSCALE ? 0 : b * 1000;
    }
    s->rows = s->first[batch];
    for (size_t h = 0; h < heads; h++)
        s->log_decay[h] = (float)log1p(-exp2(-5.0 - (double)h));
    if (heads > 1) s->log_decay[1] = 0.0f;
    if (heads > 2) s->log_decay[2] = (float)log(0.3);
    float scale = 1.0f / sqrtf((float)dk);
    s->q = random_floats(s->rows * heads * dk, 1, scale);
    s->k = random_floats(s->rows * kv * dk, 2, 1.0f);
    s->v = random_floats(s->rows * kv * dv, 3, 1.0f);
    s->d_o = random_floats(s->rows * heads * dv, 4, 1.0f);
    for (size_t b = 0; b < batch; b++) {
        s->s0[b] = random_floats(state_size(s), 10 + b, 1.0f);
        s->z0[b] = random_floats(sums_size(s), 20 + b, 1.0f);
        s->ds[b] = random_floats(state_size(s), 30 + b, 1.0f);
    }
}

static void forms_agree(rn_row_norm norm, size_t batch, const size_t *lengths,
                        size_t heads, size_t kv, size_t dk, size_t dv, size_t most_chunk,
                        size_t chunk_step)
{
    scene s;
    random_scene(&s, norm, batch, lengths, heads, kv, dk, dv);
    bool states = norm != RN_ROW_NORM_TORCHSCALE;
    rn_exec *ref = test_exec("ref", 1);
    result want = run(ref, &s, RN_FORM_PARALLEL, 0, states);
    rn_exec_close(ref);
    for (size_t m = 1; m < 3; m++) {
        rn_exec *x = test_exec(masks[m], 2);
        if (!x) continue;
        char where[200];
        for (size_t c = 0; c <= (states ? most_chunk : 0); c += c ? chunk_step : 1) {
            result got = run(x, &s, c ? RN_FORM_CHUNKWISE : RN_FORM_PARALLEL, c, states);
            snprintf(where, sizeof where, "%s norm %d dk %zu dv %zu rows %zu chunk %zu",
                     masks[m], (int)norm, dk, dv, s.rows, c);
            same_results(where, &s, &got, &want, states, true);
            free_result(&s, &got);
        }
        if (states) {
            result got = run(x, &s, RN_FORM_RECURRENT, 0, true);
            snprintf(where, sizeof where, "%s norm %d dk %zu dv %zu rows %zu recurrent",
                     masks[m], (int)norm, dk, dv, s.rows);
            same_results(where, &s, &got, &want, true, false);
            free_result(&s, &got);
        }
        rn_exec_close(x);
    }
    free_result(&s, &want);
    free_scene(&s);
}

static void every_chunk_length(void **state)
{
    (void)state;
    const size_t lengths[] = {131};
    for (int norm = 0; norm < 4; norm++)
        forms_agree((rn_row_norm)norm, 1, lengths, 3, 3, 8, 12, 128, 1);
}

static void odd_sizes(void **state)
{
    (void)state;
    static const size_t widths[][2] = {{1, 1},  {2, 3},   {7, 33},
                                       {33, 7}, {17, 50}, {64, 128}};
    const size_t lengths[] = {65, 3};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
        for (int norm = 0; norm < 4; norm++)
            forms_agree((rn_row_norm)norm, 2, lengths, 3, 3, widths[i][0], widths[i][1],
                        70, 23);
}

static void packed_lengths(void **state)
{
    (void)state;
    const size_t lengths[] = {5, 0, 1, 130, 64};
    for (int norm = 0; norm < 4; norm++)
        forms_agree((rn_row_norm)norm, 5, lengths, 2, 2, 16, 24, 128, 41);
}

static void grouped_heads(void **state)
{
    (void)state;
    const size_t lengths[] = {77, 30};
    for (int norm = 0; norm < 4; norm++)
        forms_agree((rn_row_norm)norm, 2, lengths, 6, 2, 12, 20, 64, 31);
}

static void long_sequence(void **state)
{
    (void)state;
    const size_t lengths[] = {4096};
    for (int norm = 0; norm < 3; norm++)
        forms_agree((rn_row_norm)norm, 1, lengths, 2, 2, 16, 32, 128, 64);
    const size_t shorter[] = {700};
    forms_agree(RN_ROW_NORM_TORCHSCALE, 1, shorter, 2, 2, 16, 32, 0, 1);
}

/* A segment cut anywhere, its state carried in and its state gradient carried back,
   equals the whole. */
static void carried_across(rn_exec *x, const char *mask, rn_row_norm norm, rn_form form,
                           size_t chunk, size_t cut)
{
    const size_t length[] = {97};
    scene s;
    random_scene(&s, norm, 1, length, 2, 2, 6, 10);
    result whole = run(x, &s, form, chunk, true);

    scene a = s, b = s;
    size_t kw = s.call.heads * s.call.dk, vw = s.call.heads * s.call.dv;
    a.rows = a.first[1] = cut;
    b.rows = b.first[1] = length[0] - cut;
    b.seen[0] = s.seen[0] + cut;
    b.q += cut * kw, b.k += cut * kw, b.v += cut * vw, b.d_o += cut * vw;
    result first = run(x, &a, form, chunk, true);
    b.s0[0] = first.s[0], b.z0[0] = first.z[0];
    result second = run(x, &b, form, chunk, true);
    char where[120];
    snprintf(where, sizeof where, "%s norm %d form %d cut at %zu", mask, (int)norm,
             (int)form, cut);
    same(where, "first o", first.o, whole.o, cut * vw, FORWARD_TOLERANCE);
    same(where, "second o", second.o, whole.o + cut * vw, b.rows * vw, FORWARD_TOLERANCE);
    same(where, "state", second.s[0], whole.s[0], state_size(&s), FORWARD_TOLERANCE);
    if (form != RN_FORM_RECURRENT) {
        a.ds[0] = second.ds0[0]; /* the gradient of the state between the two */
        result back = run(x, &a, form, chunk, true);
        same(where, "ds0", back.ds0[0], whole.ds0[0], state_size(&s), GRADIENT_TOLERANCE);
        same(where, "dk", back.dk, whole.dk, cut * kw, GRADIENT_TOLERANCE);
        same(where, "dv", second.dv, whole.dv + cut * vw, b.rows * vw,
             GRADIENT_TOLERANCE);
        free_result(&a, &back);
    }
    free_result(&s, &whole), free_result(&a, &first), free_result(&b, &second);
    free_scene(&s);
}

static void any_split(void **state)
{
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        rn_exec *x = test_exec(masks[m], 1);
        if (!x) continue;
        for (int norm = 0; norm < 3; norm++) {
            for (size_t cut = 0; cut <= 97; cut += cut > 3 && cut < 90 ? 7 : 1) {
                carried_across(x, masks[m], (rn_row_norm)norm, RN_FORM_CHUNKWISE, 16,
                               cut);
                carried_across(x, masks[m], (rn_row_norm)norm, RN_FORM_PARALLEL, 0, cut);
                carried_across(x, masks[m], (rn_row_norm)norm, RN_FORM_RECURRENT, 0, cut);
            }
        }
        rn_exec_close(x);
    }
}

/* Decays whose distance from 1 does not fit into a float's digits: an error of one
   rounding a token would add up to more than the tolerance. */
static void decays_near_one(void **state)
{
    (void)state;
    const size_t lengths[] = {4096};
    scene s;
    random_scene(&s, RN_ROW_NORM_PAPER, 1, lengths, 4, 4, 4, 8);
    s.log_decay[0] = (float)log(0.9997);
    s.log_decay[1] = (float)log1p(-1.1 * 0x1p-13);
    s.log_decay[2] = (float)log1p(-0x1p-26);
    s.log_decay[3] = (float)log(0.4);
    rn_exec *ref = test_exec("ref", 1);
    result want = run(ref, &s, RN_FORM_PARALLEL, 0, true);
    rn_exec_close(ref);
    static const size_t chunks[] = {1, 2, 3, 4, 5, 16, 64};
    for (size_t m = 1; m < 3; m++) {
        rn_exec *x = test_exec(masks[m], 2);
        if (!x) continue;
        char where[100];
        for (size_t c = 0; c <= sizeof chunks / sizeof chunks[0]; c++) {
            bool steps = c == sizeof chunks / sizeof chunks[0];
            snprintf(where, sizeof where, "%s chunk %zu", masks[m],
                     steps ? 0 : chunks[c]);
            rn_form form = steps ? RN_FORM_RECURRENT : RN_FORM_CHUNKWISE;
            result got = run(x, &s, form, steps ? 0 : chunks[c], true);
            same_results(where, &s, &got, &want, true, !steps);
            free_result(&s, &got);
        }
        rn_exec_close(x);
    }
    free_result(&s, &want);
    free_scene(&s);
}

/* Decays that depend on the token: the chunkwise and parallel forms against the
 * recurrence. */
static void decay_per_token(void **state)
{
    (void)state;
    const size_t lengths[] = {150, 40};
    scene s;
    random_scene(&s, RN_ROW_NORM_NONE, 2, lengths, 2, 2, 8, 16);
    float *decays = test_floats(s.rows * 2);
    for (size_t i = 0; i < s.rows * 2; i++)
        decays[i] = -0.5f * rn_uniform(5, RN_STREAM_TEST, 1, (uint32_t)i);
    for (size_t m = 0; m < 3; m++) {
        rn_exec *x = test_exec(masks[m], 2);
        if (!x) continue;
        float *o[3];
        for (int form = 0; form < 3; form++) {
            rn_retention_call c = s.call;
            c.first = s.first, c.log_decay = decays, c.decay_head = 1, c.decay_row = 2;
            c.form = (rn_form)form, c.chunk = 100;
            float *st[2] = {copy_of(s.s0[0], state_size(&s)),
                            copy_of(s.s0[1], state_size(&s))};
            o[form] = test_floats(s.rows * 2 * 16);
            rn_error err;
            if (rn_retention_forward(x, &c, o[form], NULL, s.q, s.k, s.v, st, NULL, &err))
                fail_msg("%s", err.message);
            free(st[0]), free(st[1]);
        }
        same(masks[m], "chunkwise", o[0], o[2], s.rows * 32, FORWARD_TOLERANCE);
        same(masks[m], "parallel", o[1], o[2], s.rows * 32, FORWARD_TOLERANCE);
        for (int form = 0; form < 3; form++) free(o[form]);
        rn_exec_close(x);
    }
    free(decays);
    free_scene(&s);
}

static void refuses(rn_exec *x, const rn_retention_call *c, const char *word)
{
    rn_error err = {0};
    float one[4] = {0};
    rn_status st = rn_retention_forward(x, c, one, NULL, one, one, one, NULL, NULL, &err);
    assert_int_equal(st, RN_EINVAL);
    assert_non_null(strstr(err.message, word));
}

static void bad_calls(void **state)
{
    (void)state;
    rn_exec *x = test_exec("ref", 1);
    size_t first[] = {0, 1}, backwards[] = {0, 2, 1};
    float decay[] = {-0.1f, -0.1f}, growing[] = {0.1f};
    rn_retention_call good = {.batch = 1,
                              .first = first,
                              .heads = 1,
                              .kv_heads = 1,
                              .dk = 1,
                              .dv = 1,
                              .log_decay = decay,
                              .decay_head = 1};
    rn_retention_call c = good;
    c.heads = 3, c.kv_heads = 2, refuses(x, &c, "kv_heads 2");
    c = good, c.dk = 0, refuses(x, &c, "dk 0");
    c = good, c.batch = 2, c.first = backwards, refuses(x, &c, "first[2] is 1");
    c = good, c.log_decay = growing, refuses(x, &c, "not in (-inf, 0]");
    c = good, c.form = RN_FORM_RECURRENT, refuses(x, &c, "states");
    c = good, c.row_norm = RN_ROW_NORM_TORCHSCALE, refuses(x, &c, "parallel");
    c = good, c.row_norm = RN_ROW_NORM_AUTO, refuses(x, &c, "row normaliser");
    rn_exec_close(x);
}

int main(int argc, char **argv)
{
    folder_count = argc - 1;
    folders = argv + 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_cases),    cmocka_unit_test(every_chunk_length),
        cmocka_unit_test(odd_sizes),       cmocka_unit_test(packed_lengths),
        cmocka_unit_test(grouped_heads),   cmocka_unit_test(long_sequence),
        cmocka_unit_test(any_split),       cmocka_unit_test(decays_near_one),
        cmocka_unit_test(decay_per_token), cmocka_unit_test(bad_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
