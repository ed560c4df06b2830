#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_tables.h: tools/unicode_tables.py CLASSES.json NFC.json

CLASSES.json holds inclusive ranges of the letters (L), numbers (N) and blanks (s) of Unicode
16.0; NFC.json the combining classes, decompositions and compositions of Unicode 9.0. Unicode
never changes how an assigned character is normalised, so of the second file only the sets of
characters are kept that Unicode 9.0 treats at all: any library can do the rest.
"""
import json
import sys


def ranges(points):
    """Inclusive ranges of a set of code points."""
    out = []
    for c in sorted(points):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def normalised(nfc):
    """The characters that Unicode 9.0 treats at all, and those of them that a text in NFC may
    lack or hold elsewhere: without one of these a text is in NFC."""
    marks = {c for first, last, _ in nfc["ccc"] for c in range(first, last + 1)}
    made = {row[2] for row in nfc["compose"]}
    parts = {row[0] for row in nfc["compose"]} | {row[1] for row in nfc["compose"]}
    taken_apart = {row[0] for row in nfc["decompose"]}
    jamo = set(range(0x1100, 0x1113)) | set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    syllables = set(range(0xAC00, 0xD7A4))
    treated = marks | made | parts | taken_apart | jamo | syllables
    changing = marks | (taken_apart - made) | {row[1] for row in nfc["compose"]}
    changing |= set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))
    return ranges(treated), ranges(changing)


def table(name, what, rows):
    lines, line = [], "   "
    for first, last in rows:
        cell = f" {{0x{first:X}, 0x{last:X}}},"
        if len(line) + len(cell) > 90:
            lines.append(line)
            line = "   "
        line += cell
    lines.append(line)
    body = "\n".join(lines)
    return f"/* {what} */\nstatic const rn_range32 {name}[] = {{\n{body}\n}};\n"


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        classes = json.load(f)
    with open(sys.argv[2], encoding="utf-8") as f:
        treated, changing = normalised(json.load(f))
    print("/* Sets of code points, written by tools/unicode_tables.py: do not edit. */\n"
          "#ifndef RN_TOKENIZER_UNICODE_TABLES_H\n#define RN_TOKENIZER_UNICODE_TABLES_H\n\n"
          "#include <stdint.h>\n\n/* clang-format off */\n\n"
          "/* Both ends belong to it. */\n"
          "typedef struct rn_range32 {\n    uint32_t first, last;\n} rn_range32;\n")
    print(table("letters", "\\p{L} of Unicode 16.0.", classes["L"]))
    print(table("numbers", "\\p{N} of Unicode 16.0.", classes["N"]))
    print(table("blanks", "\\s: White_Space of Unicode 16.0.", classes["s"]))
    print(table("treated", "Characters that NFC of Unicode 9.0 treats at all.", treated))
    print(table("changing", "Without one of these a text is in NFC.", changing))
    print("/* clang-format on */\n\n#endif")


if __name__ == "__main__":
    main()
