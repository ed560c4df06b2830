#!/usr/bin/env bash
# llama.cpp beside retnet on this machine, in turns: bench/llama_cpp.sh [THREADS] [ROUNDS]
# Clones and builds llama.cpp in build/llama.cpp, makes a Llama of 1.3B parameters with random
# weights, quantises it, and prints tokens a second of decoding at depth 0, 2,048 and 8,192 and of
# prompts of 128, 2,048 and 8,192, with retnet's `1.3b` after each. Other architectures of about
# the same bytes: compare what part of the memory's bandwidth each reaches, and how each bends
# with the depth. Needs git, a C++ compiler, cmake and python3. LLAMA_CPP names another tree, OPTIONS
# what its llama-bench is told beside; of ik_llama.cpp, whose llama-bench knows no depth:
#   LLAMA_CPP=TREE DEPTHS=0 OPTIONS='-rtr 1' bench/llama_cpp.sh
# Hours in full; a look: TYPES='Q8_0 Q4_0' DEPTHS=0,2048 PROMPTS=128 bench/llama_cpp.sh 2 1
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${1:-2}
rounds=${2:-3}
tree=${LLAMA_CPP:-build/llama.cpp}
types=${TYPES:-bf16 Q8_0 Q4_0 Q4_K_M}
depths=${DEPTHS:-0,2048,8192}
prompts=${PROMPTS:-128,2048,8192}
read -ra options <<<"${OPTIONS:-}"
behind=()
[ "$depths" = 0 ] || behind=(-d "$depths")
retnet=build/release/retnet
models=build/llama-models
[ -x "$retnet" ] || tools/build.sh release
mkdir -p "$models"

if [ ! -x "$tree/build/bin/llama-bench" ]; then
    [ -d "$tree" ] || git clone --depth 1 https://github.com/ggml-org/llama.cpp "$tree"
    cmake -S "$tree" -B "$tree/build" -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF
    cmake --build "$tree/build" -j "$threads" --target llama-bench llama-quantize
fi
if [ ! -e "$models/ready" ]; then
    python3 -m venv "$models/venv"
    "$models/venv/bin/pip" install gguf numpy
    "$models/venv/bin/python" bench/random_llama.py "$models/bf16.gguf"
    for type in Q8_0 Q4_0 Q4_K_M; do
        "$tree/build/bin/llama-quantize" "$models/bf16.gguf" "$models/$type.gguf" "$type"
    done
    touch "$models/ready"
fi

for ((round = 1; round <= rounds; round++)); do
    for type in $types; do
        ours=$(printf '%s' "${type%_M}" | tr QK qk)
        printf '\n== round %d, llama.cpp %s\n' "$round" "$type"
        bench=("$tree/build/bin/llama-bench" -m "$models/$type.gguf" -t "$threads" "${options[@]}")
        "${bench[@]}" -r 3 -n 16 -p 0 "${behind[@]}"
        "${bench[@]}" -r 1 -n 0 -p "$prompts"
        printf '\n== round %d, retnet %s\n' "$round" "$ours"
        "$retnet" bench decode --random 1 --preset 1.3b --type "$ours" -t "$threads" \
            --depth "$depths" --seq 16 --repeat 3
        "$retnet" bench prompt --random 1 --preset 1.3b --type "$ours" -t "$threads" \
            --seq "$prompts" --repeat 1
    done
done
