"""What a worker does with one unit of a stage: read its inputs, call the stage's pure core item by item, publish.

In: a `Unit` (picklable: names, fingerprints, part paths) and a `Context`. Out: the `Commit`. A bad item becomes a
quarantine row and the others go on. This is the one place with a blanket `except`: an error of ours in one episode
must not cost a night's build, so it is quarantined as `internal_error` with its traceback, retryable.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.config import CorpusConfig
from pipeline.ledger import OK, QUARANTINED, RETRY, Commit, Item, Ledger, PartFile
from pipeline.memory import forget_peak, peak_memory
from schemas.reasons import Evidence, Quarantined, Reason
from stages import storage
from stages.text import printable

Row = dict[str, Any]
MESSAGE = 4000  # characters of a refusal that are kept


@dataclass(frozen=True, slots=True)
class Context:
    """What every task of a build shares."""

    root: str
    config: CorpusConfig


@dataclass(frozen=True, slots=True)
class Unit:
    """Work for one task: items (name, fingerprint) of a stage, and what the stage needs to do them."""

    stage: str
    items: tuple[tuple[str, str], ...]
    payload: Mapping[str, Any]
    source_of: Mapping[str, str]  # item -> source, for quarantine rows


@dataclass(slots=True)
class Outcome:
    """What a stage made of a unit."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    refused: dict[str, Quarantined] = field(default_factory=dict)
    counts: dict[str, dict[str, float]] = field(default_factory=dict)
    events_refused: list[tuple[str, Quarantined]] = field(default_factory=list)
    blobs: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    written: dict[str, PartFile] = field(default_factory=dict)

    def add(self, table: str, rows: Iterable[Row]) -> None:
        self.rows.setdefault(table, []).extend(rows)

    def count(self, item: str, **figures: float) -> None:
        """Add figures of an item: they count for as long as the item does."""
        own = self.counts.setdefault(item, {})
        for name, number in figures.items():
            own[name] = own.get(name, 0) + number


Room = Callable[[Unit, Context], Outcome]


def execute(unit: Unit, context: Context, room: Room) -> Commit:
    """Run a room over a unit and publish what came of it. Raises storage.Unusable: no item's fault."""
    started = time.perf_counter()
    forget_peak()
    try:
        outcome = room(unit, context)
    except storage.Unusable:
        raise
    except Exception as error:  # see the module's docstring
        outcome = Outcome(refused={name: as_quarantined(error) for name, _ in unit.items})
    outcome.rows["quarantine"] = [
        *(refusal(unit, name, error) for name, error in outcome.refused.items()),
        *(refusal(unit, name, error) for name, error in outcome.events_refused),
    ]
    items = [Item(name, print_, _status(outcome, name), outcome.counts.get(name, {})) for name, print_ in unit.items]
    counts = {"seconds": time.perf_counter() - started, "peak_bytes": peak_memory()}
    ledger = Ledger(context.root)
    return ledger.publish(unit.stage, items, outcome.rows, counts, outcome.blobs, outcome.written)


def _status(outcome: Outcome, name: str) -> str:
    refused = outcome.refused.get(name)
    if refused is None:
        return OK
    return RETRY if refused.retryable else QUARANTINED


def each(unit: Unit, outcome: Outcome, work: Callable[[str], None]) -> None:
    """Call `work` for each item; what it raises sets that item aside."""
    for name, _ in unit.items:
        try:
            work(name)
        except storage.Unusable:
            raise
        except Exception as error:  # see the module's docstring
            outcome.refused[name] = as_quarantined(error)


def as_quarantined(error: Exception) -> Quarantined:
    """A Quarantined as it is; any other error as `internal_error` with the end of its traceback."""
    if isinstance(error, Quarantined):
        return error
    trace = "".join(traceback.format_exception(error))
    return Quarantined(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}\n{trace[-1500:]}", retryable=True)


def refusal(unit: Unit, name: str, error: Quarantined) -> Row:
    """Quarantine row of an item."""
    return {
        "item": error.event_id or name,
        "episode_id": name.split("@")[0],
        "event_id": error.event_id,
        "source": unit.source_of.get(name, ""),
        "stage": unit.stage,
        "reason": error.reason.value,
        "message": printable(error.message[:MESSAGE]),
        "retryable": error.retryable,
        "evidence": None if error.evidence is None else _evidence(error.evidence),
    }


def _evidence(shown: Evidence) -> Row:
    lines = [{"name": name, "values": list(values)} for name, values in shown.lines]
    return {"lines": lines, "first_row": shown.first_row, "row": shown.row, "picture": shown.picture}
