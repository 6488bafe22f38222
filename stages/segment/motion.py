"""What segment looks at: per arm, scaled speed, gripper opening and height, one value a canonical frame.

In: an episode's signals and its canonical times. Out: one `ArmMotion` an arm. Speeds are scaled by the episode's own
fast motion, so that metres, radians and raw units are judged alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from stages.episode import Signal, speeds
from stages.segment.config import SegmentConfig

Float = npt.NDArray[np.float64]
FLOORS = {"m": 0.02, "rad": 0.05, "m/s": 0.02, "rad/s": 0.05}  # fast motion of an arm that hardly moves, per second


@dataclass(frozen=True, slots=True)
class ArmMotion:
    """speed float64[T], 1 = the arm's fast motion; opening float64[T] 0 closed to 1 open, or None; position
    float64[T, 3] in m in the robot's base frame (z up), or None."""

    arm: str
    speed: Float
    opening: Float | None
    position: Float | None


def arm_motions(signals: Mapping[str, Signal], signal_times: Float, config: SegmentConfig) -> list[ArmMotion]:
    """Motion of each arm at `signal_times` (float64[T], s, log's clock)."""
    sigma = config.smooth_s / step(signal_times)
    smoothed = {arm: _smooth(speed, sigma) for arm, speed in speeds(signals, signal_times).items()}
    fast = {arm: float(np.percentile(speed, 95)) for arm, speed in smoothed.items()}
    fastest = max(fast.values(), default=0.0)
    motions = []
    for arm, speed in smoothed.items():
        unit = next(signals[f"{k}/{arm}"].unit for k in ("position", "joints", "velocity") if f"{k}/{arm}" in signals)
        scale = max(fast[arm], 0.1 * fastest, FLOORS.get(unit, 1e-9))
        gripper, position = signals.get(f"gripper/{arm}"), signals.get(f"position/{arm}")
        motions.append(
            ArmMotion(
                arm,
                speed / scale,
                gripper.at(signal_times)[:, 0] if gripper else None,
                position.at(signal_times) if position and position.unit == "m" else None,
            )
        )
    return motions


def step(times: Float) -> float:
    """Median time between frames, s; 1 for a single frame."""
    return float(np.median(np.diff(times))) if len(times) > 1 else 1.0


def _smooth(values: Float, sigma: float) -> Float:
    return np.asarray(gaussian_filter1d(values, sigma, mode="nearest")) if sigma > 0.1 else values
