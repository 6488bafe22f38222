"""From contacts to phases: what happened when, on the video's own clock.

In: an ``Episode`` (80 Hz signals). Out: phases as half-open frame ranges that cover the episode.
Why not from the script: the script says what was meant, the contacts say what was done. A phase
border is the frame in which a contact, the finger command or the direction of motion changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stages.train.simulation.environment import FPS, STEPS_PER_FRAME

from .simulation import BoolArray, Episode, FloatArray

IDLE_FRAMES = int(0.4 * FPS)
"""A standstill of at least 0.4 s is a phase of its own."""

STILL_SPEED = 0.015
"""Hand speed (m/s) below which the hand is taken to stand still; the wobble is below 0.014."""

SLOW_SPEED = 0.03
"""Hand speed (m/s) below which the direction of motion says nothing about the phase."""

SHORT_FRAMES = 5
"""A phase shorter than 0.25 s is given to its neighbour."""


@dataclass(frozen=True)
class Phase:
    """A named half-open range of video frames."""

    start: int
    end: int
    name: str


@dataclass
class Frames:
    """The episode's signals at the video frames [T]; contacts are OR-ed over the four steps."""

    velocity: FloatArray
    speed: FloatArray
    opening: FloatArray
    height: FloatArray
    object_speed: FloatArray
    closed: BoolArray
    touch: BoolArray
    touch_both: BoolArray
    touch_robot: BoolArray
    supported: BoolArray


def at_frames(episode: Episode) -> Frames:
    """Bring the 80 Hz signals to the 20 Hz video clock."""
    count = episode.frames
    steps = slice(0, count * STEPS_PER_FRAME)

    def any_of(signal: BoolArray) -> BoolArray:
        return np.asarray(signal[steps].reshape(count, STEPS_PER_FRAME).any(axis=1))

    def at(signal: npt.NDArray[np.float64]) -> FloatArray:
        return signal[steps][::STEPS_PER_FRAME]

    velocity = _smooth(at(episode.hand_vel))
    position = at(episode.object_pos)
    object_speed = np.linalg.norm(np.gradient(position, axis=0), axis=1) * FPS
    return Frames(
        velocity=velocity,
        speed=np.linalg.norm(velocity, axis=1),
        opening=at(episode.opening),
        height=position[:, 2] - position[0, 2],
        object_speed=object_speed,
        closed=episode.closing_command[steps][::STEPS_PER_FRAME],
        touch=any_of(episode.touch_left | episode.touch_right),
        touch_both=any_of(episode.touch_left & episode.touch_right),
        touch_robot=any_of(episode.touch_any),
        supported=any_of(episode.supported),
    )


