"""Runs policies in closed loop and counts what comes of it.

In: a policy, tasks, seeds of starts. Out: an `Outcome` of each, and how sure a share of successes is. What comes of a
rollout depends on policy, task and seed alone: neither on the number of processes nor on what was run before.
"""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stages.train.policy import Policy

if TYPE_CHECKING:
    from stages.train.simulation.world import Observation, World

FPS = 20
LIMIT_S = 20.0
HELD_S = 1.0
"""A task that must still be done at the end has succeeded once it has been done for so long; what is only carried past
its goal has not."""

Z = 1.959964  # of a normal distribution's 95 %


@dataclass(frozen=True, slots=True)
class Outcome:
    """One rollout of T steps. seconds: until it succeeded, or the limit; states float32[T, 11], actions float32[T, 4];
    pictures uint8[T, H, W, 3] by camera, none unless they were asked for."""

    task: str
    seed: int
    success: bool
    seconds: float
    states: npt.NDArray[np.float32]
    actions: npt.NDArray[np.float32]
    pictures: Mapping[str, npt.NDArray[np.uint8]]


def rollout(policy: Policy, world: World, seed: int, limit_s: float = LIMIT_S, keep_pictures: bool = False) -> Outcome:
    """Until the task has been done for HELD_S, or the limit."""
    policy.reset()
    observation = world.reset(seed)
    seen: list[Observation] = []
    done: list[npt.NDArray[np.float32]] = []
    held = 0
    waiting: list[npt.NDArray[np.float32]] = []
    while len(done) < round(limit_s * FPS) and held < HELD_S * FPS:
        if not waiting:
            waiting = list(policy.act(observation, world.instruction))
        seen.append(observation)
        done.append(np.asarray(waiting.pop(0), dtype=np.float32))
        # a picture that nobody looks at is not drawn
        observation = world.step(done[-1], draw=keep_pictures or not waiting)
        held = held + 1 if world.success else 0
    pictures = {
        name: np.stack([own.pictures[name] for own in seen]) for name in (observation.pictures if keep_pictures else ())
    }
    return Outcome(
        world.task.name,
        seed,
        held >= HELD_S * FPS,
        len(done) / FPS,
        np.stack([own.state for own in seen]),
        np.stack(done),
        pictures,
    )


def evaluate(
    policy: Policy,
    tasks: Sequence[str],
    seeds: Sequence[int],
    limit_s: float = LIMIT_S,
    processes: int = 1,
    cameras: Sequence[str] = (),
    side: int = 64,
) -> list[Outcome]:
    """By task, then by seed. cameras: that the policy sees by, of `side` px. Processes are spawned, the policy is
    pickled for each."""
    jobs = [(task, seed) for task in tasks for seed in seeds]
    seen = (tuple(cameras), side)
    if processes == 1:
        return _share(policy, limit_s, seen, jobs)
    # neighbours share a task, and with it a world
    size = math.ceil(len(jobs) / (4 * processes))
    shares = [jobs[first : first + size] for first in range(0, len(jobs), size)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        parts = pool.map(partial(_share, policy, limit_s, seen), shares, chunksize=1)
    return [outcome for part in parts for outcome in part]


def _share(
    policy: Policy, limit_s: float, seen: tuple[Sequence[str], int], jobs: Sequence[tuple[str, int]]
) -> list[Outcome]:
    import torch

    from stages.train.simulation.world import World

    torch.set_num_threads(1)
    world: World | None = None
    outcomes = []
    for task, seed in jobs:
        if world is None or world.task.name != task:
            world = World(task, *seen)
        outcomes.append(rollout(policy, world, seed, limit_s))
    return outcomes


def interval(successes: int, of: int) -> tuple[float, float]:
    """95 % of a share, 0 to 1, by Wilson's score: the shares p for which `successes` of `of` lie within 1.96 standard
    errors of p (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927). (0, 1) of nothing."""
    if not of:
        return 0.0, 1.0
    share, z2 = successes / of, Z * Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    reach = Z * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of)) / (1 + z2 / of)
    return (middle - reach if successes else 0.0), (middle + reach if successes < of else 1.0)
