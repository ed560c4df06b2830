/* RN_UNROLL before a loop of constant length over a local array of vectors keeps the
   array in registers with both compilers. */
#ifndef RN_CPU_UNROLL_H
#define RN_CPU_UNROLL_H

#ifdef __clang__
#    define RN_UNROLL _Pragma("clang loop unroll(full)")
#else
#    define RN_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
