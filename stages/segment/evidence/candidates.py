"""What a candidate boundary is: when, of which kind, how strong, seen in which arm and signal.

Strengths are 0 to 1 and mean about: how often people put a boundary there.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import find_peaks

from stages.seconds import ROUNDING_S
from stages.segment.kinematics.motion import GRID_HZ

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Columns = tuple[Float, Int, Int, Float]  # time, kind, arm, strength

KINDS = (
    "closing_started", "closing_ended", "opening_started", "opening_ended", "closed", "opened", "command_gap",
    "hand_started", "hand_ended", "hand_changed",
    "motion_onset", "motion_stopped", "slow_left", "slow_entered", "turn", "contact", "tips_near", "tips_apart",
)  # fmt: skip
KIND = {name: number for number, name in enumerate(KINDS)}
ARMS = ("all", "single", "left", "right")
SIGNALS = {
    "motion_onset": "speed", "motion_stopped": "speed", "slow_left": "speed", "slow_entered": "speed", "turn": "path",
    "contact": "speed", "tips_near": "tip_distance", "tips_apart": "tip_distance", "command_gap": "gripper_command",
}  # fmt: skip
SAME = 0.4  # what is left of evidence that another, better placed candidate stands for
TURNED = 0.35  # strength from which a turn stands for the slow stretch around it


@dataclass(frozen=True, slots=True)
class Evidence:
    """Candidates in order of time: time float64[N] (s, log's clock), kind and arm (numbers in KINDS, ARMS) int64[N],
    strength float64[N]."""

    time: Float
    kind: Int
    arm: Int
    strength: Float

    def __len__(self) -> int:
        return len(self.time)


def columns(time: npt.ArrayLike, kind: str, arm: str, strength: npt.ArrayLike) -> Columns:
    """Candidates of one kind, seen in one arm; strengths are cut to 0 to 1."""
    time = np.asarray(time, dtype=np.float64)
    size = len(time)
    values = np.clip(np.broadcast_to(np.asarray(strength, dtype=np.float64), (size,)), 0.0, 1.0)
    return time, np.full(size, KIND[kind]), np.full(size, ARMS.index(arm)), values


def near(time: Float, marks: Float, seconds: float) -> Bool:
    """Is any mark (rising) within so many seconds of each time?"""
    return np.asarray(
        np.searchsorted(marks, time + seconds + ROUNDING_S) > np.searchsorted(marks, time - seconds - ROUNDING_S)
    )


def peaks(values: Float, prominence: float, seconds: float) -> tuple[Int, dict[str, Float]]:
    """Peaks of float64[G] that stand out by `prominence` from what is within so many seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of peaks that do not stand out at all, which are not wanted
        found, about = find_peaks(values, prominence=max(prominence, 1e-12), wlen=int(seconds * GRID_HZ) | 1)
    return found, about
