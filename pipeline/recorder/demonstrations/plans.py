"""Which demonstrations are recorded, in which order.

In: tasks, how many of each, a seed. Out: the plan of every demonstration. A task has one instruction and one look; a
fifth of the demonstrations of grasping tasks miss their first grasp and try again.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.recorder.tasks import EpisodePlan
from stages.train.simulation.tasks import TASKS

MISSED = 0.2
DEMONSTRATIONS = 29
"""Parts the random numbers of demonstrations from those of the sample."""


def plans(counts: Mapping[str, int], seed: int) -> list[EpisodePlan]:
    """As many of each task as `counts` says, taken in turn, so that any first part has tasks alike."""
    turns = [(name, repeat) for name, count in counts.items() for repeat in range(count)]
    return [planned(name, repeat, seed) for name, repeat in sorted(turns, key=lambda turn: turn[1])]


def planned(name: str, repeat: int, seed: int) -> EpisodePlan:
    """One demonstration. Raises KeyError for a task that is not known."""
    task = TASKS[name]
    missed = int(task.grasp and np.random.default_rng(key(name, repeat, seed)).random() < MISSED)
    return EpisodePlan("cell_a", name, repeat, "", task.instruction, True, missed)


def key(name: str, repeat: int, seed: int) -> tuple[int, ...]:
    """What the random numbers of a demonstration hang on; a task's do not on which others are recorded."""
    return seed, DEMONSTRATIONS, list(TASKS).index(name), repeat
