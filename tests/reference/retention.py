"""Retention in float64: recurrent, parallel and chunkwise forms, and the backward pass.

    S_n = gamma S_{n-1} + k_n^T v_n,  o_n = f_n q_n S_n,  f_n the row normaliser's factor.

Shapes: q, k [..., H, T, dk] (already rotated and scaled), v [..., H, T, dv], gamma [H].
Run as a program it checks the forms against one another and the gradients against
central differences.
"""
from collections import namedtuple

import numpy as np

# S [..., H, dk, dv]; z [..., H, dk], the same recurrence over k alone; n tokens seen.
State = namedtuple("State", "S z n")

ROW_NORMS = ("none", "decay", "paper", "torchscale")


def empty_state(*shape):
    """shape: [...,] H, dk, dv"""
    return State(np.zeros(shape), np.zeros(shape[:-1]), 0)


def decay_sum(gamma, n):
    """d = sum_{j<n} gamma^j, [H]. Summed: the quotient form cancels near gamma = 1."""
    return np.sum(gamma[:, None] ** np.arange(n), axis=1)


def recurrent(q, k, v, gamma, norm, state, factor=None):
    """One token at a time. Returns o, the state after T tokens, and f [..., H, T].

    A given factor replaces the normaliser: the denominators held at another point.
    """
    if norm == "torchscale" and factor is None:
        raise ValueError("row normaliser torchscale has no recurrent form")
    S, z, n = state
    d = decay_sum(gamma, n)
    outputs, rows = [], []
    for t in range(q.shape[-2]):
        qt, kt, vt = q[..., t, :], k[..., t, :], v[..., t, :]
        S = gamma[:, None, None] * S + kt[..., :, None] * vt[..., None, :]
        z = gamma[:, None] * z + kt
        d = gamma * d + 1
        if factor is not None:
            row = factor[..., t]
        elif norm == "none":
            row = np.ones(qt.shape[:-1])
        else:
            row = np.broadcast_to(1 / np.sqrt(d), qt.shape[:-1])
            if norm == "paper":
                row = row / np.maximum(np.abs(np.sum(qt * z, axis=-1) * row), 1)
        outputs.append(row[..., None] * np.sum(qt[..., :, None] * S, axis=-2))
        rows.append(row)
    if not outputs:
        return v[..., :0, :] + 0.0, state, np.ones(q.shape[:-1])
    return np.stack(outputs, -2), State(S, z, n + len(outputs)), np.stack(rows, -1)


def decay_matrix(gamma, T):
    """M_nm = gamma^(n-m) for m <= n, else 0. [H, T, T]"""
    lag = np.arange(T)[:, None] - np.arange(T)[None, :]
    return np.where(lag >= 0, gamma[:, None, None] ** np.maximum(lag, 0), 0.0)


def parallel(q, k, v, gamma, norm, state, factor=None):
    """O = f (((Q K^T) * M) V + gamma^(n+1) q_n S_{-1}). Returns as recurrent does."""
    T = q.shape[-2]
    scores = (q @ np.swapaxes(k, -1, -2)) * decay_matrix(gamma, T)
    carry = gamma[:, None] ** np.arange(1, T + 1)
    o = scores @ v + carry[..., None] * (q @ state.S)
    if factor is None:
        factor = row_factor(scores, q, gamma, carry, norm, state)

    fold = gamma[:, None] ** np.arange(T - 1, -1, -1)
    kept = gamma ** T
    faded = fold[..., None] * k
    S = kept[:, None, None] * state.S + np.swapaxes(faded, -1, -2) @ v
    z = kept[:, None] * state.z + np.sum(faded, axis=-2)
    return factor[..., None] * o, State(S, z, state.n + T), factor


def row_factor(scores, q, gamma, carry, norm, state):
    """f [..., H, T]; scores are q k^T * M."""
    if norm == "none":
        return np.ones(scores.shape[:-1])
    T = scores.shape[-1]
    d = np.cumsum(gamma[:, None] ** np.arange(state.n + T), axis=1)[:, state.n:]
    decay = np.broadcast_to(1 / np.sqrt(d), scores.shape[:-1])
    if norm == "decay":
        return decay
    if norm == "paper":
        earlier = carry * np.sum(q * state.z[..., None, :], axis=-1)
        return decay / np.maximum(np.abs((np.sum(scores, axis=-1) + earlier) * decay), 1)
    if norm == "torchscale":
        if state.n or np.any(state.S):
            raise ValueError("row normaliser torchscale cannot continue from a state")
        return decay / np.clip(np.sum(np.abs(scores), axis=-1) * decay, 1, 5e4)
    raise ValueError(f"row normaliser {norm!r} is not one of {ROW_NORMS}")


def chunkwise(q, k, v, gamma, norm, state, chunk, factor=None):
    """Parallel inside a chunk, the state across. chunk: one length, or a list of lengths
    that add up to T; with one length the last chunk is as short as it must be."""
    if norm == "torchscale" and factor is None:
        raise ValueError("row normaliser torchscale has no chunkwise form")
    T = q.shape[-2]
    ends = np.cumsum(chunk) if np.ndim(chunk) else np.arange(chunk, T + chunk, chunk)
    outputs, rows, begin = [v[..., :0, :]], [np.ones(q.shape[:-2] + (0,))], 0
    for end in np.minimum(ends, T):
        part = slice(begin, end)
        held = None if factor is None else factor[..., part]
        o, state, row = parallel(q[..., part, :], k[..., part, :], v[..., part, :], gamma,
                                 norm, state, held)
        outputs.append(o)
        rows.append(row)
        begin = end
    return np.concatenate(outputs, -2), state, np.concatenate(rows, -1)


