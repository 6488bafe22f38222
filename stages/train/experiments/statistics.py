"""Means and differences over draws, with intervals.

A draw's demonstrations move its success far more than what is compared does (the tail's from 12 to 84 % in a pilot), so
conditions are compared within a draw, and the interval is that of the mean of those differences (Student's t).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Mean:
    """Of n draws: mean, and half the width of its 95 % interval (NaN for a single draw)."""

    value: float
    half: float
    n: int

    @property
    def resolved(self) -> bool:
        """Whether the interval leaves zero out."""
        return abs(self.value) > self.half

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} ± {100 * self.half:.0f}"

    def signed(self) -> str:
        return f"{100 * self.value:+.0f} ± {100 * self.half:.0f}"


def mean(values: Sequence[float]) -> Mean:
    own = np.asarray(values, dtype=np.float64)
    n = len(own)
    if n < 2:
        return Mean(float(own.mean()) if n else float("nan"), float("nan"), n)
    half = stats.t.ppf(0.5 + LEVEL / 2, n - 1) * own.std(ddof=1) / np.sqrt(n)
    return Mean(float(own.mean()), float(half), n)


def difference(first: Sequence[float], second: Sequence[float]) -> Mean:
    """first - second, paired: both by draw, in one order."""
    return mean((np.asarray(first) - np.asarray(second)).tolist())
