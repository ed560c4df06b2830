/* What this processor offers: instruction sets by cpuid (the compiler's runtime also asks
   the operating system, by xgetbv, whether it saves the wide registers), and how many
   physical cores the process may use (sched_getaffinity and the topology in /sys). */
#define _GNU_SOURCE
#include "cpu/cpu.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

#define MOST_CPUS 1024

unsigned rn_cpu_detect(void)
{
    unsigned cpu = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    /* Every processor with AVX2 also converts half floats (F16C). */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        cpu |= RN_CPU_AVX2;
#    if defined(RN_EMULATE) /* the rest is made of AVX2 */
    if (cpu & RN_CPU_AVX2) cpu |= RN_CPU_AVX512 | RN_CPU_VNNI | RN_CPU_BF16;
#    endif
    if ((cpu & RN_CPU_AVX2) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        cpu |= RN_CPU_AVX512;
    if ((cpu & RN_CPU_AVX512) && __builtin_cpu_supports("avx512vnni")) cpu |= RN_CPU_VNNI;
    if ((cpu & RN_CPU_AVX512) && __builtin_cpu_supports("avx512bf16")) cpu |= RN_CPU_BF16;
#endif
    return cpu;
}

const char *rn_cpu_name(unsigned cpu)
{
    if (cpu & RN_CPU_AVX512) return "avx512";
    if (cpu & RN_CPU_AVX2) return "avx2";
    return "ref";
}

/* The lowest-numbered hardware thread of the core that this one belongs to: the first
   number of its siblings list. The processor itself where the list cannot be read. */
static int core_of(int cpu)
{
    char path[96];
    snprintf(path, sizeof path,
             "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "r");
    if (!f) return cpu;
    int first;
    if (fscanf(f, "%d", &first) != 1 || first < 0 || first >= MOST_CPUS) first = cpu;
    fclose(f);
    return first;
}

int rn_cpu_cores(void)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed)) return 1;
    bool seen[MOST_CPUS] = {false};
    int cores = 0;
    for (size_t cpu = 0; cpu < MOST_CPUS && cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        int core = core_of((int)cpu);
        cores += !seen[core];
        seen[core] = true;
    }
    return cores ? cores : 1;
}