def backward(q, k, v, gamma, state, factor, d_o, d_sT):
    """Gradients dq, dk, dv, ds0 of sum(o d_o) + sum(S_{T-1} d_sT), factor a constant.

    dS_n = gamma dS_{n+1} + q_n^T f_n do_n;  dq_n = f_n do_n S_n^T;  dk_n = v_n dS_n^T;
    dv_n = k_n dS_n;  dS_{-1} = gamma dS_0;  gamma dS_T stands for d_sT.
    """
    T = q.shape[-2]
    g = gamma[:, None, None]
    S, states = state.S, []
    for t in range(T):
        S = g * S + k[..., t, :, None] * v[..., t, None, :]
        states.append(S)
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    incoming = d_sT                                  # gamma dS_{n+1}
    for t in reversed(range(T)):
        do = factor[..., t, None] * d_o[..., t, :]
        dS = incoming + q[..., t, :, None] * do[..., None, :]
        dq[..., t, :] = np.sum(states[t] * do[..., None, :], axis=-1)
        dk[..., t, :] = np.sum(dS * v[..., t, None, :], axis=-1)
        dv[..., t, :] = np.sum(dS * k[..., t, :, None], axis=-2)
        incoming = g * dS
    return dq, dk, dv, incoming


def distance(a, b):
    """Largest absolute difference, in units of max(1, largest entry of b)."""
    if np.shape(a) != np.shape(b):
        raise ValueError(f"shapes {np.shape(a)} and {np.shape(b)}")
    if np.size(b) == 0:
        return 0.0
    return float(np.max(np.abs(a - b)) / max(1.0, np.max(np.abs(b))))


def difference_gradient(loss, tensor):
    """Central differences. The step may be large: with f held, the loss is linear in
    each single entry."""
    gradient = np.zeros_like(tensor)
    for index in np.ndindex(tensor.shape):
        up, down = tensor.copy(), tensor.copy()
        up[index] += 0.5
        down[index] -= 0.5
        gradient[index] = loss(up) - loss(down)
    return gradient


def check_case(random, norm, B, T, dk, dv, gamma, n0):
    """Largest distance between the forms, and between the two kinds of gradient."""
    H = len(gamma)

    def draw(*shape):
        return random.standard_normal(shape)

    q, k, v = draw(B, H, T, dk), draw(B, H, T, dk), draw(B, H, T, dv)
    start = State(draw(B, H, dk, dv), draw(B, H, dk), n0)
    if norm == "torchscale":
        start = empty_state(B, H, dk, dv)
    o, end, factor = parallel(q, k, v, gamma, norm, start)

    # With f held, torchscale too runs through the other forms.
    held = factor if norm == "torchscale" else None
    cuts = np.sort(random.randint(0, T + 1, 4))
    uneven = np.diff(np.concatenate(([0], cuts, [T])))
    others = [recurrent(q, k, v, gamma, norm, start, held)]
    others += [chunkwise(q, k, v, gamma, norm, start, c, held)
               for c in (1, 2, 7, 16, T + 3, uneven)]
    forms = max(max(distance(o2, o), distance(f2, factor), distance(end2.S, end.S),
                    distance(end2.z, end.z)) for o2, end2, f2 in others)

    d_o, d_sT = draw(*o.shape), draw(*end.S.shape)
    got = backward(q, k, v, gamma, start, factor, d_o, d_sT)

    def loss(q=q, k=k, v=v, S=start.S):
        o, end, _ = parallel(q, k, v, gamma, norm, start._replace(S=S), factor)
        return np.sum(o * d_o) + np.sum(end.S * d_sT)

    want = (difference_gradient(lambda x: loss(q=x), q),
            difference_gradient(lambda x: loss(k=x), k),
            difference_gradient(lambda x: loss(v=x), v),
            difference_gradient(lambda x: loss(S=x), start.S))
    return forms, max(map(distance, got, want))


def self_check():
    random = np.random.RandomState(1)
    shapes = [(1, 0, 3, 2), (2, 1, 2, 1), (1, 2, 5, 3), (1, 13, 3, 4), (2, 23, 2, 5)]
    worst = {}
    for norm in ROW_NORMS:
        cases = [check_case(random, norm, *shape, np.array([1.0, 0.3, 1 - 2.0 ** -6]), n0)
                 for shape in shapes
                 for n0 in ((0,) if norm == "torchscale" else (0, 1, 1000))]
        worst[norm] = np.max(cases, axis=0)
        print(f"{norm:10}  forms {worst[norm][0]:.1e}  gradients {worst[norm][1]:.1e}")
    if any(forms > 1e-12 or gradients > 1e-12 for forms, gradients in worst.values()):
        raise SystemExit("retention: the forms or the gradients disagree")


if __name__ == "__main__":
    self_check()
