#!/usr/bin/env bash
# Every fuzz program (or those whose name matches ONLY) for SECONDS_EACH (60) seconds under the
# address and undefined behaviour sanitizers. Not part of `make check`: a minute for each parser.
set -euo pipefail
cd "$(dirname "$0")/.."
tools/build.sh fuzz
export SECONDS_EACH=${SECONDS_EACH:-60}
ctest --test-dir build/fuzz -L fuzz -R "${ONLY:-fuzz_}" --output-on-failure -j "$(nproc)"
