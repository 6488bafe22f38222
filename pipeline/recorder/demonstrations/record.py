"""Records one demonstration: the unit of work of a recording process.

In: plan, seed, where its videos go, cameras. Out: a ``Recording`` with environment states. The pictures are drawn by
the pages that closed loops draw theirs with (`stages/train/simulation/look.py`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipeline.recorder.demonstrations.plans import key
from pipeline.recorder.rendering import set_frame
from pipeline.recorder.simulation import Episode, simulate
from pipeline.recorder.tasks import EpisodePlan
from pipeline.recorder.video import EpisodeEncoder
from pipeline.recorder.worker import ATTEMPTS, Recording, rejection, rows
from stages.train.simulation import look
from stages.train.simulation.environment import simulator
from stages.train.simulation.state import continuous, environment_state
from stages.train.simulation.tasks import TASKS

SIDE = 64
Job = tuple[EpisodePlan, int, str, tuple[str, ...]]


def record(job: Job) -> Recording:
    """Simulate until an attempt is good, then draw and encode it. RuntimeError where none of 12 is."""
    warnings.filterwarnings("ignore", message="Constant.s. may be too high")
    plan, seed, folder, cameras = job
    for attempt in range(ATTEMPTS):
        episode = simulate(plan, np.random.default_rng((*key(plan.task, plan.repeat, seed), attempt)))
        if rejection(episode) is None:
            break
    else:
        raise RuntimeError(f"no good attempt at {plan.task} repeat {plan.repeat}")
    state, action = rows(episode)
    videos = {name: Path(folder) / f"{plan.task}_{plan.repeat}_{name}.mp4" for name in cameras}
    _draw(episode, videos)
    return Recording(plan, state, action, [], [], videos, attempt + 1, environment_states(episode))


def environment_states(episode: Episode) -> npt.NDArray[np.float32]:
    """observation.environment_state [T, 17] of an episode's frames."""
    found = np.empty((episode.frames, 17))
    for frame in range(episode.frames):
        set_frame(episode, frame)
        found[frame] = environment_state(episode.env, episode.plan.task)
    for pose in (slice(3, 7), slice(10, 14)):
        found[:, pose] = continuous(found[:, pose])
    return found.astype(np.float32)


def _draw(episode: Episode, videos: dict[str, Path]) -> None:
    if not videos:
        return
    task, env = TASKS[episode.plan.task], episode.env
    look.dress(env.model, task)
    solids = look.marks(task, env._target_pos)
    encoders = {name: EpisodeEncoder(path, SIDE) for name, path in videos.items()}
    renderer = simulator().Renderer(env.model, SIDE, SIDE)
    try:
        for frame in range(episode.frames):
            set_frame(episode, frame)
            for name, picture in look.shots(renderer, env.data, tuple(videos), solids).items():
                encoders[name].add(picture)
    finally:
        renderer.close()
    for encoder in encoders.values():
        encoder.close()


def keys_of(cameras: Sequence[str]) -> tuple[str, ...]:
    """The cameras' names in a dataset."""
    return tuple(f"observation.images.{name}" for name in cameras)
