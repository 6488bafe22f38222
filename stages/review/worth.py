"""What is worth asking next: the chance that an event is wrong, by the seconds that it would take a person.

In: cases that people have judged. Out: seconds that an event will take; its worth, errors found a second. Seconds are a
ridge regression on length and primitive, which falls back on the mean where little is known, of times without their
longest twentieth (somebody was away), and never below or above what nine in ten events took.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.review.calibration import FEWEST, NEWEST, Floats
from stages.review.cases import Case

SHRINK = 10.0  # events of a primitive from which half of what is their own counts
QUANTILES = (0.05, 0.95)
LONGEST_S = 30.0  # of an event: a longer one is looked at no longer
LEAST_S = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds that events take."""

    encoder: Any
    model: Any
    low: float
    high: float

    def seconds(self, length_s: Floats, primitive: npt.NDArray[Any]) -> Floats:
        """float64[n]; primitive: object[n]."""
        found: Floats = np.clip(self.model.predict(_columns(self.encoder, length_s, primitive)), self.low, self.high)
        return found


def pace(cases: Sequence[Case]) -> Pace | None:
    """None where too few events were judged, or nobody's time was taken."""
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import OneHotEncoder

    timed = [c for c in cases[-NEWEST:] if c.spent_ms > 0]
    if len(timed) < FEWEST:
        return None
    spent = np.array([c.spent_ms / 1000 for c in timed])
    low, high = (max(LEAST_S, float(q)) for q in np.quantile(spent, QUANTILES))
    names = np.array([c.machine["primitive"] for c in timed], dtype=object)
    length = np.array([c.length_ms / 1000 for c in timed])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(names[:, None])
    model = Ridge(alpha=SHRINK).fit(_columns(encoder, length, names), np.clip(spent, low, high))
    return Pace(encoder, model, low, high)


def _columns(encoder: Any, length_s: Floats, primitive: npt.NDArray[Any]) -> Floats:
    return np.column_stack([np.minimum(length_s, LONGEST_S), encoder.transform(primitive[:, None])])


def worth(chance: Floats, seconds: Floats | float) -> Floats:
    """Errors found a second; chance: that an event is right."""
    found: Floats = (1.0 - chance) / seconds
    return found
