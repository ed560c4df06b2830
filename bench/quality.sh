#!/bin/sh
# What each weight type costs in quality: bench/quality.sh MODEL TEXT [TYPE...]
# Quantises MODEL to every type and prints the perplexity on TEXT (held out from training)
# beside that of float32. RETNET names another program.
set -eu
retnet=${RETNET:-build/release/retnet}
if [ $# -lt 2 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
model=$1 text=$2
shift 2
[ $# -gt 0 ] || set -- bf16 f16 q8_0 q6_k q4_k q4_0
work=$(mktemp -d "${TMPDIR:-/tmp}/retnet-quality-XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

number() { # a field of one JSON object
    sed -n "s/.*\"$1\":\([-+0-9.eE]*\).*/\1/p"
}

base=$("$retnet" eval "$model" --text "$text" --type f32 --quiet --json)
base=$(printf '%s\n' "$base" | number perplexity)
printf '%-6s %12s %14s %10s\n' type bytes perplexity 'over f32'
printf '%-6s %12s %14.5f\n' f32 - "$base"
for type in "$@"; do
    size=$("$retnet" quantize "$model" "$work/$type" --type "$type" --quiet --json)
    size=$(printf '%s\n' "$size" | number bytes_out)
    this=$("$retnet" eval "$work/$type" --text "$text" --quiet --json)
    this=$(printf '%s\n' "$this" | number perplexity)
    awk -v t="$type" -v s="$size" -v a="$this" -v b="$base" \
        'BEGIN { printf "%-6s %12d %14.5f %+9.3f%%\n", t, s, a, 100 * (a / b - 1) }'
    rm -rf "${work:?}/$type"
done
