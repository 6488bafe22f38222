"""How well predicted boundaries agree with true ones: matched one to one within a tolerance, and counted.

In: boundary times in s. Out: counts that add up over episodes, and the figures they make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np
import numpy.typing as npt

Times = Sequence[float] | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Counts:
    """hits, predicted and true number of whatever was matched; adds up."""

    hits: int = 0
    predicted: int = 0
    true: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.hits + other.hits, self.predicted + other.predicted, self.true + other.true)

    @property
    def precision(self) -> float:
        return self.hits / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        return self.hits / self.true if self.true else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.hits / (self.predicted + self.true) if self.predicted + self.true else 1.0

    @property
    def ratio(self) -> float:
        """Predicted over true: above 1 there are too many."""
        return self.predicted / self.true if self.true else float("inf")

    @property
    def r_value(self) -> float:
        """R-value (Räsänen, Laine, Altosaar 2009): like F1, but too many boundaries do not pay. 1 is perfect."""
        missed, surplus = 1.0 - self.recall, self.ratio - 1.0
        return 1.0 - (hypot(missed, surplus) + abs(missed + surplus) / sqrt(2.0)) / 2.0


def boundaries(predicted: Times, true: Times, tolerance: float) -> Counts:
    """Largest one-to-one matching of times at most `tolerance` apart: in order of time, each to the first that fits."""
    ours, theirs = sorted(predicted), sorted(true)
    hits = i = j = 0
    while i < len(ours) and j < len(theirs):
        if abs(ours[i] - theirs[j]) <= tolerance + 1e-9:
            hits, i, j = hits + 1, i + 1, j + 1
        elif ours[i] < theirs[j]:
            i += 1
        else:
            j += 1
    return Counts(hits, len(ours), len(theirs))
