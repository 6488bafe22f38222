"""Comparing times: two that differ by a rounding are equal.

In: seconds, as numbers or arrays. Times are sums and differences of doubles, so that a span of 0.8 s may come out as
0.7999999999999998 s; compared as they are, whether it counts as 0.8 s hangs on where in the episode it lies. Nothing in
a log is as short as a microsecond; float32 timestamps are coarser, and say how much themselves (`step_of`).
"""

from __future__ import annotations

import math
from typing import overload

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
ROUNDING_S = 1e-6
COARSE_S = 1e-2


@overload
def at_least(seconds: float, bound: float) -> bool: ...
@overload
def at_least(seconds: Float, bound: float | Float) -> Bool: ...
@overload
def at_least(seconds: float, bound: Float) -> Bool: ...
def at_least(seconds: float | Float, bound: float | Float) -> bool | Bool:
    """Whether `seconds` reaches `bound`, or falls short of it by a rounding."""
    return seconds >= bound - ROUNDING_S


@overload
def longer(seconds: float, bound: float) -> bool: ...
@overload
def longer(seconds: Float, bound: float | Float) -> Bool: ...
def longer(seconds: float | Float, bound: float | Float) -> bool | Bool:
    """Whether `seconds` is above `bound` by more than a rounding."""
    return seconds > bound + ROUNDING_S


def step_of(times: Float) -> float:
    """How finely a log's timestamps can be told apart, s: LeRobot keeps float32, 1.2e-4 s after half an hour. At most
    COARSE_S: doubles that count from 1970 are finer than their size says."""
    return min(COARSE_S, max(ROUNDING_S, float(np.spacing(np.float32(np.abs(times).max(initial=0.0))))))


def whole_steps(seconds: float, hz: float) -> int:
    """How many steps of a grid lie in `seconds`; one that is missed by a rounding counts."""
    return math.floor((seconds + ROUNDING_S) * hz)
