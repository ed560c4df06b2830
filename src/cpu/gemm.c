/* The choice behind the slot gemm: the variant that the table holds, or oneDNN on
   request. It is not the default: a signal handler that runs on the stack of its sgemm
   (2.6.3) damages the heap, and Ctrl-C during training is such a signal. */
#include "cpu/gemm.h"

#include "cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

/* Why oneDNN cannot serve this handle, or NULL. It picks its instruction set once per
   process, so a lowered mask could not be kept. */
static const char *library_obstacle(const rn_exec *x)
{
#if RN_HAVE_DNNL
    if (!(x->cpu & RN_CPU_AVX2)) return "the CPU mask is below AVX2";
    if (x->cpu != rn_cpu_detect())
        return "the CPU mask is lowered and oneDNN would exceed it";
    return rn_gemm_dnnl_obstacle();
#else
    (void)x;
    return "this build is without oneDNN";
#endif
}

static rn_status use_own(rn_exec *x, rn_error *err)
{
    const bool reference = !(x->cpu & RN_CPU_AVX2);
    if (!reference) {
        rn_status st = rn_exec_reserve(x, RN_GEMM_SCRATCH, err);
        if (st) return st;
    }
    x->gemm = NULL;
    x->gemm_free = NULL;
    x->gemm_name = reference ? "reference" : "own";
    return RN_OK;
}

rn_status rn_gemm_open_as(rn_exec *x, const char *choice, rn_error *err)
{
    const bool library = choice && strcmp(choice, "dnnl") == 0;
    if (choice && !library && strcmp(choice, "own") != 0)
        return rn_fail(err, RN_EINVAL, "RN_GEMM: \"%s\" is neither own nor dnnl", choice);
    const char *obstacle = library_obstacle(x);
    if (library && obstacle)
        return rn_fail(err, RN_EUNSUPPORTED, "RN_GEMM=dnnl: %s", obstacle);
    rn_status st = use_own(x, err);
#if RN_HAVE_DNNL
    if (!st && library) st = rn_gemm_dnnl_open(x, err);
#endif
    return st;
}

rn_status rn_gemm_open(rn_exec *x, rn_error *err)
{
    const char *choice = getenv("RN_GEMM");
    return rn_gemm_open_as(x, choice && *choice ? choice : NULL, err);
}
