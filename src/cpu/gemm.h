/*
 * Dense products of the CPU: which library, or which of the project's own kernels, stands
 * behind the slot gemm of an execution handle. matvec is always the project's own.
 */
#ifndef RN_CPU_GEMM_H
#define RN_CPU_GEMM_H

#include "kernels/exec.h"

/* Bytes of scratch that each thread of a handle with AVX2 has: the own product packs into
   it, and products of many rows with packed weights do. */
#define RN_GEMM_SCRATCH ((size_t)960 << 10)

/*
 * Fills x->k.gemm, x->gemm, x->gemm_free and x->gemm_name from x->cpu and x->threads, and
 * makes sure of the scratch that the own kernels need. To be called once per handle,
 * after its table was picked. The environment variable RN_GEMM=own|dnnl overrides the
 * choice for measurements: RN_EINVAL for another value, RN_EUNSUPPORTED for dnnl where it
 * is not there. Free with x->gemm_free(x->gemm) when gemm_free is not NULL.
 */
rn_status rn_gemm_open(rn_exec *x, rn_error *err);

/* The same with the choice as an argument: "own", "dnnl", or NULL for own. */
rn_status rn_gemm_open_as(rn_exec *x, const char *choice, rn_error *err);

/* oneDNN, in builds that have it (gemm_dnnl.c). obstacle: why this library cannot serve
   at all, or NULL. open: puts it over the table's slot, which stays behind it for what it
   does better. */
const char *rn_gemm_dnnl_obstacle(void);
rn_status rn_gemm_dnnl_open(rn_exec *x, rn_error *err);

#endif
