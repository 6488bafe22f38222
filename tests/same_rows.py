"""`python -m tests.same_rows A B`: do two corpora of the same logs hold the same rows?

Built by other Pythons, or other builds of torch. Rows, not bytes: compressors and encoders of other versions write
other bytes, another BLAS rounds differently. Every
table must have the same rows; numbers may differ by ABSOLUTE or RELATIVE, whichever is more. Prints a line a table with
the largest difference; exit code 1 where rows differ.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipeline.corpus.view import Corpus

ABSOLUTE, RELATIVE = 1e-4, 1e-4
NAMED_BY_BYTES = {
    "samples": ("shards",),
    "tars": ("tar", "plan", "events", "weights"),
    "fitted": ("embedded",),
    "observations": ("proxy_bytes",),
    "quarantine": ("evidence",),
}


def differences(one: Any, other: Any, where: str = "") -> Iterator[tuple[str, float]]:
    """(place, how far apart) of two values, of those that are not the same; infinite for what is no number."""
    if isinstance(one, float) and isinstance(other, float):
        if one != other and not (np.isnan(one) and np.isnan(other)):
            yield where, abs(one - other) / max(1.0, abs(one))
    elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differences(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        if one and isinstance(one[0], float) and isinstance(other[0], float):
            a, b = np.array(one), np.array(other)
            worst = float((np.abs(a - b) / np.maximum(1.0, np.abs(a))).max())
            if worst:
                yield where, worst
            return
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from differences(*pair, f"{where}[{number}]")
    elif one != other:
        yield f"{where}: {str(one)[:80]!r} and {str(other)[:80]!r}", float("inf")


def compare(one: Corpus, other: Corpus) -> Iterator[tuple[str, int, float, list[str]]]:
    """(table, rows, largest difference of a number, what is not the same) for every table."""
    for name, table in one.tables.items():
        left, right = one.table(name), other.table(name)
        rows, wrong, worst = left.height, [], 0.0
        if left.height != right.height:
            wrong.append(f"{left.height} rows and {right.height}")
        drop = [c for c in NAMED_BY_BYTES.get(name, ()) if c in left.columns]
        keys = list(table.key)
        for a, b in zip(left.drop(drop).iter_rows(named=True), right.drop(drop).iter_rows(named=True), strict=False):
            for place, size in differences(a, b, "/".join(str(a[k]) for k in keys if k in a)):
                if size > max(ABSOLUTE, RELATIVE):
                    wrong.append(place)
                else:
                    worst = max(worst, size)
        yield name, rows, worst, wrong


def main() -> int:
    one, other = (Corpus(path) for path in sys.argv[1:3])
    same = True
    for name, rows, worst, wrong in compare(one, other):
        apart = f"numbers within {worst:.1e}" if worst else "equal"
        print(f"{name:<13} {rows:>6} rows  {f'{len(wrong)} DIFFER: {wrong[:3]}' if wrong else apart}")
        same &= not wrong
    print("the same rows" if same else "not the same rows")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