def _smooth(values: FloatArray) -> FloatArray:
    """Rows [T, 3] averaged over three frames."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    return np.asarray((padded[:-2] + padded[1:-1] + padded[2:]) / 3.0)


def phases(episode: Episode) -> list[Phase]:
    """The phases of an episode, in order, without gap or overlap."""
    signals = at_frames(episode)
    verb = episode.plan.spec.contact_verb
    labels = _grasp_labels(signals, verb) if episode.plan.spec.grasp else _touch(signals, verb)
    _mark_idle(labels, signals.speed)
    _drop_short(labels)
    return _runs(labels)


def _runs(labels: list[str]) -> list[Phase]:
    """Runs of equal labels as phases."""
    borders = [0, *[i for i in range(1, len(labels)) if labels[i] != labels[i - 1]], len(labels)]
    return [Phase(a, b, labels[a]) for a, b in pairwise(borders)]


def _grasp_labels(signals: Frames, verb: str) -> list[str]:
    """Label the frames of a task with a grasp, one finger closure after the other."""
    count = len(signals.speed)
    labels = ["reach"] * count
    start = 0
    for close, reopen in _closures(signals.closed):
        settled = _settled(signals.opening, close, reopen)
        held = bool(signals.touch_both[settled : max(settled + 4, (settled + reopen) // 2)].any())
        first = close
        while held and first > start and close - first < 6 and signals.touch[first - 1]:
            first -= 1
        opened = _opened(signals, reopen, count)
        if held and signals.touch_both[settled:reopen].mean() > 0.5:
            labels[first:settled] = ["grasp"] * (settled - first)
            labels[settled:reopen] = _held_labels(signals, settled, reopen, verb)
            labels[reopen:opened] = ["release"] * (opened - reopen)
            labels[opened:] = ["retract"] * (count - opened)
        else:
            labels[close:reopen] = ["missed_grasp"] * (reopen - close)
            labels[reopen:opened] = ["reopen"] * (opened - reopen)
            labels[opened:] = ["reach"] * (count - opened)
        start = opened
    return labels


def _closures(closed: BoolArray) -> list[tuple[int, int]]:
    """Half-open frame ranges during which the fingers are commanded to be closed."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], closed, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _settled(opening: FloatArray, close: int, reopen: int) -> int:
    """First frame at which the closing fingers have stopped (under 1 % of travel per frame)."""
    moved = False
    for frame in range(close + 1, reopen - 1):
        change = abs(opening[frame] - opening[frame - 1])
        moved = moved or change > 0.02
        if moved and change < 0.01 and abs(opening[frame + 1] - opening[frame]) < 0.01:
            return frame
    return min(close + FPS // 2, reopen - 1)


def _opened(signals: Frames, reopen: int, count: int) -> int:
    """First frame after ``reopen`` at which the fingers are open and off the object."""
    for frame in range(reopen, count):
        if signals.opening[frame] > 0.9 and not signals.touch_both[frame]:
            return frame
    return count


def _held_labels(signals: Frames, start: int, end: int, verb: str) -> list[str]:
    """Label the frames during which the object is held: lift, move, lower, contact verb.

    The direction of the hand's motion decides between lift, move and lower; the object touching
    its surroundings again, after it was once free of them, starts the contact verb.
    """
    labels: list[str] = []
    free = False
    for frame in range(start, end):
        vertical = signals.velocity[frame, 2]
        sideways = float(np.linalg.norm(signals.velocity[frame, :2]))
        if signals.speed[frame] < SLOW_SPEED:
            name = labels[-1] if labels else "hold"
        elif abs(vertical) > sideways:
            name = "lift" if vertical > 0.0 else "lower"
        else:
            name = "move"
        free = free or (not signals.supported[frame] and signals.height[frame] > 0.01)
        if free and signals.supported[frame] and name != "lift":
            name = verb
        labels.append(name)
    return labels


def _touch(signals: Frames, verb: str) -> list[str]:
    """Label the frames of a task without a grasp: before, during and after the contact."""
    count = len(signals.speed)
    contact = np.flatnonzero(signals.touch_robot & (signals.object_speed > 0.004))
    if len(contact) == 0:
        contact = np.flatnonzero(signals.object_speed > 0.004)
    first, last = int(contact[0]), int(contact[-1])
    while first > 0 and signals.touch_robot[first - 1]:
        first -= 1
    labels = ["reach"] * count
    labels[first : last + 1] = [verb] * (last + 1 - first)
    labels[last + 1 :] = ["retract"] * (count - last - 1)
    return labels


def _mark_idle(labels: list[str], speed: FloatArray) -> None:
    """Mark standstills of at least 0.4 s, except while the fingers are at work."""
    busy = {"grasp", "missed_grasp", "release", "reopen"}
    still = [s < STILL_SPEED and label not in busy for s, label in zip(speed, labels, strict=True)]
    for run in _runs(["idle" if flag else "" for flag in still]):
        if run.name == "idle" and run.end - run.start >= IDLE_FRAMES:
            labels[run.start : run.end] = ["idle"] * (run.end - run.start)


def _drop_short(labels: list[str]) -> None:
    """Give phases shorter than 0.25 s to the longer neighbour; finger phases stay."""
    keep = {"grasp", "missed_grasp", "release", "reopen", "idle"}
    while True:
        runs = _runs(labels)
        short = [r for r in runs if r.end - r.start < SHORT_FRAMES and r.name not in keep]
        if not short or len(runs) == 1:
            return
        run = min(short, key=lambda r: r.end - r.start)
        near = [r for r in runs if r.start == run.end or r.end == run.start]
        free = [r for r in near if r.name not in keep] or near
        longest = max(free, key=lambda r: r.end - r.start)
        labels[run.start : run.end] = [longest.name] * (run.end - run.start)
