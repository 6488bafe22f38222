"""Boundaries in the path: where it turns, and where two tips are nearest or farthest.

In: arm motions on the grid, gripper changes. Out: candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.ndimage import maximum_filter1d
from scipy.signal import find_peaks

from stages.segment.config import SegmentConfig
from stages.segment.evidence.candidates import Columns, Float, columns, peaks
from stages.segment.kinematics.gripper import Change
from stages.segment.kinematics.motion import GRID_HZ, ArmMotion

TOGETHER_S = 2.0  # both arms have moved within this time
TIP_EXTREME = 0.1  # of its range: the distance of two tips changes by so much before an extreme counts
IN_JOINTS = 0.6  # a straight way of the hand is a bend in joint space
APART_S = 8.0  # extremes are judged against what is within this time, s


def turns(motion: ArmMotion, changes: Sequence[Change], points: Float, config: SegmentConfig) -> Columns:
    """Where the path changes direction: half the difference of the headings before and after, 1 for a way back.

    Both ways must be gone: what is slower than half of fast motion counts less. An empty hand may take any way to its
    next object, so its turns count squared: a way back stays one, a bend does not.
    """
    span = max(1, round(config.turn_window_s * GRID_HZ))
    size = len(motion.path)
    if size < 2 * span + 1:
        return columns([], "turn", motion.arm, [])
    before = after = dot = np.zeros(size - 2 * span)
    for column in motion.path.T:
        a, b = column[span:-span] - column[: -2 * span], column[2 * span :] - column[span:-span]
        before, after, dot = before + a * a, after + b * b, dot + a * b
    before, after = np.sqrt(before), np.sqrt(after)
    cosine = np.clip(dot / np.maximum(before * after, 1e-12), -1.0, 1.0)
    gone = np.minimum(before, after) / (0.5 * span / GRID_HZ)
    bend = np.sqrt((1.0 - cosine) / 2.0) * np.minimum(1.0, gone)
    bends, about = find_peaks(bend, height=0.25, distance=span)
    time, height = points[0] + (bends + span) / GRID_HZ, about["peak_heights"]
    strength = np.where(empty_at(time, changes), height * height, height)
    if motion.position is None:
        strength = IN_JOINTS * strength
    return columns(time, "turn", motion.arm, 1.1 * strength)


def empty_at(time: Float, changes: Sequence[Change]) -> npt.NDArray[np.bool_]:
    """Whether a hand that acts at all is open, or closed on nothing, at each time; of one that never acts nothing is
    known, and False."""
    acting = [c for c in changes if c.acts]
    if not acting:
        return np.zeros(len(time), dtype=bool)
    past = np.searchsorted([c.start for c in acting], time, side="right") - 1
    holds = np.array([c.closes and not c.missed for c in acting])
    return np.where(past >= 0, ~holds[np.maximum(past, 0)], acting[0].closes)


def tip_extremes(motions: Sequence[ArmMotion], points: Float, config: SegmentConfig) -> list[Columns]:
    """Where two tips that both move are nearest or farthest, in one frame of reference: brought together, or pulled
    apart."""
    first, second = motions[0].position, motions[1].position
    if first is None or second is None or first.shape != second.shape:
        return []
    distance = np.linalg.norm(first - second, axis=1)
    least = TIP_EXTREME * float(np.ptp(distance))
    if least <= 0:
        return []
    window = int(TOGETHER_S * GRID_HZ) | 1
    busy = np.min([maximum_filter1d(m.speed, window) for m in motions[:2]], axis=0) > config.moving
    found = []
    for kind, sign in (("tips_apart", 1.0), ("tips_near", -1.0)):
        places, about = peaks(sign * distance, least, APART_S)
        places, rises = places[busy[places]], about["prominences"][busy[places]]
        found.append(columns(points[0] + places / GRID_HZ, kind, "all", 0.7 * rises / (rises + least)))
    return found
