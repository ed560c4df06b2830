#!/usr/bin/env python3
"""The same RetNet in PyTorch (torchscale's model) and in retnet, trained side by side.

Both take optimizer steps in turns, on the same cores, batch and length; a figure is the median
over the rounds, a ratio the median of the rounds' own ratios. PyTorch is measured in each form
that is asked for (parallel, chunkwise, parallel under torch.compile) and counts with its best.
GFLOP/s count parameters alone: 6 a parameter and token. Run it through compare.sh, which makes
the virtual environment.
"""
import argparse
import contextlib
import gc
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
import types

# Of the two shapes: H = 4, Dv = F = 2 D, the embedding tied to the output.
SHAPES = {
    "34m": {"vocab": 8192, "width": 512, "layers": 8, "batch": 4, "seq": 1024},
    "268m": {"vocab": 32000, "width": 1024, "layers": 16, "batch": 1, "seq": 2048},
}
ASKED = {"f32": 2.0, "bf16": 1.5}
FORMS = ("parallel", "chunkwise", "compiled")


def stand_in(name, **members):
    """A module that torchscale imports and this model never calls."""
    module = types.ModuleType(name)
    for key, value in members.items():
        setattr(module, key, value)
    sys.modules[name] = module


def never(*_, **__):
    raise RuntimeError("not part of this model")


stand_in("fairscale")
stand_in("fairscale.nn", checkpoint_wrapper=never, wrap=never)
stand_in("timm")
stand_in("timm.models")
stand_in("timm.models.layers", drop_path=never)

import torch  # noqa: E402
from torchscale.architecture.config import RetNetConfig  # noqa: E402
from torchscale.architecture.retnet import RetNetDecoder  # noqa: E402


def make_model(shape, chunk):
    width = shape["width"]
    config = RetNetConfig(
        vocab_size=shape["vocab"], decoder_embed_dim=width, decoder_value_embed_dim=2 * width,
        decoder_ffn_embed_dim=2 * width, decoder_layers=shape["layers"],
        decoder_retention_heads=4, no_scale_embedding=False, activation_fn="swish",
        share_decoder_input_output_embed=True, dropout=0.0, recurrent_chunk_size=chunk)
    table = torch.nn.Embedding(shape["vocab"], width)
    torch.nn.init.normal_(table.weight, std=width ** -0.5)
    return RetNetDecoder(config, embed_tokens=table)


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def make_optimizer(model):
    """AdamW in its fastest form that this build has."""
    try:
        return torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    except (RuntimeError, TypeError):
        return torch.optim.AdamW(model.parameters(), lr=1e-4)


def half(kind):
    if kind == "bf16":
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return contextlib.nullcontext()


class Trainer:
    """One model and one optimizer, whatever the form."""

    def __init__(self, shape, chunk, batch, seq):
        self.model = make_model(shape, chunk).train()
        self.optimizer = make_optimizer(self.model)
        self.compiled = None
        self.vocab = shape["vocab"]
        self.ids = torch.randint(self.vocab, (batch, seq + 1))

    def callable(self, form):
        self.model.chunkwise_recurrent = form == "chunkwise"
        if form != "compiled":
            return self.model
        if self.compiled is None:
            self.compiled = torch.compile(self.model)
        return self.compiled

    def step(self, form, kind):
        self.optimizer.zero_grad(set_to_none=True)
        with half(kind):
            logits, _ = self.callable(form)(self.ids[:, :-1])
            loss = torch.nn.functional.cross_entropy(
                logits.reshape(-1, self.vocab).float(), self.ids[:, 1:].reshape(-1))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def rate(self, form, kind, steps):
        """Tokens a second of `steps` steps."""
        begin = time.perf_counter()
        for _ in range(steps):
            if not math.isfinite(self.step(form, kind)):
                raise RuntimeError("the loss is not finite")
        return steps * (self.ids.numel() - self.ids.size(0)) / (time.perf_counter() - begin)


