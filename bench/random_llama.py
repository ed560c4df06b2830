#!/usr/bin/env python3
"""Writes a GGUF file of a Llama of 1.3B parameters with random weights: random_llama.py OUT.

24 layers, width 2,048, 16 heads of 128, feed-forward 5,504, a vocabulary of 32,000 made-up
tokens, embedding and output untied. For measuring speed; it says nothing sensible.
"""
import sys

import gguf
import numpy as np

LAYERS, WIDTH, HEADS, FFN, VOCAB, CONTEXT = 24, 2048, 16, 5504, 32000, 131072


def bf16(values):
    """The upper halves of float32, rounded to nearest."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def add_matrix(writer, random, name, rows, columns):
    values = random.standard_normal((rows, columns), dtype=np.float32) * columns ** -0.5
    writer.add_tensor(name, bf16(values).view(np.uint8).reshape(rows, columns * 2),
                      raw_dtype=gguf.GGMLQuantizationType.BF16)


def add_norm(writer, name):
    writer.add_tensor(name, np.ones(WIDTH, dtype=np.float32))


def add_head(writer):
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(VOCAB)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)


def add_tokens(writer):
    """Three control tokens, the 256 bytes, and made-up pieces."""
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    kinds = [gguf.TokenType.UNKNOWN] + 2 * [gguf.TokenType.CONTROL] + 256 * [gguf.TokenType.BYTE]
    names += [f"piece{number}" for number in range(len(names), VOCAB)]
    kinds += [gguf.TokenType.NORMAL] * (VOCAB - len(kinds))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(names)
    writer.add_token_scores([-float(number) for number in range(VOCAB)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def main():
    writer = gguf.GGUFWriter(sys.argv[1], "llama")
    random = np.random.default_rng(1)
    add_head(writer)
    add_tokens(writer)
    add_matrix(writer, random, "token_embd.weight", VOCAB, WIDTH)
    add_matrix(writer, random, "output.weight", VOCAB, WIDTH)
    add_norm(writer, "output_norm.weight")
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add_matrix(writer, random, f"blk.{layer}.{name}.weight", WIDTH, WIDTH)
        add_matrix(writer, random, f"blk.{layer}.ffn_gate.weight", FFN, WIDTH)
        add_matrix(writer, random, f"blk.{layer}.ffn_up.weight", FFN, WIDTH)
        add_matrix(writer, random, f"blk.{layer}.ffn_down.weight", WIDTH, FFN)
        add_norm(writer, f"blk.{layer}.attn_norm.weight")
        add_norm(writer, f"blk.{layer}.ffn_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
