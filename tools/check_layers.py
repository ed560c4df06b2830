#!/usr/bin/env python3
"""One-way rooms: reads every #include and fails on an arrow up or sideways.

A room of src/ includes itself, rooms of a lower rank and public headers. Programs (cli/, bench/,
examples/) see public headers and their own folder; public headers see one another. Tests may see
everything. `--self-test` plants one violation of each kind and shows that it is found.
"""
import pathlib
import re
import sys
import tempfile

RANKS = {
    "core": 0,
    "kernels": 1, "formats": 1,
    "cpu": 2, "tokenizer": 2,
    "backend": 3,
    "mixers": 4,
    "model": 5,
    "train": 6, "generate": 6,
    "eval": 7, "api": 7,
}
PROGRAMS = ("cli", "bench", "examples")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCES = (".c", ".h", ".def")


def includes(path):
    """Line number, quoting and name of every #include of a file."""
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            found = INCLUDE.match(line)
            if found:
                yield number, found.group(1), found.group(2)


def sources(folder):
    return sorted(p for p in folder.rglob("*") if p.suffix in SOURCES) if folder.is_dir() else []


def room_fault(path, src, quote, name):
    """Why a file of a room may not include `name`, or None."""
    room = path.relative_to(src).parts[0]
    first = name.split("/")[0]
    if room not in RANKS:
        return f"src/{room} is no room of tools/check_layers.py"
    if first == "retnet":
        return None
    if first in RANKS and "/" in name:
        if first != room and RANKS[first] >= RANKS[room]:
            return (f"{room} (rank {RANKS[room]}) may not include "
                    f"{first} (rank {RANKS[first]})")
        return None
    if quote == '"':
        return "quoted includes name a room (\"core/error.h\") or retnet/"
    return None


def outside_fault(path, quote, name, own_folder):
    """Why a program or a public header may not include `name`, or None."""
    first = name.split("/")[0]
    if first == "retnet":
        return None
    if first in RANKS and "/" in name:
        return "only public headers <retnet/...> may be included here"
    if quote == '"' and not (own_folder and (path.parent / name).is_file()):
        return "not a public header and not a file of this folder"
    return None


def check(root):
    """All violations of a tree, as printable lines."""
    faults = []

    def look(path, why):
        for number, quote, name in includes(path):
            fault = why(path, quote, name)
            if fault:
                faults.append(f"{path.relative_to(root)}:{number}: {name}: {fault}")

    src = root / "src"
    for path in sources(src):
        if path.parent == src:
            faults.append(f"{path.relative_to(root)}: belongs to no room")
            continue
        look(path, lambda p, q, n: room_fault(p, src, q, n))
    for folder in PROGRAMS:
        for path in sources(root / folder):
            look(path, lambda p, q, n: outside_fault(p, q, n, True))
    for path in sources(root / "include"):
        look(path, lambda p, q, n: outside_fault(p, q, n, False))
    return faults


# Each file is wrong in one way, or right (False).
PLANTED = (
    ("src/core/up.c", '#include "kernels/exec.h"\n', True),
    ("src/formats/sideways.c", '#include "kernels/exec.h"\n', True),
    ("src/mixers/angle.c", "#  include <model/model.h>\n", True),
    ("src/attic/x.c", '#include "core/error.h"\n', True),
    ("src/kernels/bare.c", '#include "exec.h"\n', True),
    ("src/stray.c", "\n", True),
    ("cli/reach.c", '#include "core/error.h"\n', True),
    ("bench/reach.c", '#include "../src/core/error.h"\n', True),
    ("include/retnet/leak.h", '#include "core/error.h"\n', True),
    ("src/model/down.c", '#include "mixers/mixer.h"\n#include <stdio.h>\n'
                         '#include "retnet/model.h"\n#include "model/model.h"\n', False),
    ("cli/own.h", "#include <retnet/retnet.h>\n#include <jansson.h>\n", False),
    ("cli/own.c", '#include "own.h"\n', False),
    ("tests/any.c", '#include "core/error.h"\n', False),
)


def self_test():
    """Every planted violation is reported, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text, _ in PLANTED:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        found = {line.split(":")[0] for line in check(root)}
    wanted = {name for name, _, wrong in PLANTED if wrong}
    for name in sorted(wanted - found):
        print(f"self-test: the violation in {name} was not found", file=sys.stderr)
    for name in sorted(found - wanted):
        print(f"self-test: {name} was reported without a reason", file=sys.stderr)
    return found == wanted


def main():
    if "--self-test" in sys.argv[1:]:
        return 0 if self_test() else 1
    root = pathlib.Path(__file__).resolve().parent.parent
    faults = check(root)
    print("\n".join(faults) if faults else "layers: every include points down")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
