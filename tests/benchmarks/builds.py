"""A build in a process of its own, timed, with the memory of its processes.

In: sources and a corpus folder. Out: a `Run`: wall seconds, work per stage, peak memory of the largest worker and of
the driver, counts. The sample is the input; named several times it makes a corpus of any size.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.corpus.view import Corpus

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "pipeline" / "sample"


@dataclass(frozen=True)
class Run:
    """One build: seconds of wall clock, {stage: seconds of work}, {stage: bytes}, and what went through it."""

    seconds: float
    work: dict[str, float]
    peak: dict[str, float]
    driver_peak: float
    episodes: int
    frames: int
    pictures: int


def times(dataset: Path, number: int, folder: Path) -> list[str]:
    """Source arguments that hold a dataset so many times, each under a name and path of its own (links in `folder`):
    one file named twice would be two episodes that claim the same frames."""
    sources = []
    for i in range(number):
        link = folder / f"{dataset.name}-{i}"
        if not link.is_symlink():
            link.symlink_to(dataset)
        sources.append(f"copy{i}={link}")
    return sources


def timed_build(sources: list[str], corpus: Path, *overrides: str, fresh: bool = True) -> Run:
    """Raises CalledProcessError."""
    if fresh:
        shutil.rmtree(corpus, ignore_errors=True)
    words = [w for s in sources for w in ("--source", s)] + [w for o in overrides for w in ("--set", o)]
    command = [sys.executable, "-m", "pipeline", "build", *words, "--corpus", str(corpus)]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise subprocess.CalledProcessError(status, command)
    opened = Corpus(str(corpus))
    rows = {r["stage"]: r for r in opened.status().to_dicts()}
    return Run(
        seconds,
        {s: r["work_s"] for s, r in rows.items()},
        {s: r["peak_mb"] * 1e6 for s, r in rows.items()},
        usage.ru_maxrss * 1024.0,
        len(opened.wanted("ingest")),
        int(opened.counts("observe").get("source_frames", 0)),
        int(opened.counts("embed").get("pictures", 0)),
    )


def no_op(sources: list[str], corpus: Path, *overrides: str) -> Run:
    """A build that finds nothing to do."""
    return timed_build(sources, corpus, *overrides, fresh=False)
