#!/usr/bin/env bash
# retnet beside the same RetNet in PyTorch: bench/pytorch/compare.sh [options of compare.py]
# Makes a virtual environment in build/pytorch (or $VENV) with PyTorch and torchscale, once.
# PyTorch's packages for graphics cards are several gigabytes and not needed; the small build is
#   TORCH_INDEX=https://download.pytorch.org/whl/cpu bench/pytorch/compare.sh
# A quick look, some minutes: bench/pytorch/compare.sh --models 34m --what train --rounds 1
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${VENV:-build/pytorch}
retnet=build/release/retnet
[ -x "$retnet" ] || tools/build.sh release

if [ ! -e "$venv/ready" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
    "$venv/bin/pip" install numpy
    # Its other dependencies serve parts that this model has not; compare.py stands in for them.
    "$venv/bin/pip" install --no-deps torchscale==0.3.0
    touch "$venv/ready"
fi
exec "$venv/bin/python" bench/pytorch/compare.py "$@"
