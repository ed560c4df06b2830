"""Writes the golden files of this reference: retention cases, rotary tables, tiny models.

    generate.py [DIRECTORY]            write (default: tests/golden/reference)
    generate.py --check [DIRECTORY]    compute anew and compare with the files

Every model is checked before it is written: the three forms, a split at every position,
gradients at two step sizes, and that every tensor and the row normaliser matter.
"""
import json
import os
import sys

import numpy as np

import model
import retention
import tensorfile

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULT = os.path.join(HERE, os.pardir, "golden", "reference")

# norm, B, T, dk, dv, gamma of each head, tokens seen
OPS = [
    ("none", 2, 31, 5, 9, (1.0, 0.3, 0.96875), 0),
    ("none", 1, 130, 2, 3, (1.0,), 0),
    ("none", 1, 3, 33, 40, (0.3,), 0),
    ("none", 1, 65, 33, 3, (0.984375,), 0),
    ("none", 2, 2, 7, 1, (1.0, 0.3, 0.5, 0.875, 0.9921875), 0),
    ("decay", 1, 65, 7, 9, (0.3, 1.0, 0.9990234375), 1000),
    ("decay", 2, 3, 5, 3, (1.0, 0.3, 0.5, 0.875, 0.9921875), 0),
    ("decay", 1, 130, 5, 1, (1.0,), 0),
    ("decay", 1, 1, 33, 40, (1.0,), 1000),
    ("decay", 1, 31, 2, 40, (0.3,), 0),
    ("paper", 2, 31, 33, 9, (0.998046875,), 1000),
    ("paper", 1, 65, 5, 3, (0.3, 0.96875, 0.984375, 0.9921875, 1.0), 0),
    ("paper", 1, 130, 7, 3, (0.3, 1.0, 0.9921875), 1000),
    ("paper", 2, 2, 2, 17, (1.0, 0.3, 0.96875), 0),
    ("torchscale", 1, 31, 7, 9, (0.3, 1.0, 0.96875), 0),
    ("torchscale", 2, 65, 5, 17, (0.9921875,), 0),
]


def float32(x):
    """The nearest float32, as float64: exact in both."""
    return np.asarray(x, np.float32).astype(float)


def ops_case(random, norm, B, T, dk, dv, gamma, n0):
    H = len(gamma)
    gamma = float32(gamma)

    def draw(*shape):
        return float32(random.standard_normal(shape))

    q, k, v = draw(B, H, T, dk), draw(B, H, T, dk), draw(B, H, T, dv)
    q = float32(q / np.sqrt(dk))
    if norm == "torchscale":
        # Row sums from below 1 to above 5e4, so that both bounds of the clamp are met.
        q *= 2.0 ** random.randint(-6, 20, (B, H, T, 1))
        start = retention.empty_state(B, H, dk, dv)
    else:
        # A z as large as n0 tokens leave it, and rows on both sides of the bound 1.
        z0 = draw(B, H, dk) * (16.0 if n0 else 0.0) + 0.0
        start = retention.State(draw(B, H, dk, dv), z0, n0)
        q *= 4.0 if norm == "paper" else 1.0
    o, end, factor = retention.parallel(q, k, v, gamma, norm, start)
    if norm != "torchscale":
        other, _, _ = retention.recurrent(q, k, v, gamma, norm, start)
        assert retention.distance(other, o) < 1e-12
    d_o, d_sT = draw(*o.shape), draw(*end.S.shape)
    dq, dk_, dv_, ds0 = retention.backward(q, k, v, gamma, start, factor, d_o, d_sT)
    case = {"q": q, "k": k, "v": v, "gamma": gamma, "s0": start.S, "o": o, "sT": end.S,
            "d_o": d_o, "d_sT": d_sT, "dq": dq, "dk": dk_, "dv": dv_, "ds0": ds0}
    if norm != "none":
        case["n0"] = np.array([start.n])
        case["d0"] = retention.decay_sum(gamma, start.n)
        case["dT"] = retention.decay_sum(gamma, end.n)
    if norm == "paper":
        case["z0"], case["zT"] = start.z, end.z
    return f"{norm}-B{B}-H{H}-T{T}-dk{dk}-dv{dv}", case


def rotary_case(random):
    positions = np.array([0, 1, 7, 1000, 999999])
    case = {"positions": positions}
    for pairing in ("adjacent", "halves"):
        for dk in (2, 6, 16):
            x = float32(random.standard_normal((len(positions), dk)))
            case[f"{pairing}.{dk}.x"] = x
            case[f"{pairing}.{dk}.y"] = model.rotate(x, positions, pairing,
                                                     model.thetas(pairing, dk))
    return case


