"""How sure the machine really is, told by what people have found right: its confidence, calibrated.

In: what the machine said of events, and whether people accepted them as they were. Out: the chance that an event is
right. A logistic curve of the confidence's log odds (Platt 1999) with a shift for each level, primitive, source of the
caption, and for a caption that signals contradict. All of it is shrunk (L2) towards the share that is right: with some
tens of events a free curve (isotonic) would follow chance, and groups of few events must not have a say of their own.
Within a group the chance never falls as the confidence rises: a slope that would is none. What is shown of it is held
out: each episode's events are judged by a curve that was fitted without that episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.review.cases import Case

FEWEST, EPISODES = 30, 3  # events that were judged, and their episodes, from which there is a calibration
NEWEST = 5000  # events that it is fitted on
FOLDS = 10
LEAST = 0.02  # from which, and up to 1 - which, a confidence counts as it is
BINS = np.linspace(0.0, 1.0, 11)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Said:
    """What the machine says of n events. sure: 0 to 1; groups: object[n, 4]: level, primitive, source of the caption,
    whether caption and signals contradict each other."""

    sure: Floats
    groups: npt.NDArray[Any]

    def __getitem__(self, which: npt.NDArray[Any]) -> Said:
        return Said(self.sure[which], self.groups[which])


@dataclass(frozen=True, slots=True)
class Curve:
    """The chance that an event is right. model: None where all that were judged came out alike."""

    encoder: Any
    model: Any
    base: float
    rises: bool

    def chance(self, said: Said) -> Floats:
        """float64[n], 0 to 1."""
        if self.model is None:
            return np.full(len(said.sure), self.base)
        return np.asarray(self.model.predict_proba(_columns(self.encoder, said, self.rises))[:, 1], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far what is said is what is. bins: (lower end, events, mean of what is said, share that is right), the last
    two None where there are none; brier: mean squared distance from what is; error: expected calibration error."""

    bins: list[tuple[float, int, float | None, float | None]]
    brier: float
    error: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """before: the machine's own confidence on the events that were judged; after: the calibrated one, held out."""

    curve: Curve
    before: Reliability
    after: Reliability
    events: int


def said_of(cases: Sequence[Case]) -> Said:
    rows = [[c.level, c.machine["primitive"], c.machine["said_by"], str(c.machine["doubt"])] for c in cases]
    sure = np.array([c.machine["sure"] for c in cases], dtype=np.float64)
    return Said(sure, np.array(rows, dtype=object).reshape(len(cases), 4))


def calibrate(cases: Sequence[Case]) -> Calibration | None:
    """Of cases in order of time; None where there are too few to say anything."""
    from sklearn.model_selection import GroupKFold

    some = cases[-NEWEST:]
    names = np.array([c.episode for c in some])
    episodes = len(np.unique(names))
    if len(some) < FEWEST or episodes < EPISODES:
        return None
    said, right = said_of(some), np.array([c.right for c in some])
    held_out = np.empty(len(some))
    for train, test in GroupKFold(min(FOLDS, episodes)).split(said.sure, groups=names):
        held_out[test] = fit(said[train], right[train]).chance(said[test])
    return Calibration(fit(said, right), reliability(said.sure, right), reliability(held_out, right), len(some))


def fit(said: Said, right: npt.NDArray[np.bool_]) -> Curve:
    """right: bool[n]."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    base = (float(right.sum()) + 1) / (len(right) + 2)
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(said.groups)
    if len(np.unique(right)) < 2:
        return Curve(encoder, None, base, False)
    model = LogisticRegression(max_iter=1000).fit(_columns(encoder, said, True), right)
    if model.coef_[0, 0] > 0:
        return Curve(encoder, model, base, True)
    return Curve(encoder, LogisticRegression(max_iter=1000).fit(_columns(encoder, said, False), right), base, False)


def _columns(encoder: Any, said: Said, rises: bool) -> Floats:
    sure = np.clip(said.sure, LEAST, 1 - LEAST)
    odds = np.log(sure / (1 - sure)) if rises else np.zeros_like(sure)
    return np.column_stack([odds, encoder.transform(said.groups)])


def reliability(sure: Floats, right: npt.NDArray[np.bool_]) -> Reliability:
    """sure: float64[n], 0 to 1, what is said of each; right: bool[n]; n at least 1."""
    which = np.clip(np.digitize(sure, BINS) - 1, 0, len(BINS) - 2)
    bins, error = list[tuple[float, int, float | None, float | None]](), 0.0
    for number, (low, _) in enumerate(pairwise(BINS)):
        own = which == number
        if not own.any():
            bins.append((float(low), 0, None, None))
            continue
        says, share = float(sure[own].mean()), float(right[own].mean())
        bins.append((float(low), int(own.sum()), says, share))
        error += float(own.mean()) * abs(says - share)
    return Reliability(bins, float(np.mean((sure - right) ** 2)), error)
