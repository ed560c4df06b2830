#!/usr/bin/env python3
"""Writes model.gguf with the `gguf` package (0.19.0, with numpy): a small RetNet told by the
standard keys alone, tensors of six types, a value of every type of metadata, and for each tensor
the sum and the sum of squares of its numbers as the package decodes them."""
import pathlib
import sys

import gguf
import numpy as np

T = gguf.GGMLQuantizationType
WIDTH, HEADS, DK, DV, FFN, VOCAB = 32, 2, 16, 32, 32, 24
TENSORS = [
    ("token_embd.weight", (VOCAB, WIDTH), T.F16), ("blk.0.attn_norm.weight", (WIDTH,), T.F32),
    ("blk.0.attn_q.weight", (HEADS * DK, WIDTH), T.F32),
    ("blk.0.attn_k.weight", (HEADS * DK, WIDTH), T.BF16),
    ("blk.0.attn_v.weight", (HEADS * DV, WIDTH), T.Q8_0),
    ("blk.0.attn_g.weight", (HEADS * DV, WIDTH), T.Q4_0),
    ("blk.0.attn_sub_norm.weight", (DV,), T.F32),
    ("blk.0.attn_output.weight", (WIDTH, HEADS * DV), T.F16),
    ("blk.0.ffn_norm.weight", (WIDTH,), T.F32), ("blk.0.ffn_gate.weight", (FFN, WIDTH), T.Q8_0),
    ("blk.0.ffn_up.weight", (FFN, WIDTH), T.Q4_0), ("blk.0.ffn_down.weight", (WIDTH, FFN), T.BF16),
    ("output_norm.weight", (WIDTH,), T.F32), ("output.weight", (VOCAB, WIDTH), T.Q8_0),
]


def add_keys(w):
    w.add_context_length(512)
    w.add_vocab_size(VOCAB)
    w.add_embedding_length(WIDTH)
    w.add_block_count(1)
    w.add_feed_forward_length(FFN)
    w.add_head_count(HEADS)
    w.add_key_length(DK)
    w.add_value_length(DV)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_dimension_count(DK)
    w.add_rope_freq_base(10000.0)
    w.add_key_value("retnet.retention.decay", [0.96875, 0.984375], gguf.GGUFValueType.ARRAY)
    w.add_uint8("test.uint8", 200)
    w.add_int8("test.int8", -100)
    w.add_uint16("test.uint16", 60000)
    w.add_int16("test.int16", -30000)
    w.add_uint32("test.uint32", 4000000000)
    w.add_int32("test.int32", -2000000000)
    w.add_float32("test.float32", 0.1)
    w.add_bool("test.bool", True)
    w.add_string("test.string", "zwölf\n")
    w.add_array("test.array", [1, -2, 3])
    w.add_array("test.strings", ["one", "", "three"])
    w.add_array("test.nested", [[1, 2], [3], [4, 5, 6]])
    w.add_uint64("test.uint64", 2**64 - 1)
    w.add_key_value("test.int64", -2**63, gguf.GGUFValueType.INT64)
    w.add_float64("test.float64", 0.1)


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    out = pathlib.Path(folder) / "model.gguf"
    rng = np.random.default_rng(5)
    w = gguf.GGUFWriter(out, "retnet")
    add_keys(w)
    for name, shape, kind in TENSORS:
        x = rng.standard_normal(shape).astype(np.float32) / np.sqrt(shape[-1])
        x = x if len(shape) == 2 else 1 + x
        data = gguf.quantize(x, kind)
        back = gguf.dequantize(data, kind).astype(np.float64)
        w.add_array(f"test.sums.{name}", [float(back.sum()), float((back * back).sum())])
        w.add_tensor(name, data, raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    main()