BASE = {
    "format": "retnet", "version": 1, "mixer": "retention", "vocab_size": 17, "width": 8,
    "layers": 2, "heads": 2, "kv_heads": 2, "key_dim": 4, "value_dim": 6, "ffn": "gated",
    "ffn_width": 10, "ffn_norm": False, "activation": "swish", "norm": "rms",
    "norm_position": "pre", "norm_eps": 1e-6, "head_norm": "rms",
    "head_norm_weight": "none", "output_gate": True, "bias": False, "tied": False,
    "embedding_scale": 1.0, "embedding_norm": False, "residual_scale": 1.0,
    "rotary": "adjacent", "row_norm": "none", "decays": [0.96875, 0.984375],
    "dropout": 0.0,
}

# name: (T, seed, what differs from BASE). A large norm_eps makes the row normaliser show.
MODELS = {
    "official": (15, 1, dict(
        tied=True, embedding_scale=8 ** 0.5, row_norm="decay", norm_eps=0.05)),
    "deepnorm": (13, 2, dict(
        width=7, layers=3, value_dim=3, norm_position="post", residual_scale=6 ** 0.25,
        activation="gelu", embedding_norm=True, row_norm="paper", norm_eps=0.02,
        vocab_size=13, ffn_width=9)),
    "legacy": (15, 3, dict(
        width=8, value_dim=8, ffn="plain", ffn_norm=True, activation="gelu", norm="layer",
        head_norm="group", bias=True, row_norm="paper", norm_eps=0.03,
        embedding_scale=8 ** 0.5)),
    "fla": (17, 4, dict(
        width=12, layers=1, heads=4, kv_heads=2, key_dim=6, value_dim=5, ffn_width=14,
        head_norm_weight="shared", rotary="halves",
        decays=[1 - 2.0 ** (-5 - h) for h in range(4)], vocab_size=19, norm_eps=0.02)),
    "channel": (11, 5, dict(
        width=9, layers=2, heads=3, kv_heads=1, key_dim=5, value_dim=4, ffn="plain",
        ffn_norm=True, activation="relu", head_norm="group", head_norm_weight="channel",
        rotary="none", tied=True, decays=[1.0, 0.3, 0.875], norm_eps=1e-5)),
    "bare": (17, 6, dict(
        layers=2, kv_heads=1, key_dim=6, value_dim=3, ffn="plain", head_norm="none",
        output_gate=False, rotary="halves", row_norm="torchscale", decays=[0.9375, 1.0],
        vocab_size=23)),
    "post-layer": (15, 7, dict(
        width=6, heads=3, kv_heads=3, value_dim=2, activation="relu", ffn_norm=True,
        ffn_width=7, norm="layer", norm_position="post", bias=True, embedding_norm=True,
        embedding_scale=3.0, decays=[0.3, 0.96875, 1.0], head_norm_weight="shared",
        head_norm="group", norm_eps=1e-3)),
    "angles": (19, 8, dict(
        width=10, layers=1, heads=3, kv_heads=3, key_dim=6, value_dim=7, norm="layer",
        row_norm="paper", norm_eps=0.05, head_norm_weight="channel",
        decays=[0.984375, 1.0, 0.5], angles=[0.75, 0.0, 0.03125], bias=True,
        residual_scale=0.75, tied=True)),
    "narrow": (19, 9, dict(
        width=6, layers=3, heads=1, kv_heads=1, key_dim=2, value_dim=1, ffn="gated",
        activation="gelu", head_norm="none", row_norm="paper", decays=[1.0], bias=True,
        norm_eps=0.01, ffn_norm=True)),
    "wide-key": (13, 10, dict(
        width=11, layers=1, heads=4, kv_heads=2, key_dim=8, value_dim=3, rotary="halves",
        row_norm="torchscale", norm_eps=0.1, output_gate=False, embedding_norm=True,
        decays=[0.5, 0.75, 0.96875, 1.0], angles=[1.5, 0.5, 0.125, 0.001],
        vocab_size=21)),
    "layer-decay": (11, 11, dict(
        width=7, heads=1, kv_heads=1, key_dim=10, value_dim=9, norm="layer",
        norm_position="post", residual_scale=1.5, head_norm="group", row_norm="decay",
        norm_eps=0.05, rotary="adjacent", decays=[0.9990234375], tied=True)),
}

CHOICES = {
    "ffn": {"gated", "plain"}, "ffn_norm": {True, False}, "output_gate": {True, False},
    "activation": {"swish", "gelu", "relu"}, "norm": {"rms", "layer"},
    "norm_position": {"pre", "post"}, "head_norm": {"rms", "group", "none"},
    "head_norm_weight": {"none", "shared", "channel"}, "bias": {True, False},
    "tied": {True, False}, "embedding_norm": {True, False},
    "rotary": {"adjacent", "halves", "none"}, "row_norm": set(retention.ROW_NORMS),
}


