"""The RetNet language model in float64, from a native config and a dict of tensors.

    pre:  x = alpha x + mixer(norm(x));  x = alpha x + ffn(norm(x));  logits = W norm(x)
    post: x = norm(alpha x + mixer(x));  x = norm(alpha x + ffn(x));  logits = W x

Gradients are central differences of the loss over every entry of every tensor, with the
row normaliser's factors held where they are. For that, any tensor may carry one leading
axis P more than its name asks for; what follows from it then has shape [P, B, ...].
No dropout.
"""
import math

import numpy as np

import retention

PROJECTIONS = ("q", "k", "v", "g", "o")


def shapes(config):
    """Shape of every tensor of the model, by native name."""
    V, D, F = config["vocab_size"], config["width"], config["ffn_width"]
    H, KV = config["heads"], config["kv_heads"]
    dk, dv = config["key_dim"], config["value_dim"]
    out = {"embedding.weight": (V, D)}

    def add_norm(name, size):
        out[name + ".weight"] = (size,)
        if config["norm"] == "layer":
            out[name + ".bias"] = (size,)

    def add_linear(name, rows, columns):
        out[name + ".weight"] = (rows, columns)
        if config["bias"]:
            out[name + ".bias"] = (rows,)

    if config["embedding_norm"]:
        add_norm("embedding_norm", D)
    for i in range(config["layers"]):
        layer = f"layers.{i}."
        add_norm(layer + "mixer_norm", D)
        add_linear(layer + "mixer.q", H * dk, D)
        add_linear(layer + "mixer.k", KV * dk, D)
        add_linear(layer + "mixer.v", KV * dv, D)
        if config["output_gate"]:
            add_linear(layer + "mixer.g", H * dv, D)
        add_linear(layer + "mixer.o", D, H * dv)
        if config["head_norm_weight"] != "none":
            size = {"shared": dv, "channel": H * dv}[config["head_norm_weight"]]
            out[layer + "mixer.head_norm.weight"] = (size,)
        add_norm(layer + "ffn_norm", D)
        if config["ffn"] == "gated":
            add_linear(layer + "ffn.gate", F, D)
        add_linear(layer + "ffn.up", F, D)
        add_linear(layer + "ffn.down", D, F)
        if config["ffn_norm"]:
            add_norm(layer + "ffn.norm", F)
    if config["norm_position"] == "pre":
        add_norm("norm", D)
    if not config["tied"]:
        out["output.weight"] = (V, D)
    return out


def vector(t):
    """[n], or [P,n] spread over [P,B,T,n]."""
    return t if t.ndim == 1 else t[:, None, None, :]


def product(x, weight):
    """y = W x; weight [out,in] or [P,out,in]."""
    return x @ np.swapaxes(weight if weight.ndim == 2 else weight[:, None], -1, -2)


def linear(x, tensors, name):
    y = product(x, tensors[name + ".weight"])
    return y + vector(tensors[name + ".bias"]) if name + ".bias" in tensors else y


def standardise(x, kind, eps):
    """Over the last axis. rms: x / sqrt(mean(x^2) + eps); else the mean goes first."""
    if kind != "rms":
        x = x - np.mean(x, axis=-1, keepdims=True)
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps)


def norm(x, config, tensors, name):
    y = standardise(x, config["norm"], config["norm_eps"])
    y = y * vector(tensors[name + ".weight"])
    return y + vector(tensors[name + ".bias"]) if config["norm"] == "layer" else y


def swish(x):
    return x / (1 + np.exp(-x))


def gelu(x):
    erf = np.frompyfunc(math.erf, 1, 1)
    return x * 0.5 * (1 + erf(x / math.sqrt(2)).astype(float))


ACTIVATIONS = {"swish": swish, "gelu": gelu, "relu": lambda x: np.maximum(x, 0)}


