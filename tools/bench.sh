#!/usr/bin/env bash
# Everything that is measured in a few minutes, into build/bench: this machine's limits and every
# kernel against them, the forms of retention against the length, reading, generating alone and in
# batches, training, and what a token costs at growing depth. With gnuplot, drawings as well.
# bench/speed.py measures the large shapes against what is asked of them.
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

# measure_plot NAME OPTIONS...: bench NAME, drawn as well where gnuplot is installed.
measure_plot() {
    local name=$1 plot=()
    shift
    if command -v gnuplot >/dev/null; then plot=(--plot "$out/$name.svg"); fi
    measure "$name" "$retnet" bench "$name" "$@" "${plot[@]}" --quiet
}

measure kernels "$retnet" bench kernels --quiet
measure_plot retention
measure_plot prompt --random 1 --preset 34m --type f32,bf16,q8_0,q4_0
measure_plot decode --random 1 --preset 268m --type f32,bf16,q8_0,q4_0,q4_k --depth 0,2000
measure_plot batch --random 1 --preset 34m --type bf16,q8_0
measure_plot train --random 1 --preset nano --type f32,bf16
measure generating "$cost" -t 1 generate preset:nano 1000 10000 100000
measure reading "$cost" read preset:nano 8192 100000 1000000
printf '\nwritten to %s\n' "$out"
