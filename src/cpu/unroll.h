/* RN_UNROLL before a loop of constant length over a local array of vectors keeps the
   array in registers with both compilers. RN_ROLL keeps a loop of constant length a loop,
   where its steps would otherwise be mixed and their sums spilled. */
#ifndef RN_CPU_UNROLL_H
#define RN_CPU_UNROLL_H

#ifdef __clang__
#    define RN_UNROLL _Pragma("clang loop unroll(full)")
#    define RN_ROLL   _Pragma("clang loop unroll(disable)")
#else
#    define RN_UNROLL _Pragma("GCC unroll 16")
#    define RN_ROLL   _Pragma("GCC unroll 1")
#endif

#endif