def retnet(options, *words):
    """Rows of `retnet bench`."""
    command = [options.retnet, "bench", *words, "--threads", str(options.threads), "--quiet",
               "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["results"]


def retnet_train(options, name, kind, batch, seq, repeat):
    return retnet(options, "train", "--random", "1", "--preset", name, "--type", kind, "--batch",
                  str(batch), "--seq", str(seq), "--repeat", str(repeat))[0]


def warm(trainer, forms, kind):
    """The forms that work here; compiling needs a C++ compiler."""
    able = []
    for form in forms:
        begin = time.perf_counter()
        try:
            trainer.step(form, kind)
        except Exception as problem:  # whatever torch.compile raises
            if form != "compiled":
                raise
            print(f"  {form}: not available here: {str(problem).strip().splitlines()[0]}")
            continue
        print(f"  {form}: first step {time.perf_counter() - begin:.1f} s", flush=True)
        able.append(form)
    return able


def compare_training(options, name, kind):
    shape = SHAPES[name]
    batch = options.batch or shape["batch"]
    seq = options.seq or shape["seq"]
    print(f"\ntraining {name}, {kind}, {batch} x {seq}")
    trainer = Trainer(shape, options.chunk, batch, seq)
    count = parameters(trainer.model)
    forms = warm(trainer, options.forms, kind)
    rates = {form: [] for form in forms}
    ours = []
    for _ in range(options.rounds):
        for form in forms:
            rates[form].append(trainer.rate(form, kind, options.steps))
        ours.append(retnet_train(options, name, kind, batch, seq, options.steps)["value"])
    del trainer
    gc.collect()

    def line(who, values):
        middle = statistics.median(values)
        print(f"  {who:22} {middle:8.1f} tokens/s {6 * count * middle / 1e9:7.1f} GFLOP/s")

    for form in forms:
        line(f"PyTorch, {form}", rates[form])
    line("retnet", ours)
    best = max(forms, key=lambda form: statistics.median(rates[form]))
    ratio = statistics.median(a / b for a, b in zip(ours, rates[best]))
    verdict = "met" if ratio >= ASKED[kind] else "NOT MET"
    print(f"  retnet is {ratio:.2f} times PyTorch's best ({best}); asked {ASKED[kind]}: {verdict}")


def torch_decode(shape, kind, tokens):
    """Tokens a second, one after the other, in the recurrent form."""
    model = make_model(shape, 512).eval()
    if kind == "bf16":
        model = model.bfloat16()
    ids = torch.randint(shape["vocab"], (1, 64 + tokens))
    state = {}
    with torch.no_grad():
        for n in range(4):
            model(ids[:, :n + 1], incremental_state=state)
        begin = time.perf_counter()
        for n in range(tokens):
            model(ids[:, :n + 5], incremental_state=state)
    return tokens / (time.perf_counter() - begin)


def compare_decoding(options, name, kind):
    theirs, ours = [], []
    for _ in range(options.rounds):
        theirs.append(torch_decode(SHAPES[name], kind, 16))
        gc.collect()
        rows = retnet(options, "decode", "--random", "1", "--preset", name, "--type", kind,
                      "--depth", "0", "--seq", "16")
        ours.append(rows[0]["value"])
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    print(f"\ndecoding {name}, {kind}: PyTorch {statistics.median(theirs):.1f} tokens/s, retnet "
          f"{statistics.median(ours):.1f}, {ratio:.1f} times")


def available_gib():
    with open("/proc/meminfo", encoding="ascii") as lines:
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) / 2 ** 20
    return math.inf


def torch_memory(options, name, seq):
    """Peak resident GiB of one training step of the parallel form, in a process of its own."""
    command = [sys.executable, __file__, "--one-step", str(seq), "--models", name, "--types", "f32",
               "--threads", str(options.threads)]
    done = subprocess.run(command, stdout=subprocess.PIPE)
    return float(done.stdout) if done.returncode == 0 else None


def one_step(options):
    """In the process of its own: the peak, as a number on standard output."""
    trainer = Trainer(SHAPES[options.models[0]], options.chunk, 1, options.one_step)
    trainer.step("parallel", "f32")
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** 20)


def quadratic_through(points, x):
    """The value at x of the parabola through three points."""
    total = 0.0
    for i, (xi, yi) in enumerate(points):
        term = yi
        for j, (xj, _) in enumerate(points):
            if i != j:
                term *= (x - xj) / (xi - xj)
        total += term
    return total


def compare_memory(options, name, seq):
    """The parallel form's memory is a + b T + c T^2: measured where it fits, else its law."""
    print(f"\nmemory of training {name} at length {seq}, float32, 1 row")
    points = [(n, torch_memory(options, name, n)) for n in (seq // 16, seq // 8, seq // 4)]
    if any(gib is None for _, gib in points):
        print("  PyTorch, parallel: a step failed")
        return
    for n, gib in points:
        print(f"  PyTorch, parallel, length {n}: {gib:.2f} GiB")
    theirs = quadratic_through(points, seq)
    if theirs < 0.9 * available_gib():
        theirs = torch_memory(options, name, seq) or theirs
        print(f"  PyTorch, parallel, length {seq}: {theirs:.2f} GiB")
    else:
        print(f"  PyTorch, parallel, length {seq}: does not fit; {theirs:.1f} GiB by the parabola "
              "through these")
    row = retnet_train(options, name, "f32", 1, seq, 1)
    ours = row["peak_memory_bytes"] / 2 ** 30
    verdict = "met" if ours < theirs / 2 else "NOT MET"
    print(f"  retnet: {ours:.2f} GiB, {ours / theirs:.2f} of it; asked less than 0.5: {verdict}")


def words(allowed):
    def parse(text):
        items = text.split(",")
        for item in items:
            if item not in allowed:
                raise argparse.ArgumentTypeError(f"'{item}' is not one of {', '.join(allowed)}")
        return items
    return parse


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=words(SHAPES), default=list(SHAPES))
    parser.add_argument("--types", type=words(ASKED), default=list(ASKED))
    parser.add_argument("--forms", type=words(FORMS), default=list(FORMS))
    parser.add_argument("--what", type=words(("train", "decode", "memory")),
                        default=["train", "decode", "memory"])
    parser.add_argument("--steps", type=int, default=1, help="of each form in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, help="instead of the shape's own")
    parser.add_argument("--seq", type=int, help="instead of the shape's own")
    parser.add_argument("--chunk", type=int, default=512, help="of PyTorch's chunkwise form")
    parser.add_argument("--memory-seq", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--retnet", default="build/release/retnet")
    parser.add_argument("--one-step", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    if options.one_step:
        one_step(options)
        return
    print(f"PyTorch {torch.__version__}, {options.threads} threads, {options.rounds} rounds")
    largest = options.models[-1]
    if "train" in options.what:
        for name in options.models:
            for kind in options.types:
                compare_training(options, name, kind)
    if "decode" in options.what:
        for kind in options.types:
            compare_decoding(options, largest, kind)
    if "memory" in options.what:
        compare_memory(options, largest, options.memory_seq)


if __name__ == "__main__":
    main()
