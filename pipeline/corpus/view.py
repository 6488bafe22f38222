"""A corpus on disk, to look at: its tables as Polars frames, its quarantine, how far each stage has come.

In: a corpus URI. Out: frames. `plan.parquet` (stage, item, fingerprint), written at the end of each build and when
one is stopped, says which items of the ledger count; superseded ones are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypedDict, TypeVar, cast

import polars as pl

from pipeline.corpus import record
from pipeline.corpus.commit import OK, Commit
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.record import DamagedPlan, NoCorpus
from pipeline.corpus.state import State, grouped
from pipeline.corpus.tables import frame
from pipeline.stages import STAGES, SURVEY, Stages, by_parts, shown, tables, writer_of
from schemas.ids import EPISODE_OF
from schemas.quarantine import QUARANTINE
from schemas.table import Table
from stages import storage
from stages.stage import Scope

R = TypeVar("R")
__all__ = ["Corpus", "DamagedPlan", "NoCorpus"]


class StageRow(TypedDict):
    """How far a stage has come: items; parts committed; work in s, the largest memory of a worker in MB."""

    stage: str
    items: int
    done: int
    quarantined: int
    missing: int
    parts: int
    work_s: float
    peak_mb: int


class Corpus:
    """Read-only view. Raises NoCorpus, DamagedPlan."""

    def __init__(self, root: str, stages: Stages = STAGES) -> None:
        self.root, self.stages = storage.normalise(root), stages
        self.ledger = Ledger(self.root)
        self.tables = tables(stages)
        self.states: dict[str, State] = {}
        self._answers: dict[str, pl.DataFrame] = {}
        self.plan, self.manifest = record.read(self.root)

    @property
    def ledgers(self) -> list[str]:
        """Names under which there are commits."""
        return [SURVEY, *(s.name for s in self.stages)]

    def wanted(self, stage: str) -> pl.DataFrame:
        """item, fingerprint of a stage."""
        return self.plan.filter(pl.col("stage") == stage).select("item", "fingerprint")

    def state(self, stage: str) -> State:
        """What a stage has done, as of the first look."""
        if stage not in self.states:
            self.states[stage] = self.ledger.state(stage)
        return self.states[stage]

    def done(self, stage: str) -> pl.DataFrame:
        """item, fingerprint, status, unit of a stage's wanted items; null where nothing is committed."""
        wanted, state = self.wanted(stage), self.state(stage)
        if stage not in self._answers:
            self._answers[stage] = state.of(wanted).select("status", "unit")
            state.let_go()  # of what it has, in names; the answers take a tenth of the room
        return wanted.hstack(self._answers[stage])

    def units(self, stage: str) -> list[str]:
        """Commits that an item of the plan rests on, each once, in order of the items."""
        return self.done(stage)["unit"].drop_nulls().unique(maintain_order=True).to_list()

    def commits(self, stage: str) -> list[Commit]:
        """Those commits as objects."""
        units = self.units(stage)
        found = {c.unit: c for c in self.state(stage).commits(units)}
        return [found[unit] for unit in units]

    def files(self, stage: str) -> pl.DataFrame:
        """unit, name, path, rows, bytes, sha256 of the files that those commits name."""
        return self.state(stage).files.filter(pl.col("unit").is_in(self.units(stage)))

    def table(
        self, name: str, episodes: Sequence[str] | None = None, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """A table of the corpus, or its rows of some episodes, or some of its columns, sorted by its key.

        KeyError for an unknown name.
        """
        if name == QUARANTINE.name:
            return self.quarantine()
        parts = self.parts(name, episodes)
        return frame(self.root, self.tables[name], parts, None if columns is None else list(columns))

    def rows(self, table: Table[R], episodes: Sequence[str]) -> list[R]:
        """Rows of some episodes in a table."""
        return cast("list[R]", self.table(table.name, episodes).to_dicts())

    def narrow(self, table: Table[Any], kind: type[R], episodes: Sequence[str] | None = None) -> list[R]:
        """The same with those columns alone that a TypedDict names, of some episodes or of all."""
        return cast("list[R]", self.table(table.name, episodes, list(kind.__annotations__)).to_dicts())

    def parts(self, name: str, episodes: Sequence[str] | None = None) -> dict[str, list[str]]:
        """{part: its items that count} of a table, or of some episodes in it."""
        stage = writer_of(self.stages, name)
        wanted = self.wanted(stage.name)
        whole = stage.scope is Scope.CORPUS
        if episodes is not None and not whole:
            wanted = wanted.filter(pl.col("item").str.extract(EPISODE_OF, 1).is_in(list(episodes)))
        found = grouped(self.state(stage.name).parts(name, wanted))
        return {path: ["*"] for path in found} if whole else found

    def latest(self) -> str | None:
        """The release that shards/latest points at."""
        uri = self.ledger.path("shards/latest")
        if storage.is_local(uri):
            return os.readlink(uri) if os.path.islink(uri) else None
        try:
            return storage.read_bytes(uri).decode()
        except FileNotFoundError:
            return None

    def quarantine(self, evidence: bool = True) -> pl.DataFrame:
        """Rows of everything set aside that has not succeeded since; `evidence` is the column that is large."""
        columns = [c.name for c in QUARANTINE.columns if evidence or c.name != "evidence"]
        pieces = [frame(self.root, QUARANTINE, {}, columns)]
        by_episode = {s.name for s in by_parts(self.stages)}
        for stage in self.ledgers:
            files = self.state(stage).files_named(QUARANTINE.name)
            if files.is_empty():
                continue
            # an item counts in one commit; an older one that covers others too has stale rows
            done = self.done(stage).join(files, on="unit", how="semi")
            bad = done.filter(pl.col("status") != OK)
            live = done.with_columns(pl.col("item").str.extract(EPISODE_OF, 1))
            for unit, path in files.join(done, on="unit", how="semi").iter_rows():
                rows = frame(self.root, QUARANTINE, {path: ["*"]}, columns)
                own = pl.col("item").is_in(bad.filter(unit=unit)["item"].to_list())
                single = pl.col("event_id").is_not_null()
                if stage in by_episode:
                    single &= pl.col("episode_id").is_in(live.filter(unit=unit)["item"].to_list())
                pieces.append(rows.filter(own | single))
        return pl.concat(pieces).sort("source", "episode_id", "stage")

    def status(self) -> pl.DataFrame:
        """One row a stage: items wanted, done, quarantined, seconds of work, largest memory of a worker, parts."""
        return pl.DataFrame(self.by_stage())

    def by_stage(self) -> list[StageRow]:
        """The same as rows."""
        rows: list[StageRow] = []
        for stage in shown(self.stages):
            status = self.done(stage)["status"]
            units = self.units(stage)
            counts = self.state(stage).of_units(units)
            peak = counts.filter(name="peak_bytes")["value"].max()
            rows.append(
                {
                    "stage": stage,
                    "items": len(status),
                    "done": int((status == OK).sum()),
                    "quarantined": int((status != OK).sum()),
                    "missing": status.null_count(),
                    "parts": len(units),
                    "work_s": round(float(counts.filter(name="seconds")["value"].sum()), 1),
                    "peak_mb": round(float(peak or 0) / 1e6),  # type: ignore[arg-type]
                }
            )
        return rows

    def counts(self, stage: str) -> dict[str, float]:
        """Figures of a stage's items that count, added up."""
        live = self.done(stage).drop_nulls("unit").select("item", "fingerprint", "unit")
        return dict(self.state(stage).totals(live).iter_rows())

    def has(self, stage: str) -> bool:
        """Whether something is wanted of a stage."""
        return not self.wanted(stage).is_empty()

    def level(self) -> str:
        """Level of the events that become samples."""
        return str(self.manifest["config"]["shard"]["level"])
