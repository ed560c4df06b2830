"""Writes tests/golden/blocks: random blocks of each number format and what they stand for,
according to the gguf package (PyPI), which shares no code with the C sources.

    blocks.py         needs numpy and gguf
"""
import os

import gguf
import numpy as np

import tensorfile

OUT = os.path.join(os.path.dirname(__file__), "..", "golden", "blocks")
# Format: blocks, bytes of one, where its halves lie.
FORMATS = {"q8_0": (8, 34, [0]), "q4_0": (8, 18, [0]), "q4_k": (4, 144, [0, 2]),
           "q6_k": (4, 210, [208])}
# The first blocks' halves: a subnormal one, the largest, a negative one, 1/64.
HALVES = np.array([0x0003, 0x7bff, 0xa123, 0x2400], "<u2")


def random_blocks(rng, count, size, halves):
    raw = rng.integers(0, 256, (count, size), dtype=np.uint8)
    for at in halves:
        scale = rng.integers(0x0400, 0x7c00, count).astype("<u2")
        scale[:len(HALVES)] = HALVES
        raw[:, at:at + 2] = scale.view(np.uint8).reshape(count, 2)
    return raw


def main():
    rng = np.random.default_rng(20240229)
    tensors = {}
    for name, (count, size, halves) in FORMATS.items():
        raw = random_blocks(rng, count, size, halves)
        kind = gguf.GGMLQuantizationType[name.upper()]
        tensors[name + ".blocks"] = raw
        tensors[name + ".floats"] = gguf.quants.dequantize(raw, kind).astype("<f4")
    os.makedirs(OUT, exist_ok=True)
    tensorfile.save(os.path.join(OUT, "blocks.safetensors"), tensors)


if __name__ == "__main__":
    main()
