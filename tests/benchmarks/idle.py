"""How long a build takes that finds nothing to do, by the number of episodes: tables alone, no video.

In: a number of episodes. Out: (seconds of the first build, of the rerun). Episodes are short pick-and-place paths of
their own, 100 in a data file, LeRobot v3.0; the corpus is built by the same command as any other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.benchmarks.builds import no_op, timed_build
from tests.datasets import Episode, pick_and_place, write_dataset

ROWS = 60


def idle_seconds(episodes: int, folder: Path) -> tuple[float, float]:
    random = np.random.default_rng(0)
    states = [pick_and_place(ROWS) * [*random.uniform(0.5, 1.5, 3), 1.0] for _ in range(episodes)]
    many = [Episode(ROWS, 0, state=state) for state in states]
    source = write_dataset(folder / f"logs{episodes}", many, version="v3.0", cameras=(), per_file=100)
    corpus = folder / f"corpus{episodes}"
    built = timed_build([str(source)], corpus, "shard.target_bytes=16000000")
    return built.seconds, min(no_op([str(source)], corpus, "shard.target_bytes=16000000") for _ in range(2))
