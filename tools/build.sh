#!/usr/bin/env bash
# Configures and builds one preset, and with --test runs its tests, or those that options of
# ctest choose: tools/build.sh PRESET [--test [OPTION...]]
# One line a step; a failing step prints everything it said. Ends with ctest's own summary.
set -euo pipefail
cd "$(dirname "$0")/.."
preset=$1
folder=build/$preset
log=$folder/house.log
mkdir -p "$folder"

# step NAME COMMAND...: runs silently, prints the time it took, or on failure its output.
step() {
    local name=$1 begin=$SECONDS
    shift
    if ! "$@" >"$log" 2>&1 </dev/null; then
        grep -vE '^\[[0-9]+/[0-9]+\] ' "$log" || true # not what went well
        echo "$name: FAILED"
        exit 1
    fi
    echo "$name: $((SECONDS - begin)) s"
}

# Older thread sanitizers need a fixed memory layout.
fixed=()
if [ "$preset" = tsan ] && setarch -R true 2>/dev/null; then
    fixed=(setarch -R)
fi

step "configure $preset" cmake --preset "$preset"
step "build $preset" "${fixed[@]}" cmake --build --preset "$preset"
[ "${2:-}" = --test ] || exit 0

jobs=$(nproc)
[ "$jobs" -le 4 ] || jobs=4
step "test $preset" "${fixed[@]}" ctest --test-dir "$folder" --output-on-failure -j "$jobs" "${@:3}"
sed -n '/tests passed/,$p' "$log"