def thetas(pairing, dk):
    """Angle per position of each pair, [dk/2]."""
    i = np.arange(dk // 2)
    if pairing == "halves":
        return 10000.0 ** (-2 * i / dk)
    return np.ones(1) if dk == 2 else 10000.0 ** (-i / (dk / 2 - 1))


def rotate(x, positions, pairing, theta):
    """x [..., T, dk]; (a, b) -> (a cos - b sin, b cos + a sin) at angle n theta."""
    angle = np.asarray(positions, float)[:, None] * np.asarray(theta, float)
    dk = x.shape[-1]
    if pairing == "adjacent":
        first, second = slice(0, dk, 2), slice(1, dk, 2)
    else:
        first, second = slice(0, dk // 2), slice(dk // 2, dk)
    a, b = x[..., first], x[..., second]
    y = np.empty_like(x)
    y[..., first] = a * np.cos(angle) - b * np.sin(angle)
    y[..., second] = b * np.cos(angle) + a * np.sin(angle)
    return y


def retain(q, k, v, config, state, form, chunk, factor):
    gamma = np.asarray(config["decays"], float)
    args = (q, k, v, gamma, config["row_norm"], state)
    if form == "parallel":
        return retention.parallel(*args, factor)
    if form == "recurrent":
        return retention.recurrent(*args, factor)
    return retention.chunkwise(*args, chunk, factor)


def mixer(x, config, tensors, name, state, form, chunk, factor):
    H, KV = config["heads"], config["kv_heads"]
    dk, dv = config["key_dim"], config["value_dim"]

    def heads(letter, count, size):
        y = linear(x, tensors, name + letter)
        return np.swapaxes(y.reshape(y.shape[:-1] + (count, size)), -2, -3)

    q = heads("q", H, dk) / math.sqrt(dk)
    k = np.repeat(heads("k", KV, dk), H // KV, axis=-3)
    v = np.repeat(heads("v", KV, dv), H // KV, axis=-3)
    pairing = config["rotary"]
    if pairing != "none":
        theta = config.get("angles") or thetas(pairing, dk)
        positions = state.n + np.arange(x.shape[-2])
        q, k = rotate(q, positions, pairing, theta), rotate(k, positions, pairing, theta)
    o, state, factor = retain(q, k, v, config, state, form, chunk, factor)

    if config["head_norm"] != "none":
        o = standardise(o, config["head_norm"], config["norm_eps"])
    o = np.swapaxes(o, -2, -3)
    o = o.reshape(o.shape[:-2] + (H * dv,))
    if config["head_norm_weight"] != "none":
        weight = tensors[name + "head_norm.weight"]
        if config["head_norm_weight"] == "shared":
            weight = np.tile(weight, H)
        o = o * vector(weight)
    if config["output_gate"]:
        o = o * swish(linear(x, tensors, name + "g"))
    return linear(o, tensors, name + "o"), state, factor


def feed_forward(x, config, tensors, name):
    activation = ACTIVATIONS[config["activation"]]
    hidden = linear(x, tensors, name + "up")
    if config["ffn"] == "gated":
        hidden = activation(linear(x, tensors, name + "gate")) * hidden
    else:
        hidden = activation(hidden)
    if config["ffn_norm"]:
        hidden = norm(hidden, config, tensors, name + "norm")
    return linear(hidden, tensors, name + "down")


def forward(config, tensors, ids, states=None, form="parallel", chunk=None, factors=None):
    """ids [B,T]. Returns logits [B,T,V] and, one per layer, the retention state after the
    last id and the row factors f. states: where an earlier call stopped (None: nowhere).
    factors: row factors to hold, in place of the row normaliser."""
    alpha = config["residual_scale"]
    pre = config["norm_position"] == "pre"
    if states is None:
        size = (config[key] for key in ("heads", "key_dim", "value_dim"))
        states = [retention.empty_state(*size)] * config["layers"]

    x = tensors["embedding.weight"][..., ids, :] * config["embedding_scale"]
    if config["embedding_norm"]:
        x = norm(x, config, tensors, "embedding_norm")
    after, used = [], []
    for i, state in enumerate(states):
        layer = f"layers.{i}."
        inner = norm(x, config, tensors, layer + "mixer_norm") if pre else x
        y, state, factor = mixer(inner, config, tensors, layer + "mixer.", state, form,
                                 chunk, None if factors is None else factors[i])
        after.append(state)
        used.append(factor)
        x = alpha * x + y
        if not pre:
            x = norm(x, config, tensors, layer + "mixer_norm")
        inner = norm(x, config, tensors, layer + "ffn_norm") if pre else x
        x = alpha * x + feed_forward(inner, config, tensors, layer + "ffn.")
        if not pre:
            x = norm(x, config, tensors, layer + "ffn_norm")
    if pre:
        x = norm(x, config, tensors, "norm")
    output = tensors["embedding.weight" if config["tied"] else "output.weight"]
    return product(x, output), after, used


def loss(logits, ids):
    """Mean over B and positions 0..T-2 of the cross-entropy against the next id."""
    x = logits[..., :-1, :]
    top = np.max(x, axis=-1, keepdims=True)
    total = np.log(np.sum(np.exp(x - top), axis=-1)) + top[..., 0]
    target = np.broadcast_to(ids[:, 1:, None], x.shape[:-1] + (1,))
    hit = np.take_along_axis(x, target, axis=-1)[..., 0]
    return np.mean(total - hit, axis=(-1, -2))


def difference(config, tensors, ids, name, entries, step, factors):
    """d loss / d tensor at flat entries, by the five-point formula
    (l(-2h) - 8 l(-h) + 8 l(h) - l(2h)) / 12h, whose error is h^4 l^(5) / 30."""
    tensor = tensors[name]
    count = len(entries)
    moved = np.repeat(tensor.reshape(1, -1), 4 * count, axis=0).reshape(4, count, -1)
    for offset, copy in zip((-2, -1, 1, 2), moved):
        copy[np.arange(count), entries] += offset * step
    moved = moved.reshape((4 * count,) + tensor.shape)
    logits, _, _ = forward(config, {**tensors, name: moved}, ids, factors=factors)
    far_down, down, up, far_up = loss(logits, ids).reshape(4, count)
    return (far_down - 8 * down + 8 * up - far_up) / (12 * step)


def gradient(config, tensors, ids, step=2.0 ** -15, names=None):
    """Gradient of the loss of the parallel form from an empty state, for every tensor."""
    _, _, factors = forward(config, tensors, ids)
    out = {}
    for name in names or tensors:
        size = tensors[name].size
        blocks = np.array_split(np.arange(size), math.ceil(size / 24))
        flat = [difference(config, tensors, ids, name, block, step, factors)
                for block in blocks]
        out[name] = np.concatenate(flat).reshape(tensors[name].shape)
    return out