def draw_tensors(config, random):
    """Matrices of variance 1/fan-in, so that logits have a standard deviation near 1."""
    tensors = {}
    for name, shape in model.shapes(config).items():
        x = random.standard_normal(shape)
        if name.endswith(".bias"):
            x *= 0.3
        elif len(shape) == 1:
            x = 1 + 0.3 * x
        elif name == "embedding.weight":
            x *= (1.5 / shape[1]) ** 0.5 if config["tied"] else 1
        else:
            x *= (1.5 / shape[1]) ** 0.5
        tensors[name] = float32(x)
    return tensors


def check_states(config, tensors, ids, logits):
    """Largest distance of the logits: any form, and continuing after any split."""
    if config["row_norm"] == "torchscale":
        return 0.0
    far, T = 0.0, ids.shape[1]
    for form, chunk in (("recurrent", None), ("chunkwise", 1), ("chunkwise", 4),
                        ("parallel", None)):
        for cut in range(T + 1):
            head, states, _ = model.forward(config, tensors, ids[:, :cut], None, form,
                                            chunk)
            tail, _, _ = model.forward(config, tensors, ids[:, cut:], states, form, chunk)
            far = max(far, retention.distance(np.concatenate([head, tail], 1), logits))
    return far


def row_norm_effect(config, tensors, ids, logits):
    """Smallest change of the logits under any other row normaliser."""
    others = [model.forward({**config, "row_norm": norm}, tensors, ids)[0]
              for norm in retention.ROW_NORMS if norm != config["row_norm"]]
    return min(np.max(np.abs(other - logits)) for other in others)


def model_case(name):
    T, seed, changes = MODELS[name]
    random = np.random.RandomState(seed)
    config = {**BASE, **changes}
    tensors = draw_tensors(config, random)
    ids = random.randint(0, config["vocab_size"], (2, T))
    logits, _, _ = model.forward(config, tensors, ids)
    states = check_states(config, tensors, ids, logits)
    effect = row_norm_effect(config, tensors, ids, logits)

    gradient = model.gradient(config, tensors, ids)
    again = model.gradient(config, tensors, ids, step=2.0 ** -16)
    gap = max(np.max(np.abs(gradient[n] - again[n])) for n in tensors)
    least = min(np.max(np.abs(g)) for g in gradient.values())
    print(f"{name:12} {sum(t.size for t in tensors.values()):5} parameters  "
          f"logits std {np.std(logits):.2f}  forms {states:.0e}  steps {gap:.0e}  "
          f"least gradient {least:.0e}  row norm {effect:.0e}")
    assert states < 1e-12 and gap < 1e-9 and least > 1e-3 and effect > 5e-5, name
    assert 0.5 < np.std(logits) < 2.5

    # torchscale has no state to carry, so nothing may go before the split.
    split = 0 if config["row_norm"] == "torchscale" else 1 + seed % (T - 1)
    io = {"ids": ids, "logits": logits, "split": np.array([split]),
          "loss": np.array([model.loss(logits, ids)])}
    io.update(("grad." + n, g) for n, g in gradient.items())
    return config, {n: t.astype(np.float32) for n, t in tensors.items()}, io


def put(path, tensors, check):
    """Writes, or compares within 1e-9 of max(1, largest entry)."""
    if not check:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        tensorfile.save(path, tensors)
        return
    stored = tensorfile.load(path)
    if set(stored) != set(tensors):
        raise SystemExit(f"{path}: tensors {sorted(set(stored) ^ set(tensors))}")
    for name, tensor in tensors.items():
        if retention.distance(stored[name], tensor) > 1e-9:
            raise SystemExit(f"{path}: {name} differs")


def main(arguments):
    check = "--check" in arguments
    places = [a for a in arguments if a != "--check"]
    directory = places[0] if places else DEFAULT
    for key, values in CHOICES.items():
        assert {({**BASE, **c})[key] for _, _, c in MODELS.values()} == values, key

    random = np.random.RandomState(20)
    for row in OPS:
        name, case = ops_case(random, *row)
        put(os.path.join(directory, "ops", name + ".safetensors"), case, check)
    put(os.path.join(directory, "rotary.safetensors"), rotary_case(random), check)
    for name in MODELS:
        config, tensors, io = model_case(name)
        folder = os.path.join(directory, "models", name)
        put(os.path.join(folder, "model.safetensors"), tensors, check)
        put(os.path.join(folder, "io.safetensors"), io, check)
        text = json.dumps(config, indent=2) + "\n"
        path = os.path.join(folder, "config.json")
        with open(path, "r" if check else "w", encoding="utf-8") as file:
            if not check:
                file.write(text)
            elif file.read() != text:
                raise SystemExit(f"{path} differs")


if __name__ == "__main__":
    main(sys.argv[1:])
