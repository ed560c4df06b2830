"""Checks the reference against golden cases made by published code.

    check_golden.py DIRECTORY     of retention-ops and the torchscale, fla ... folders
"""
import glob
import json
import os
import sys

import numpy as np

import model
import retention
import tensorfile

# Published name, without "model." -> native name; any other name is an error.
COMMON = [("lm_head.", "output."), ("q_proj.", "q."), ("k_proj.", "k."),
          ("v_proj.", "v."), ("g_proj.", "g.")]
TORCHSCALE = [
    ("embed_tokens.", "embedding."), ("layernorm_embedding.", "embedding_norm."),
    ("output_projection.", "output."), (".retention_layer_norm.", ".mixer_norm."),
    (".final_layer_norm.", ".ffn_norm."), (".retention.", ".mixer."),
    (".ffn.ffn_layernorm.", ".ffn.norm."), ("layer_norm.", "norm."),
    ("out_proj.", "o."), (".ffn.fc2.", ".ffn.down."),
]
TORCHSCALE_GATED = [(".ffn.gate.", ".ffn.up."), (".ffn.fc1.", ".ffn.gate.")]
TORCHSCALE_PLAIN = [(".ffn.fc1.", ".ffn.up.")]
FLA = [
    ("embeddings.", "embedding."),
    (".attn_norm.", ".mixer_norm."), (".mlp_norm.", ".ffn_norm."), (".attn.", ".mixer."),
    (".mlp.", ".ffn."), ("g_norm_swish_gate.", "head_norm."), ("o_proj.", "o."),
    ("gate_proj.", "gate."), ("up_proj.", "up."), ("down_proj.", "down."),
]


def rename(name, rules):
    name = name.removeprefix("model.")
    for old, new in rules + COMMON:
        # A rule without a leading dot holds at the start of the name or after a dot.
        if old[0] == "." or name.startswith(old) or "." + old in name:
            name = name.replace(old, new, 1)
    return name


def from_torchscale(theirs, tensors):
    tensors = {name.removeprefix("model."): t for name, t in tensors.items()}
    legacy = "layer_norm.bias" in tensors
    H, D, L = (theirs["decoder_" + key]
               for key in ("retention_heads", "embed_dim", "layers"))
    value = theirs.get("decoder_value_embed_dim", 2 * D)
    decay = np.exp(tensors["retnet_rel_pos.decay"].astype(float))
    config = {
        "mixer": "retention", "vocab_size": theirs["vocab_size"], "width": D, "layers": L,
        "heads": H, "kv_heads": H, "key_dim": D // H, "value_dim": value // H,
        "ffn": "plain" if legacy else "gated",
        "ffn_width": theirs["decoder_ffn_embed_dim"], "ffn_norm": legacy,
        "activation": theirs["activation_fn"], "norm": "layer" if legacy else "rms",
        "norm_position": "pre" if theirs["decoder_normalize_before"] else "post",
        "norm_eps": theirs["layernorm_eps"], "head_norm": "group" if legacy else "rms",
        "head_norm_weight": "none", "output_gate": True, "bias": legacy,
        "tied": theirs.get("share_decoder_input_output_embed",
                           theirs.get("tie_word_embeddings")),
        "embedding_scale": 1.0 if theirs["no_scale_embedding"] else D ** 0.5,
        "embedding_norm": theirs["layernorm_embedding"],
        "residual_scale": (2 * L) ** 0.25 if theirs["deepnorm"] else 1.0,
        "rotary": "adjacent", "row_norm": "paper" if legacy else "torchscale",
        "decays": decay.tolist(),
        "angles": tensors["retnet_rel_pos.angle"][::2].tolist(), "dropout": 0.0,
    }
    return config, (TORCHSCALE_PLAIN if legacy else TORCHSCALE_GATED) + TORCHSCALE


def from_fla(theirs, tensors):
    H, D = theirs["num_heads"], theirs["hidden_size"]
    config = {
        "mixer": "retention", "vocab_size": theirs["vocab_size"], "width": D,
        "layers": theirs["num_hidden_layers"], "heads": H,
        "kv_heads": theirs["num_kv_heads"] or H,
        "key_dim": int(D * theirs["expand_k"]) // H,
        "value_dim": int(D * theirs["expand_v"]) // H, "ffn": "gated",
        "ffn_width": theirs["intermediate_size"], "ffn_norm": False,
        "activation": theirs["hidden_act"], "norm": "rms", "norm_position": "pre",
        "norm_eps": theirs["norm_eps"], "head_norm": "rms", "head_norm_weight": "shared",
        "output_gate": theirs["use_output_gate"], "bias": False,
        "tied": theirs["tie_word_embeddings"], "embedding_scale": 1.0,
        "embedding_norm": False, "residual_scale": 1.0, "rotary": "halves",
        "row_norm": "none", "decays": [1 - 2.0 ** (-5 - h) for h in range(H)],
        "dropout": 0.0,
    }
    return config, FLA


