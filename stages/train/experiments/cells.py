"""Cells of an experiment, each run once: a stopped run goes on, files of several machines are one run.

In: cells (a draw of demonstrations under a condition) and what works one out. Out: lines of JSON, one a cell, each on
the disk before the next begins.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """draw: which demonstrations, and which seeds of everything else; condition: what is compared."""

    draw: int
    condition: str


def done(paths: Iterable[Path]) -> dict[Cell, Result]:
    """Results by cell; a line that was cut off when a run was killed counts for nothing."""
    results: dict[Cell, Result] = {}
    for path in paths:
        for line in path.read_text().splitlines() if path.is_file() else []:
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            results[Cell(row["draw"], row["condition"])] = row
    return results


def run(
    cells: Sequence[Cell],
    work: Callable[[Cell], Result],
    path: Path,
    processes: int = 1,
    until: float | None = None,
) -> dict[Cell, Result]:
    """What is not done yet, in processes of their own. until: of `time.time()`: none is begun after it. Prints a line
    a cell."""
    before = done([path])
    waiting = [cell for cell in cells if cell not in before]
    print(f"{len(before)} of {len(cells)} cells are done", flush=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and path.stat().st_size and not path.read_bytes().endswith(b"\n"):
        with path.open("a") as file:
            file.write("\n")
    timed = [(work, cell, until) for cell in waiting]
    with path.open("a") as file, _mapped(processes) as mapped:
        for row in mapped(_timed, timed):
            if row is None:
                continue
            file.write(json.dumps(row) + "\n")
            file.flush()
            os.fsync(file.fileno())
            print(f"draw {row['draw']}, {row['condition']}: {row['told']} ({row['seconds']:.0f} s)", flush=True)
    return done([path])


@contextmanager
def _mapped(processes: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """`map`, in this process or in several."""
    if processes == 1:
        _single()
        yield map
        return
    with multiprocessing.get_context("spawn").Pool(processes, _single) as pool:
        yield pool.imap_unordered


def _single() -> None:
    """A process a core: torch's own threads would be in each other's way."""
    import torch

    torch.set_num_threads(1)


def _timed(job: tuple[Callable[[Cell], Result], Cell, float | None]) -> Result | None:
    work, cell, until = job
    if until is not None and time.time() > until:
        return None
    started = time.perf_counter()
    found = work(cell)
    return {"draw": cell.draw, "condition": cell.condition, **found, "seconds": time.perf_counter() - started}
