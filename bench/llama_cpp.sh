#!/usr/bin/env bash
# llama.cpp beside retnet on this machine, in turns: bench/llama_cpp.sh [THREADS] [ROUNDS]
# Clones and builds llama.cpp in build/llama.cpp, makes a Llama of 1.3B parameters with random
# weights, quantises it, and prints tokens a second of decoding at depth 0, 2,048 and 8,192 and of
# prompts of 128, 2,048 and 8,192, with retnet's `1.3b` after each. Other architectures of about
# the same bytes: compare what part of the memory's bandwidth each reaches, and how each bends
# with the depth. Needs git, a C++ compiler, cmake and python3; LLAMA_CPP names another tree.
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${1:-2}
rounds=${2:-3}
tree=${LLAMA_CPP:-build/llama.cpp}
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
    for pair in bf16:bf16 Q8_0:q8_0 Q4_0:q4_0 Q4_K_M:q4_k; do
        printf '\n== round %d, llama.cpp %s\n' "$round" "${pair%:*}"
        "$tree/build/bin/llama-bench" -m "$models/${pair%:*}.gguf" -t "$threads" -r 3 \
            -n 16 -p 0 -d 0,2048,8192
        "$tree/build/bin/llama-bench" -m "$models/${pair%:*}.gguf" -t "$threads" -r 1 \
            -n 0 -p 128,2048,8192
        printf '\n== round %d, retnet %s\n' "$round" "${pair#*:}"
        "$retnet" bench decode --random 1 --preset 1.3b --type "${pair#*:}" -t "$threads" \
            --depth 0,2048,8192 --seq 16 --repeat 3
        "$retnet" bench prompt --random 1 --preset 1.3b --type "${pair#*:}" -t "$threads" \
            --seq 128,2048,8192 --repeat 1
    done
done