def check_model(folder, random):
    with open(os.path.join(folder, "config.json")) as file:
        theirs = json.load(file)
    stored = tensorfile.load(os.path.join(folder, "model.safetensors"))
    io = tensorfile.load(os.path.join(folder, "io.safetensors"))
    torchscale = any("retnet_rel_pos." in name for name in stored)
    config, rules = (from_torchscale if torchscale else from_fla)(theirs, stored)
    names = {name: rename(name, rules) for name in stored
             if "retnet_rel_pos." not in name}
    tensors = {ours: stored[name].astype(float) for name, ours in names.items()}
    want = model.shapes(config)
    if {n: t.shape for n, t in tensors.items()} != want:
        raise SystemExit(f"{folder}: names or shapes differ: {set(tensors) ^ set(want)}")

    ids = io["ids"]
    worst, report = 0.0, []
    forms = {"parallel": ("parallel", config["row_norm"]),
             "parallel_paper": ("parallel", "paper"),
             "recurrent": ("recurrent", "decay" if torchscale else "none")}
    if not torchscale:
        forms["chunkwise"] = ("chunkwise", "none")
    for form, (way, row_norm) in forms.items():
        if "logits_" + form in io:
            logits, _, _ = model.forward({**config, "row_norm": row_norm}, tensors, ids,
                                         form=way, chunk=16)
            far = np.max(np.abs(logits - io["logits_" + form]))
            report.append(f"{form} {far:.1e}")
            worst = max(worst, far / 3e-5)
            if form == "parallel":
                off = abs(model.loss(logits, ids) - io["loss"][0])
    report.append(f"loss {off:.1e}")

    _, _, factors = model.forward(config, tensors, ids)
    gap = 0.0
    for name, ours in names.items():
        theirs = io["grad." + name].ravel()
        entries = np.array([np.argmax(np.abs(theirs)), random.randint(theirs.size)])
        got = model.difference(config, tensors, ids, ours, entries, 2.0 ** -13, factors)
        gap = max(gap, np.max(np.abs(got - theirs[entries])) / np.max(np.abs(theirs)))
    report.append(f"gradient {gap:.1e}")
    print(f"{os.path.basename(folder):26}", "  ".join(report))
    return max(worst, off / 1e-6, gap / 1e-5) <= 1


def check_ops(path):
    case = {name: t.astype(float) if t.dtype == np.float32 else t
            for name, t in tensorfile.load(path).items()}
    row_norm = os.path.basename(path).split("-")[0]
    q, k, v, gamma = (case[name] for name in ("q", "k", "v", "gamma"))
    z0 = case.get("z0", np.zeros(q.shape[:2] + q.shape[3:]))
    start = retention.State(case["s0"], z0, int(case["n0"][0]) if "n0" in case else 0)
    runs = [retention.parallel(q, k, v, gamma, row_norm, start)]
    if row_norm != "torchscale":
        runs.append(retention.recurrent(q, k, v, gamma, row_norm, start))
        runs += [retention.chunkwise(q, k, v, gamma, row_norm, start, c) for c in (5, 16)]
    far = 0.0
    for o, end, factor in runs:
        pairs = [(o, case["o"]), (end.S, case["sT"])]
        if "zT" in case:
            pairs.append((end.z, case["zT"]))
        if "dT" in case:
            pairs.append((retention.decay_sum(gamma, end.n), case["dT"]))
        gradients = retention.backward(q, k, v, gamma, start, factor, case["d_o"],
                                       case["d_sT"])
        pairs += zip(gradients, (case[name] for name in ("dq", "dk", "dv", "ds0")))
        far = max([far] + [retention.distance(a, b) for a, b in pairs])
    return far


def main(directory):
    good = True
    for pattern in ("retention-ops", "ops"):
        paths = sorted(glob.glob(os.path.join(directory, pattern, "*.safetensors")))
        if paths:
            far = max(map(check_ops, paths))
            print(f"{pattern}: {len(paths)} files, worst {far:.1e}")
            good = good and far < 1e-12
    random = np.random.RandomState(2)
    for name in ("torchscale-tied", "torchscale-deepnorm", "torchscale-official-init",
                 "syncdoth", "legacy-2023", "fla"):
        folder = os.path.join(directory, name)
        if os.path.isdir(folder):
            good = check_model(folder, random) and good
    if not good:
        raise SystemExit("check_golden: out of bounds")


if __name__ == "__main__":
    main(sys.argv[1])
