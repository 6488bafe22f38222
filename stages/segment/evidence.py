"""Candidate boundaries of an episode, each with its kind and strength.

In: arm motions and times. Out: `Candidate`s at the first frame of what begins there. Kinds: `closing_started`,
`closing_ended`, `opening_started`, `opening_ended` (a gripper that flips from one row to the next gives one candidate,
`closed` or `opened`), `motion_stopped`, `motion_onset`, `turn`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stages.segment.config import SegmentConfig
from stages.segment.motion import ArmMotion

Float = npt.NDArray[np.float64]
ON_ITS_WAY = 0.1  # a gripper change runs from this share of its way to one minus it
ONSET_LEAD = 0.05  # people mark the onset of motion more often than its end
GRIPPER_KINDS = frozenset({"closing_started", "closing_ended", "opening_started", "opening_ended", "closed", "opened"})


@dataclass(frozen=True, slots=True)
class Candidate:
    """A boundary: `frame` is the first of what begins there; strength 0 to 1."""

    frame: int
    kind: str
    arm: str
    strength: float


@dataclass(frozen=True, slots=True)
class GripperChange:
    """The gripper of `arm` closes or opens over frames [start, end). `acts` is false where an open hand opens
    further."""

    arm: str
    closes: bool
    start: int
    end: int
    acts: bool = True


def gripper_changes(motion: ArmMotion, config: SegmentConfig) -> list[GripperChange]:
    """Closings and openings: the legs of the opening between its turning points, each from 10 to 90 % of its way.

    Relative on purpose: fingers that stall on an object stop anywhere in the range, and how far an open hand is open
    means little. A turning point counts where the opening comes back by `gripper_min_range` and by a share of its
    range in the episode. Empty where the gripper hardly moves or there is none.
    """
    opening = motion.opening
    if opening is None or len(opening) < 2:
        return []
    spread = float(np.ptp(opening))
    if spread < config.gripper_min_range:
        return []
    points = _turning_points(opening, max(config.gripper_min_range, config.gripper_min_share * spread))
    changes: list[GripperChange] = []
    held = False
    for first, last in pairwise(points):
        way = (opening[first : last + 1] - opening[first]) / (opening[last] - opening[first])
        start = first + int(np.argmax(way >= ON_ITS_WAY))
        end = first + int(np.argmax(way >= 1.0 - ON_ITS_WAY)) + 1
        closes = bool(opening[last] < opening[first])
        if not changes and not closes:
            held = float(opening[first]) <= float(opening.min()) + 0.1 * spread  # it may start with closed fingers
        changes.append(GripperChange(motion.arm, closes, start, end, acts=closes or held))
        held = closes
    return changes


def gripper_candidates(change: GripperChange, min_frames: int) -> list[Candidate]:
    """One candidate for a change shorter than `min_frames`, else its start and its end. Weak where nothing was held."""
    strength = 1.0 if change.acts else 0.5
    if change.end - change.start < min_frames:
        return [Candidate(change.start, "closed" if change.closes else "opened", change.arm, strength)]
    verb = "closing" if change.closes else "opening"
    return [
        Candidate(change.start, f"{verb}_started", change.arm, strength),
        Candidate(change.end, f"{verb}_ended", change.arm, 0.95 * strength),
    ]


def rests(speed: Float, config: SegmentConfig, min_frames: int) -> list[tuple[int, int]]:
    """Half-open spans where the fastest arm is at rest for at least `min_frames`."""
    moving = _hysteresis(speed, config.still, config.moving)
    edges = np.flatnonzero(np.diff(np.concatenate([[1], moving.astype(np.int8), [1]])))
    spans = [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(a, b) for a, b in spans if b - a >= min_frames]


def rest_candidates(spans: list[tuple[int, int]], frames: int, rate: float) -> list[Candidate]:
    """Where motion stops and where it sets in again; onset marks an event better than stop, long rests than short."""
    found = []
    for start, end in spans:
        strength = rest_strength((end - start) / rate)
        if start > 0:
            found.append(Candidate(start, "motion_stopped", "all", strength))
        if end < frames:
            found.append(Candidate(end, "motion_onset", "all", min(1.0, strength + ONSET_LEAD)))
    return found


def rest_strength(seconds: float) -> float:
    """0.5 for no rest at all towards 0.85 for a long one."""
    return float(0.5 + 0.35 * (1.0 - 0.5 ** (seconds / 0.5)))


def turns(speed: Float, spans: list[tuple[int, int]], config: SegmentConfig) -> list[Candidate]:
    """Speed minima between two strokes, outside the rests; strength: how deep, as a share of the lower of the two
    peaks."""
    found: list[Candidate] = []
    minima = np.flatnonzero((speed[1:-1] < speed[:-2]) & (speed[1:-1] <= speed[2:])) + 1
    edges = [0, *minima.tolist(), len(speed)]
    resting = np.zeros(len(speed), dtype=bool)
    for start, end in spans:
        resting[start:end] = True
    for number, frame in enumerate(minima.tolist(), 1):
        if resting[frame]:
            continue
        left = float(speed[edges[number - 1] : frame].max(initial=0.0))
        right = float(speed[frame : edges[number + 1]].max(initial=0.0))
        peak = min(left, right)
        if peak > config.moving:
            depth = 1.0 - float(speed[frame]) / peak
            if depth >= config.turn_l0:
                found.append(Candidate(int(frame), "turn", "all", depth * min(1.0, peak / 0.5)))
    return found


def _hysteresis(values: Float, low: float, high: float) -> npt.NDArray[np.bool_]:
    """True from rising above `high` until falling below `low`; the first decided value holds before it."""
    decided = np.where(values > high, 1, np.where(values < low, 0, -1))
    known = np.flatnonzero(decided >= 0)
    if not len(known):
        return np.full(len(values), float(np.mean(values)) > (low + high) / 2)
    last = np.maximum.accumulate(np.where(decided >= 0, np.arange(len(values)), -1))
    return np.asarray(decided[np.where(last >= 0, last, known[0])] == 1)


def _turning_points(values: Float, swing: float) -> list[int]:
    """Frames of alternating extremes that are at least `swing` apart, ends included; one pass."""
    points: list[int] = []
    low = high = 0
    direction = 0
    for frame in range(1, len(values)):
        if values[frame] >= values[high]:
            high = frame
        if values[frame] <= values[low]:
            low = frame
        if direction <= 0 and values[frame] - values[low] >= swing:
            points.append(low)
            direction, high = 1, frame
        elif direction >= 0 and values[high] - values[frame] >= swing:
            points.append(high)
            direction, low = -1, frame
    if direction:
        points.append(high if direction > 0 else low)
    return points
