"""Which end of a gripper's range is closed: tests that look at different physics, and vote.

In: of some episodes the gripper, its command and the arm's path. Out: how likely it is that the larger value is open,
and what each test saw. No test is a convention of some recorder, none but a pick and place seen in most episodes is
enough by itself, and where none of them sees anything the answer is one half. Fingers stop short of their command on
the closed side, since there is something between them; a thing is carried between the change that takes hold of it and
the one that lets go, both with the arm at rest, away from where it started and from each other; fingers that hold push;
a joint of a finger curls away from zero. What starts with something in its hand is read the wrong way round by the
path alone, and so is a hand that grips from the inside: people give such robots a profile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stages.ingest.inference.names import GRIPPER
from stages.zigzag import turning_points

Float = npt.NDArray[np.float64]
SWING = 0.2  # of the gripper's range, from which it has changed
STANDS_S = 0.4  # a command that has stood so long has been followed, or cannot be
GAP = 0.05  # of the range, by which fingers stop short
START = 0.2  # of the farthest that the arm goes in the episode: still where it began
AT_REST = 0.3  # of the arm's fast speed
CARRIED = 0.35  # of the farthest that the arm goes, between two changes
CURL = (1.2, 2.6)  # rad; values that reach so far are a joint's angles, not shares of a range nor percent
OPENING = {"open", "opening", "openness", "width", "aperture"}
CLOSURE = {"closed", "closing", "closure", "closedness"}
SAME = 0.25  # of the range: as open as before
HALF_VOTE = 0.5  # episodes that count as many as those that nobody has seen
SHARP = 2.0  # from votes to log-odds


@dataclass(frozen=True, slots=True)
class Episode:
    """time float64[T], s; grip float64[T], 0 to 1 along its range; command float64[T] on the same scale, or None; path
    float64[T, D], each column a share of its own range."""

    time: Float
    grip: Float
    path: Float
    command: Float | None = None
    effort: Float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """high_is_open: a probability; because: what each test that saw something saw."""

    high_is_open: float
    because: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Change:
    """The gripper goes from row `start` to row `end`, up or down."""

    start: int
    end: int
    up: bool


Votes = Iterator[int]  # +1: the larger value is open


def polarity(episodes: Sequence[Episode], finger_reach: float | None = None, words: Sequence[str] = ()) -> Verdict:
    """finger_reach: the largest angle of a hand's finger joints whose mean the gripper is, signed as they curl; words:
    of its name, in order."""
    odds, because = 0.0, []
    for names, sign, says in ((OPENING, 1.2, "open"), (CLOSURE, -1.2, "closed")):
        if _said(names, words):
            odds += sign
            because.append(f"its name says how far it is {says}")
    for weight, saying, test in TESTS:
        votes = [v for e in episodes for v in test(e)]
        if not votes:
            continue
        share = sum(votes) / len(votes)
        odds += weight * share * len(votes) / (len(votes) + HALF_VOTE)
        up = sum(v > 0 for v in votes)
        because.append(f"{saying}: {up} of {len(votes)} say that the larger value is open")
    if finger_reach is not None and CURL[0] <= abs(finger_reach) <= CURL[1]:
        odds -= 1.0 * math.copysign(1.0, finger_reach)
        because.append(f"joints of fingers curl to {finger_reach:.2f} rad from 0")
    return Verdict(1.0 / (1.0 + math.exp(-SHARP * odds)), tuple(because))


def _said(names: set[str], words: Sequence[str]) -> bool:
    """Whether one of them stands right after the word for the gripper: `gripper_width`, not `open_manipulator`."""
    return any(a in GRIPPER and b in names for a, b in pairwise(words))


def _changes(episode: Episode) -> list[_Change]:
    points = turning_points(episode.grip, SWING)
    found = []
    for a, b in pairwise(points):
        low, high = episode.grip[a], episode.grip[b]
        way = (episode.grip[a : b + 1] - low) / (high - low)
        found.append(_Change(a + int(np.argmax(way >= 0.1)), a + int(np.argmax(way >= 0.9)), bool(high > low)))
    return found


def _speed(episode: Episode) -> Float:
    """float64[T]: the arm's speed, 1 = its fast motion."""
    if len(episode.time) < 3:
        return np.zeros(len(episode.time))
    speed = np.linalg.norm(np.gradient(episode.path, episode.time, axis=0), axis=1)
    width = max(1, round(0.2 / float(np.median(np.diff(episode.time)))))
    speed = np.convolve(np.pad(speed, (width // 2, width - 1 - width // 2), "edge"), np.ones(width) / width, "valid")
    moving = speed[speed > 0.1 * speed.max(initial=0.0)]
    fast = float(np.percentile(moving, 90)) if len(moving) else 0.0
    return np.asarray(speed / fast) if fast > 0 else np.zeros(len(speed))


def _short_of_command(episode: Episode) -> Votes:
    """The side on which the fingers stop further from where they were sent."""
    command, grip, time = episode.command, episode.grip, episode.time
    if command is None or len(time) < 3:
        return
    step = float(np.median(np.diff(time)))
    rows = max(2, math.ceil(STANDS_S / step))
    if len(time) <= rows:
        return
    windows = np.lib.stride_tricks.sliding_window_view(command, rows)
    stands = np.ptp(windows, axis=1) < 0.05
    settled = np.ptp(np.lib.stride_tricks.sliding_window_view(grip, max(2, rows // 2))[-len(stands) :], axis=1) < 0.03
    told, is_at = command[rows - 1 :][stands & settled], grip[rows - 1 :][stands & settled]
    low, high = told < 0.4, told > 0.6
    if low.sum() < 3 or high.sum() < 3:
        return
    short_low, short_high = float(np.median((is_at - told)[low])), float(np.median((told - is_at)[high]))
    if max(short_low, short_high) >= GAP and abs(short_low - short_high) >= max(GAP, 0.5 * max(short_low, short_high)):
        yield 1 if short_low > short_high else -1


def _carrying(episode: Episode) -> Votes:
    """A thing is held between two changes at work (with the arm at rest, away from where it started) that are far from
    each other. A hand that opens and closes again at one place makes ready there. An odd number of changes at work, or
    one on the way between them, may begin either way: nothing is said."""
    path, changes = episode.path, _changes(episode)
    farthest = float(np.linalg.norm(path - path[0], axis=1).max(initial=0.0))
    if farthest <= 0 or len(changes) < 2:
        return
    speed = _speed(episode)

    def at_work(change: _Change) -> bool:
        away = float(np.linalg.norm(path[change.start] - path[0])) > START * farthest
        return away and float(speed[change.start : change.end + 1].min()) < AT_REST

    def far(a: _Change, b: _Change) -> bool:
        return float(np.linalg.norm(path[b.start] - path[a.end])) > CARRIED * farthest

    working = [n for n, c in enumerate(changes) if at_work(c)]
    if len(working) > 1 and not far(changes[working[0]], changes[working[1]]):
        working = working[1:]
    chosen = [changes[n] for n in working]
    unbroken = all(b == a + 1 for a, b in pairwise(working))
    if len(chosen) >= 2 and len(chosen) % 2 == 0 and unbroken and all(far(a, b) for a, b in pairwise(chosen)):
        before, after = _level(episode, chosen[0], -1), _level(episode, chosen[1], 1)
        if abs(before - after) < SAME:  # open as before; a hand that came with something is wider than an empty fist
            yield -1 if chosen[0].up else 1


def _level(episode: Episode, change: _Change, side: int) -> float:
    """The opening just before a change (side -1) or just after it, settled."""
    step = max(1, round(0.2 / float(np.median(np.diff(episode.time)))))
    at = (change.start - step, change.start) if side < 0 else (change.end + 1, change.end + 1 + step)
    own = episode.grip[max(0, at[0]) : max(1, at[1])]
    return float(np.median(own)) if len(own) else float(episode.grip[-1])


def _effort(episode: Episode) -> Votes:
    """Fingers that hold something push."""
    if episode.effort is None:
        return
    push = np.abs(episode.effort)
    low, high = episode.grip < 0.4, episode.grip > 0.6
    if low.sum() < 5 or high.sum() < 5:
        return
    at_low, at_high = float(np.median(push[low])), float(np.median(push[high]))
    if max(at_low, at_high) > 2 * min(at_low, at_high) and max(at_low, at_high) > 0:
        yield 1 if at_low > at_high else -1


TESTS: tuple[tuple[float, str, Callable[[Episode], Votes]], ...] = (
    (1.0, "fingers stop short of their command", _short_of_command),
    (1.3, "what is carried between two changes at work", _carrying),
    (0.9, "effort of the fingers", _effort),
)
