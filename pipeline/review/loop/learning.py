"""What the server has learned from decisions: calibrated confidence, seconds of work, and so what is worth asking.

In: what people have touched, notes of their decisions. Out: `chance` and `worth` of all events of a catalogue. Learned
beside the requests, and written in small steps between them, so that nobody waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.review.catalogue import Catalogue
from schemas.review.decisions import DecisionRow
from stages.review.calibration import FEWEST, Calibration, Said, calibrate
from stages.review.cases import Note, cases, note, notes
from stages.review.fold import Place, Touched, place_of
from stages.review.worth import Pace, pace, worth

MORE = 10  # events that were judged since, from which it is learned anew
TOGETHER = 500  # events whose worth is told and written in one step
BREATH_S = 0.002  # between steps: others are let in


@dataclass(frozen=True, slots=True)
class Learned:
    """events: that were judged; calibration, pace: None where they are too few."""

    events: int = 0
    calibration: Calibration | None = None
    pace: Pace | None = None

    @property
    def missing(self) -> int:
        """Events still to be judged before anything is said of others; at least 1 where they are of too few
        episodes."""
        return 0 if self.calibration else max(1, FEWEST - self.events)


class Learning:
    """Notes of all decisions, and what was learned from them last."""

    def __init__(self) -> None:
        self.notes: dict[Place, list[Note]] = {}
        self.now = Learned()
        self._valued: Catalogue | None = None

    def restart(self, rows: Sequence[DecisionRow]) -> None:
        self.notes = notes(rows)
        self._valued = None

    def add(self, row: DecisionRow) -> None:
        self.notes.setdefault(place_of(row), []).append(note(row))

    def learn(
        self, catalogue: Catalogue, touched: Mapping[Place, Sequence[Touched]], lock: AbstractContextManager[object]
    ) -> bool:
        """Whether something new was learned. lock: around the catalogue; touched: nobody else's any more."""
        found = cases(touched, self.notes)
        if catalogue is self._valued and abs(len(found) - self.now.events) < MORE:
            return False
        calibration = calibrate(found)
        self.now = Learned(len(found), calibration, pace(found) if calibration else None)
        if calibration is None:
            return False
        for first in range(0, catalogue.events.height, TOGETHER):
            chance, value = self._values(catalogue.events.slice(first, TOGETHER), calibration)
            with lock:
                catalogue.value(first, chance, value)
            time.sleep(BREATH_S)
        self._valued = catalogue
        return True

    def _values(self, events: pl.DataFrame, calibration: Calibration) -> tuple[list[float], list[float]]:
        columns = ("level", "primitive", "said_by")
        doubt = events["doubt"].fill_null(0).to_numpy() > 0
        groups = np.column_stack([*(events[c].to_numpy().astype(object) for c in columns), doubt.astype(str)])
        sure = np.minimum(events["confidence"].to_numpy(), events["sure"].fill_null(1.0).to_numpy())
        chance = calibration.curve.chance(Said(sure.astype(np.float64), groups.astype(object)))
        length = (events["end_ms"] - events["start_ms"]).to_numpy() / 1000
        own = self.now.pace
        seconds = own.seconds(length, events["primitive"].to_numpy().astype(object)) if own else 1.0
        return chance.tolist(), worth(chance, seconds).tolist()
