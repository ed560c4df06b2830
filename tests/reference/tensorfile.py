"""Reads and writes safetensors files of F64, F32, I64 and U8 tensors, with numpy alone.

Layout: header length (8 bytes, little-endian), JSON header, data. No BF16, no metadata.
"""
import json

import numpy as np

TYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "U8": "|u1"}


def save(path, tensors):
    names = {np.dtype(code): name for name, code in TYPES.items()}
    header, blobs, offset = {}, [], 0
    # Widest types first, then by name: every tensor is aligned to its own element size.
    for name in sorted(tensors, key=lambda n: (-tensors[n].dtype.itemsize, n)):
        array = np.ascontiguousarray(tensors[name])
        blob = array.tobytes()
        header[name] = {"dtype": names[array.dtype], "shape": list(tensors[name].shape),
                        "data_offsets": [offset, offset + len(blob)]}
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def load(path):
    with open(path, "rb") as file:
        raw = file.read()
    start = 8 + int.from_bytes(raw[:8], "little")
    tensors = {}
    for name, entry in json.loads(raw[8:start]).items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(raw[start + begin:start + end], TYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors
