"""A bounded probe of a dataset: what its first episodes hold, for what metadata does not say.

In: a dataset and its episodes. Out: values and ranges of columns, read when they are first asked for. The first
episodes, so that one more makes no other: a layout is part of the fingerprint of all that follows.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np
import numpy.typing as npt

from schemas.reasons import Quarantined
from stages.ingest.checks import LEAST_STEP_S, finite
from stages.sources.protocol import Dataset, Episode

Float = npt.NDArray[np.float64]
EPISODES = 24
ROWS = 200_000
SLACK = 0.02  # of the range seen, by which statistics may be narrower
STRAY = 20.0  # times the range seen, from which statistics hold a stray value


class Probe:
    """Of one dataset."""

    def __init__(self, dataset: Dataset, episodes: Iterable[Episode]) -> None:
        self.dataset, self._episodes = dataset, episodes
        self._ranges: dict[tuple[str, int], tuple[float, float] | None] = {}
        self._read: list[tuple[dict[str, Float], dict[str, Float]]] | None = None

    def values(self, column: str) -> list[Float]:
        """float64[T, D] of each episode in which the column is sound."""
        return [values[column] for values, _ in self._probed() if column in values]

    def together(self, columns: Iterable[str]) -> list[tuple[Float, dict[str, Float]]]:
        """(times float64[T] in s, {column: float64[T, D]}) of each episode in which all are sound, on one clock: that
        of the first column. An episode whose clocks do not run forward tells nothing of how things move."""
        wanted, found = list(columns), []
        for values, times in self._probed():
            if not wanted or any(c not in values or not _runs(times[c]) for c in wanted):
                continue
            time = times[wanted[0]]
            own = {c: values[c] if times[c] is time else _at(time, times[c], values[c]) for c in wanted}
            found.append((time, own))
        return found

    def range_of(self, column: str, index: int) -> tuple[float, float] | None:
        """(smallest, largest) value: as the dataset's statistics have it, where those looked at do not contradict
        them (normalised, of other columns, with a stray value far off), else in those; None where it never changes."""
        if (column, index) not in self._ranges:
            self._ranges[column, index] = self._range(column, index)
        return self._ranges[column, index]

    def _range(self, column: str, index: int) -> tuple[float, float] | None:
        told = self.dataset.ranges.get(column)
        feature = next((f for f in self.dataset.features if f.column == column), None)
        whole = told is not None and feature is not None and min(map(len, told)) == feature.width
        rows = [v[:, index] for v in self.values(column) if len(v)]
        seen = (min(float(r.min()) for r in rows), max(float(r.max()) for r in rows)) if rows else None
        if told is not None and whole:
            low, high = told[0][index], told[1][index]
            if seen is None:
                return (low, high) if low < high else None
            span = seen[1] - seen[0]
            holds = low <= seen[0] + SLACK * span and high >= seen[1] - SLACK * span and low <= high
            if holds and high - low <= STRAY * max(span, 1e-9):
                return (low, high) if low < high else None
        return seen if seen is not None and seen[0] < seen[1] else None

    def _probed(self) -> list[tuple[dict[str, Float], dict[str, Float]]]:
        if self._read is None:
            self._read, rows = [], 0
            names = [f.column for f in self.dataset.features if f.width]
            reader = self.dataset.reader((), names)
            for episode in islice(self._episodes, EPISODES):
                if rows >= ROWS:
                    break
                try:
                    log = reader.read(episode)
                except Quarantined:
                    continue  # it gets its row when ingest reads it; here it only cannot help to guess
                values: dict[str, Float] = {}
                times: dict[str, Float] = {}
                for name in names:
                    try:
                        stream = log.stream(name)
                        values[name], times[name] = finite(stream.values, name, log.where), stream.time_s
                    except Quarantined:
                        continue
                rows += log.rows
                self._read.append((values, times))
        return self._read


def _runs(time: Float) -> bool:
    return bool((np.diff(time) >= LEAST_STEP_S).all())


def _at(time: Float, own: Float, values: Float) -> Float:
    return np.stack([np.interp(time, own, column) for column in values.T], axis=1) if len(own) else values
