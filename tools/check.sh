#!/usr/bin/env bash
# Everything that must hold before a change is taken: the style, the one-way layers, and the
# tests under gcc, clang, the thread sanitizer and the address and undefined behaviour
# sanitizers; where the processor lacks AVX-512 or its BF16 part, that code by AVX2.
# Stops at the first failure; ends with the last summary of ctest.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/setup.sh check
tools/format.sh --check
tools/check_layers.py
if grep -qw avx2 /proc/cpuinfo && ! grep -qw avx512_bf16 /proc/cpuinfo; then
    tools/build.sh emulated --test -L cpu
fi
for preset in dev clang tsan asan; do
    tools/build.sh "$preset" --test
done
