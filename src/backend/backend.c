/* Opens an execution handle: device, instruction sets, threads, kernel table and dense
   product. The CPU is the only device here. */
#include "cpu/cpu.h"
#include "cpu/gemm.h"

#include "core/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_THREADS 1024

/* The mask that a name stands for, on a processor that has `have`. */
static rn_status parse_cpu(unsigned *mask, const char *name, unsigned have, rn_error *err)
{
    unsigned want;
    if (!name || !strcmp(name, "auto")) want = have;
    else if (!strcmp(name, "ref")) want = 0;
    else if (!strcmp(name, "avx2")) want = RN_CPU_AVX2;
    else if (!strcmp(name, "avx512"))
        want = RN_CPU_AVX2 | RN_CPU_AVX512 | (have & (RN_CPU_VNNI | RN_CPU_BF16));
    else
        return rn_fail(err, RN_EINVAL, "cpu: '%s' is not one of ref, avx2, avx512, auto",
                       name);
    if (want & ~have)
        return rn_fail(err, RN_EUNSUPPORTED, "cpu: this machine has no %s (best: %s)",
                       name, rn_cpu_name(have));
    *mask = want;
    return RN_OK;
}

static rn_status check_options(const rn_exec_options *o, rn_error *err)
{
    if (o->device && strcmp(o->device, "cpu") != 0)
        return rn_fail(err, RN_EUNSUPPORTED,
                       "device: '%s' is not there; this build has cpu", o->device);
    if (o->threads < 0 || o->threads > MOST_THREADS)
        return rn_fail(err, RN_EINVAL, "threads: %d is not in 0..%d", o->threads,
                       MOST_THREADS);
    return RN_OK;
}

static int default_threads(void)
{
    int cores = rn_cpu_cores();
    return cores < MOST_THREADS ? cores : MOST_THREADS;
}

/* Whether products in bfloat16 are worth it: the reference takes its time anyway. */
static bool can_bf16(unsigned cpu)
{
    return cpu & RN_CPU_BF16 || !(cpu & RN_CPU_AVX2);
}

rn_status rn_exec_open(rn_exec **out, const rn_exec_options *options, rn_error *err)
{
    static const rn_exec_options defaults = {0};
    const rn_exec_options *o = options ? options : &defaults;
    unsigned cpu = 0;
    rn_status st = check_options(o, err);
    if (st) return st;
    st = parse_cpu(&cpu, o->cpu, rn_cpu_detect(), err);
    if (st) return st;

    rn_exec *x = calloc(1, sizeof *x);
    if (!x) return rn_fail_memory(err, "an execution handle", sizeof *x);
    x->cpu = cpu;
    x->threads = o->threads ? o->threads : default_threads();
    rn_kernels_pick(&x->k, cpu);
    x->bf16 = o->bf16 && can_bf16(cpu);
    st = rn_gemm_open(x, err);
    if (!st && x->bf16) st = rn_exec_reserve(x, RN_GEMM_BF16_SCRATCH, err);
    if (st) goto fail;
    snprintf(x->description, sizeof x->description, "cpu %s, %d thread%s, gemm %s%s",
             rn_cpu_name(cpu), x->threads, x->threads == 1 ? "" : "s", x->gemm_name,
             x->bf16 ? ", bf16" : "");
    *out = x;
    return RN_OK;
fail:
    rn_exec_close(x);
    return st;
}

void rn_exec_close(rn_exec *x)
{
    if (!x) return;
    if (x->gemm_free) x->gemm_free(x->gemm);
    rn_block_free(x->scratch);
    rn_block_free(x->acts);
    free(x);
}

int rn_exec_threads(const rn_exec *x)
{
    return x->threads;
}

bool rn_exec_bf16(const rn_exec *x)
{
    return x->bf16;
}

const char *rn_exec_describe(const rn_exec *x)
{
    return x->description;
}
