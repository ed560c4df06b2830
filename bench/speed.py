#!/usr/bin/env python3
"""The speeds that retnet promises, asked and measured, on this machine.

Every figure comes from `retnet bench ... --json` on random weights of a preset, so that nothing
is downloaded. Percentages are of this machine's own limits, which are measured around every
timed call; ratios are medians over pairs of one run. Quiet the machine first: other work shows.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

WHAT = ("decode", "prompt", "batch", "train", "memory")
MIB = 2 ** 20
PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "build" / "release" / "retnet"


class Report:
    """Prints asked against measured, and remembers what was missed."""

    def __init__(self):
        self.missed = 0

    def line(self, what, asked, measured, met):
        self.missed += not met
        print(f"  {what:44} asked {asked:>20}  measured {measured:>26}  "
              f"{'met' if met else 'NOT MET'}", flush=True)

    def note(self, what, measured):
        print(f"  {what:44} {'':26}  measured {measured:>26}", flush=True)


def bench(options, *words):
    """Rows of one run of `retnet bench`; its progress goes to the terminal."""
    command = [options.retnet, "bench", *words, "--random", "1", "--json", "--threads",
               str(options.threads)]
    print("  $ " + " ".join(command), flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)["results"]


def percent(fraction):
    return f"{100 * fraction:.1f}%"


def speed(row):
    return f"{percent(row['fraction'])} ({row['value']:.1f} tokens/s)"


def median_ratio(tops, bottoms):
    return statistics.median(a["value"] / b["value"] for a, b in zip(tops, bottoms))


def decode(options, report):
    """At least this part of the read bandwidth over the bytes of weights and state that a
    step goes over: under byte products the upper halves of the state."""
    asked = {"bf16": 0.95, "q8_0": 0.95, "q4_0": 0.90, "q4_k": 0.85}
    deep = 4096 if options.quick else 65536
    rows = bench(options, "decode", "--preset", options.preset or "1.3b", "--type",
                 ",".join(asked), "--depth", f"0,{deep}", "--seq", "16", "--repeat", "9")
    for row in rows:
        part = asked[row["type"]]
        report.line(f"decode {row['type']} at depth {row['depth']}",
                    f"{percent(part)} of reading", speed(row), row["fraction"] >= part)
    for row in rows:
        extra = (row["peak_memory_bytes"] - row["held_bytes"]) / MIB
        report.line(f"memory beside {row['type']} weights and state", "at most 32 MiB",
                    f"{extra:.1f} MiB", extra <= 32)
    for kind in asked:
        first, last = [row for row in rows if row["type"] == kind]
        same = last["fraction"] / first["fraction"]
        report.line(f"decode {kind}: depth {deep} against 0", "the same (0.95 or more)",
                    f"{same:.3f}", same >= 0.95)


def prompt(options, report):
    """Parts of the bf16 peak, flat to 65,536 tokens; blocks at least as fast."""
    kinds = ["bf16", "q8_0", "q4_0"]
    runs = [([128, 2048], 3, 5)]
    if not options.quick:
        runs.append(([8192, 65536], 1, 1))
    shortest = None
    for lengths, rounds, repeat in runs:
        rows = bench(options, "prompt", "--preset", options.preset or "1.3b", "--type",
                     ",".join(kinds * rounds), "--seq", ",".join(map(str, lengths)), "--repeat",
                     str(repeat))
        for length in lengths:
            shortest = prompt_length(report, [row for row in rows if row["seq"] == length], kinds,
                                     shortest)


def prompt_length(report, rows, kinds, shortest):
    """Lines of one length; returns bf16's part of its peak at the shortest."""
    length = rows[0]["seq"]
    by_kind = {kind: [row for row in rows if row["type"] == kind] for kind in kinds}
    part = statistics.median(row["fraction"] for row in by_kind["bf16"])
    rate = statistics.median(row["value"] for row in by_kind["bf16"])
    report.line(f"prompt bf16, {length} tokens", "65% of the bf16 peak",
                f"{percent(part)} ({rate:.1f} tokens/s)", part >= 0.65)
    if shortest:
        report.line(f"prompt bf16, {length} tokens against the shortest", "flat (0.95 or more)",
                    f"{part / shortest:.3f}", part >= 0.95 * shortest)
    shortest = shortest or part
    for kind in kinds[1:]:
        ratio = median_ratio(by_kind[kind], by_kind["bf16"])
        report.line(f"prompt {kind} against bf16, {length} tokens", "1.0 or more",
                    f"{ratio:.2f} times", ratio >= 1)
    return shortest


def batch(options, report):
    """16 sequences at once against one, and against what memory allows."""
    pairs = 2 if options.quick else 5
    rows = bench(options, "batch", "--preset", options.preset or "200m", "--type", "q8_0",
                 "--batch", ",".join(["1,16"] * pairs), "--seq", "32", "--repeat", "5")
    ones, many = rows[0::2], rows[1::2]
    ratio = median_ratio(many, ones)
    report.line("16 sequences against one, q8_0", "6 times", f"{ratio:.2f} times", ratio >= 6)
    report.note("memory alone would allow", f"{16 * ones[0]['bytes'] / many[0]['bytes']:.2f} times")
    for name, some in (("1 sequence", ones), ("16 sequences", many)):
        report.note(name, speed(sorted(some, key=lambda row: row["fraction"])[len(some) // 2]))


def train(options, report):
    """Parts of the peak, counted on parameters alone. bench/pytorch compares with PyTorch."""
    shapes = {"34m": ("4", "1024", {}), "268m": ("1", "2048", {"f32": 0.60, "bf16": 0.55})}
    for name, (rows_of_step, length, asked) in shapes.items():
        if options.preset not in (None, name):
            continue
        rows = bench(options, "train", "--preset", name, "--type", "f32,bf16", "--batch",
                     rows_of_step, "--seq", length, "--repeat", "2" if options.quick else "5")
        for row in rows:
            what = f"train {name} {row['type']}, {rows_of_step} x {length}"
            part = asked.get(row["type"])
            if part is None:
                report.note(what, speed(row))
            else:
                report.line(what, f"{percent(part)} of its peak", speed(row),
                            row["fraction"] >= part)


def memory(options, report):
    """Of training at a long length; bench/pytorch puts PyTorch's beside it."""
    length = 2048 if options.quick else 8192
    name = options.preset or "268m"
    rows = bench(options, "train", "--preset", name, "--type", "f32,bf16", "--batch", "1",
                 "--seq", str(length), "--repeat", "1")
    for row in rows:
        report.note(f"memory of training {name} {row['type']}, 1 x {length}",
                    f"{row['peak_memory_bytes'] / 2 ** 30:.2f} GiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"some of {', '.join(WHAT)}; "
                        "default: all, which takes about an hour on two cores")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--preset", help="another shape: the figures asked for are not its own")
    parser.add_argument("--quick", action="store_true", help="short depths, lengths and runs")
    parser.add_argument("--retnet", default=os.environ.get("RETNET", str(PROGRAM)))
    options = parser.parse_args()
    for what in options.what:
        if what not in WHAT:
            parser.error(f"'{what}' is not one of {', '.join(WHAT)}")
    report = Report()
    for what in options.what or WHAT:
        print(f"\n{what}")
        globals()[what](options, report)
    print(f"\n{report.missed} not met" if report.missed else "\nall met")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
