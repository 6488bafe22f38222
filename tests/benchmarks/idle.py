"""How long a build takes that finds nothing to do, by the number of episodes: tables alone, no video.

In: a number of episodes. Out: seconds of the first build and of the rerun, and the memory of the rerun's driver.
Episodes are short pick-and-place paths of their own, 100 in a data file, LeRobot v3.0; the corpus is built by the same
command as any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.corpus.view import Corpus
from tests.benchmarks.builds import no_op, timed_build
from tests.datasets import Episode, pick_and_place, write_dataset

ROWS = 60
ONLY_L1 = ("shard.target_bytes=16000000", "embed.levels=[L1]")


@dataclass(frozen=True)
class Idle:
    """Seconds of the first build and of the quicker of two reruns; bytes at the peak of the rerun's one process."""

    first: float
    again: float
    memory: float
    items: int


def idle(episodes: int, folder: Path) -> Idle:
    """Build, then twice again."""
    random = np.random.default_rng(0)
    states = [pick_and_place(ROWS) * [*random.uniform(0.5, 1.5, 3), 1.0] for _ in range(episodes)]
    many = [Episode(ROWS, 0, state=state) for state in states]
    source = write_dataset(folder / f"logs{episodes}", many, version="v3.0", cameras=(), per_file=100)
    corpus = folder / f"corpus{episodes}"
    first = timed_build([str(source)], corpus, *ONLY_L1)
    again = min((no_op([str(source)], corpus, *ONLY_L1) for _ in range(2)), key=lambda run: run.seconds)
    return Idle(first.seconds, again.seconds, again.driver_peak, Corpus(str(corpus)).plan.height)
