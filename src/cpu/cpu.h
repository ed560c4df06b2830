/* CPU detection, the choice of kernels by instruction set (their prototypes: variants.h),
   and the chains that measure the peak rate. */
#ifndef RN_CPU_CPU_H
#define RN_CPU_CPU_H

#include "kernels/exec.h"

/* The instruction sets (RN_CPU_*) that the processor has and the operating system saves.
 */
unsigned rn_cpu_detect(void);

/* Physical cores among the processors that this process may run on, at least 1. */
int rn_cpu_cores(void);

/* "ref", "avx2" or "avx512": the best instruction set of a mask. */
const char *rn_cpu_name(unsigned cpu);

/* Fills the table: references first, then what each instruction set in the mask has. */
void rn_kernels_pick(rn_kernels *k, unsigned cpu);

/* Runs `rounds` rounds of independent register-only multiply-add chains and returns the
   number of float operations; *sink receives a value that depends on all of them. */
double rn_peak_ref(size_t rounds, float *sink);
double rn_peak_avx2(size_t rounds, float *sink);
double rn_peak_avx512(size_t rounds, float *sink);

/* The same of dot products of pairs of bfloat16, and of four bytes; a multiply-add counts
   as two operations. */
double rn_peak_avx512bf16(size_t rounds, float *sink);
double rn_peak_avx512vnni(size_t rounds, float *sink);

/* Reads `count` floats (a multiple of 128) as fast as memory gives them, and returns a
   sum that depends on all of them. */
float rn_read_ref(const float *data, size_t count);
float rn_read_avx2(const float *data, size_t count);
float rn_read_avx512(const float *data, size_t count);

#endif
