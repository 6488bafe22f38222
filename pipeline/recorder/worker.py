"""Records one episode from plan to encoded video: the unit of work of a recording process.

In: plan, seed, folder for the videos. Out: a ``Recording`` (rows at 20 Hz, phases, landmarks).
Everything random comes from (seed, task, repeat, attempt), so the result depends neither on the
number of processes nor on their order.
"""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.train.simulation import look
from stages.train.simulation.environment import FPS, STEPS_PER_FRAME

from . import rendering, scene
from .simulation import Episode, simulate, task_done
from .tasks import PALETTE, TASKS, EpisodePlan
from .truth import Phase, phases
from .video import EpisodeEncoder

ATTEMPTS = 12
SECONDS = (5.0, 20.0)


@dataclass
class Recording:
    """One finished episode: state [T, 11], action [T, 4] and environment state [T, 17] at the video's instants."""

    plan: EpisodePlan
    state: npt.NDArray[np.float32]
    action: npt.NDArray[np.float32]
    phases: list[Phase]
    landmarks: list[rendering.Landmark]
    videos: dict[str, Path]
    attempts: int
    environment: npt.NDArray[np.float32] | None = None


def record(plan: EpisodePlan, seed: int, folder: Path) -> Recording:
    """Simulate until an attempt is good, render it and encode its three videos."""
    task_index = [spec.name for spec in TASKS].index(plan.task)
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, task_index, plan.repeat, attempt])
        episode = simulate(plan, rng)
        if rejection(episode) is None:
            break
    else:
        raise RuntimeError(f"no good attempt at {plan.task} repeat {plan.repeat}")
    model, data = episode.env.model, episode.env.data
    cell = look.CELLS[plan.cell]
    look.place_cameras(model, cell)
    look.paint(model, cell, plan.spec.body, PALETTE[plan.colour])
    rendering.set_frame(episode, 0)
    solids = scene.draw_distractors(rng, model, data, plan.colour, episode.hand_pos)
    if plan.spec.mark_goal:
        solids.append(look.goal_mark(episode.env._target_pos))
    videos = _encode(episode, solids, folder)
    state, action = rows(episode)
    marks = rendering.landmarks(episode)
    return Recording(plan, state, action, phases(episode), marks, videos, attempt + 1)


def record_job(job: tuple[EpisodePlan, int, str]) -> Recording:
    """Record one (plan, seed, folder) in a process of its own."""
    plan, seed, folder = job
    warnings.filterwarnings("ignore", message="Constant.s. may be too high")
    return record(plan, seed, Path(folder))


def rejection(episode: Episode) -> str | None:
    """Why an attempt is not kept, or None."""
    seconds = episode.frames / FPS
    if not SECONDS[0] <= seconds <= SECONDS[1]:
        return f"lasts {seconds:.1f} s"
    if not task_done(episode):
        return "not successful"
    seen = Counter(phase.name for phase in phases(episode))
    if seen["missed_grasp"] != episode.plan.missed:
        return "misses otherwise than planned"
    if episode.plan.spec.grasp and seen["grasp"] != 1:
        return "grasps otherwise than once"
    return None


def _encode(episode: Episode, solids: list[look.Solid], folder: Path) -> dict[str, Path]:
    """Render and encode the episode; returns the video file of each camera."""
    plan = episode.plan
    stem = f"{plan.cell}_{plan.task}_{plan.repeat}"
    paths = {name: folder / f"{stem}_{name}.mp4" for name in look.STOCK_CAMERA}
    encoders = {name: EpisodeEncoder(path, scene.IMAGE_SIZE) for name, path in paths.items()}
    for shots in rendering.images(episode, solids):
        for name, image in shots.items():
            encoders[name].add(image)
    for encoder in encoders.values():
        encoder.close()
    return paths


def rows(episode: Episode) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """State [T, 11] at the frames' instants; action [T, 4]: the mean command until the next."""
    count = episode.frames
    steps = slice(0, count * STEPS_PER_FRAME)
    state = np.column_stack([episode.hand_pos, episode.hand_quat, episode.hand_vel, episode.opening])[steps][
        ::STEPS_PER_FRAME
    ]
    opened = np.where(episode.closing_command, 0.0, 1.0)
    command = np.column_stack([episode.command, opened])[steps]
    action = command.reshape(count, STEPS_PER_FRAME, 4).mean(axis=1)
    action[:, 3] = command[::STEPS_PER_FRAME, 3]
    return state.astype(np.float32), action.astype(np.float32)


def colour_rgb(colour: str) -> list[float]:
    """The palette's RGB of a colour name, 0 to 1."""
    return [float(value) for value in PALETTE[colour]]
