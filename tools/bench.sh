#!/usr/bin/env bash
# Everything that is measured, into build/bench: this machine's limits and every kernel against
# them, the forms of retention against the length, and what a token costs at growing depth.
set -euo pipefail
cd "$(dirname "$0")/.."
retnet=build/release/retnet
cost=build/release/constant_cost
out=build/bench
mkdir -p "$out"

# measure NAME COMMAND...: to the terminal and to a file.
measure() {
    local name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" | tee "$out/$name.txt"
}

measure kernels "$retnet" bench kernels --quiet
measure retention "$retnet" bench retention --quiet
measure decode "$retnet" bench decode --random 1 --preset nano --quiet
measure train "$retnet" bench train --random 1 --preset nano --quiet
measure generating "$cost" -t 1 generate preset:nano 1000 10000 100000
measure reading "$cost" read preset:nano 8192 100000 1000000
printf '\nwritten to %s\n' "$out"
