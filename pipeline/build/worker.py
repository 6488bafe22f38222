"""What a worker does with one unit: read its inputs, call the stage, publish what came of it.

In: a `Unit` and a `Context`, both picklable. Out: the `Commit`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar, cast

import pyarrow as pa
from pydantic import BaseModel

from pipeline.build.media import MediaWriter
from pipeline.build.memory import forget_peak, peak_memory
from pipeline.corpus.commit import OK, QUARANTINED, RETRY, Commit, Item, PartFile
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.tables import by_episode, read
from schemas.ids import episode_of
from schemas.quarantine import QUARANTINE, LineRow, QuarantineRow, ShownRow
from schemas.reasons import Evidence, Quarantined
from schemas.table import Table
from stages import storage
from stages.stage import Stage
from stages.text import printable
from stages.work import Inputs, Outcome, Unit, Written, as_quarantined

R = TypeVar("R")
MESSAGE = 4000  # characters of a refusal that are kept
_KEPT: dict[tuple[Any, ...], Any] = {}  # what stages set up in this process, models above all


@dataclass(frozen=True, slots=True)
class Context:
    """What every task of a stage shares."""

    root: str
    stage: Stage[Any, Any]
    config: BaseModel


class CorpusWorkspace:
    """A corpus as one unit sees it (`stages.work.Workspace`). A context manager; its end waits for all files."""

    def __init__(self, root: str, inputs: Inputs) -> None:
        self.root, self.inputs = root, inputs
        self.ledger = Ledger(root)
        self._writer = MediaWriter(self.ledger)
        self._tables: dict[str, dict[str, list[dict[str, Any]]]] = {}
        self._loading = Lock()

    def rows(self, table: Table[R], episode: str) -> list[R]:
        with self._loading:  # samples of a tar are made by threads
            if table.name not in self._tables:
                self._tables[table.name] = by_episode(self.root, table, self.inputs.parts.get(table.name, {}))
        return cast("list[R]", self._tables[table.name].get(episode, []))

    def batches(self, table: Table[Any], columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        for path, items in sorted(self.inputs.parts.get(table.name, {}).items()):
            yield read(self.root, table, {path: items}, None if columns is None else list(columns))

    def media(self, path: str) -> AbstractContextManager[str]:
        return self.ledger.intact(path, self.inputs.media[path])

    def write(self, path: str) -> AbstractContextManager[str]:
        return self._writer.write(path)

    def place(self, path: str) -> str:
        return self.ledger.path(path)

    def written(self, path: str) -> Written:
        return self._writer.file(path)

    def kept(self, make: Callable[..., Any], *about: Any) -> Any:
        key = (make, *about)
        if key not in _KEPT:
            _KEPT[key] = make(*about)
        return _KEPT[key]

    def __enter__(self) -> CorpusWorkspace:
        self._writer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.__exit__(*error)


def execute(unit: Unit[Any], context: Context) -> Commit:
    """Run a stage over a unit and publish what came of it. Raises storage.Unusable: no item's fault."""
    started, stage = time.perf_counter(), context.stage
    forget_peak()
    assert stage.run is not None
    inputs = unit.payload if isinstance(unit.payload, Inputs) else Inputs()
    try:
        with CorpusWorkspace(context.root, inputs) as work:
            outcome = stage.run(unit, work, context.config)
    except storage.Unusable:
        raise
    except Exception as error:  # an error of ours in what a unit shares
        outcome = Outcome(refused={name: as_quarantined(error) for name in unit.names})
    counts = {"seconds": time.perf_counter() - started, "peak_bytes": peak_memory()}
    return publish(unit, context, outcome, counts)


def publish(unit: Unit[Any], context: Context, outcome: Outcome, counts: dict[str, float]) -> Commit:
    """Write rows, files and the commit of a unit. Raises SchemaError, storage.Unusable."""
    refused = [
        *(refusal(unit, name, error) for name, error in outcome.refused.items()),
        *(refusal(unit, name, error) for name, error in outcome.events_refused),
    ]
    declared = {t.name: t for t in context.stage.writes}
    tables = {declared[name]: rows for name, rows in outcome.rows.items()} | {QUARANTINE: refused}
    items = [Item(name, digest, _status(outcome, name), outcome.counts.get(name, {})) for name, digest in unit.items]
    files = {name: PartFile(f.path, 0, f.bytes, f.sha256) for name, f in outcome.files.items()}
    return Ledger(context.root).publish(unit.stage, items, tables, counts, outcome.blobs, files)


def _status(outcome: Outcome, name: str) -> str:
    refused = outcome.refused.get(name)
    if refused is None:
        return OK
    return RETRY if refused.retryable else QUARANTINED


def refusal(unit: Unit[Any], name: str, error: Quarantined, episode: str | None = None) -> QuarantineRow:
    """Quarantine row of an item; episode: of one that its name does not tell."""
    return {
        "item": error.event_id or name,
        "episode_id": episode or episode_of(name),
        "event_id": error.event_id,
        "source": unit.sources.get(name, ""),
        "stage": unit.stage,
        "reason": error.reason.value,
        "message": printable(error.message[:MESSAGE]),
        "retryable": error.retryable,
        "evidence": None if error.evidence is None else _evidence(error.evidence),
    }


def _evidence(shown: Evidence) -> ShownRow:
    lines: list[LineRow] = [{"name": name, "values": list(values)} for name, values in shown.lines]
    return {"lines": lines, "first_row": shown.first_row, "row": shown.row, "picture": shown.picture}
