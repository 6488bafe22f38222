"""A corpus on disk, to look at: its tables as Polars frames, its quarantine, how far each stage has come.

In: a corpus URI. Out: frames. `plan.parquet` (stage, item, fingerprint), written at the end of each build and when
one is stopped, says which items of the ledger count; superseded ones are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import polars as pl

from pipeline import record
from pipeline.ledger import OK, Commit, Ledger, State
from pipeline.parts import frame
from pipeline.plan import EPISODE_STAGES, STAGES, Plan
from pipeline.record import DamagedPlan, NoCorpus
from schemas import TABLES
from stages import storage

WRITTEN_BY = {
    "episodes": "ingest",
    "signals": "ingest",
    "observations": "observe",
    "lags": "lag",
    "lag_votes": "vote",
    "alignments": "align",
    "events": "segment",
    "captions": "caption",
    "embeddings": "embed",
    "clusters": "cluster",
    "samples": "samples",
}
WHOLE = frozenset({"vote", "cluster", "samples"})  # stages whose one item is the corpus: all rows of a part count


def write_plan(ledger: Ledger, plan: Plan, release: str | None, complete: bool) -> None:
    """Record which items count, and the manifest of the corpus.

    Stages that this build has not reached keep what they had: a build that stops early, by Ctrl-C or --until, takes
    nothing away from what an earlier one made.
    """
    rows = [(stage, item, print_) for stage, wanted in plan.wanted.items() for item, print_ in wanted.items()]
    rows += [("survey", item, print_) for lost in plan.survey.refused for item, print_ in lost.items()]
    table = pl.DataFrame(rows, schema=record.SCHEMA, orient="row")
    try:
        before, manifest_before = record.read(ledger.root)
    except (NoCorpus, DamagedPlan):
        pass
    else:
        reached = [*plan.wanted, "survey"]
        table = pl.concat([table, before.filter(~pl.col("stage").is_in(reached))])
        release = release or manifest_before["release"]
    manifest = {
        "config": plan.config.model_dump(mode="json"),
        "sources": {name: dataset.uri for name, dataset in plan.survey.datasets.items()},
        "lost_sources": {source.source: source.uri for source in plan.survey.lost},
        "lost": {source.source: source.error.message for source in plan.survey.lost},
        "release": release,
        "complete": complete,
    }
    record.write(ledger.root, table, manifest)


class Corpus:
    """Read-only view. Raises NoCorpus, DamagedPlan."""

    def __init__(self, root: str) -> None:
        self.root = storage.normalise(root)
        self.ledger = Ledger(self.root)
        self.states: dict[str, State] = {}
        self.plan, self.manifest = record.read(self.root)

    def wanted(self, stage: str) -> list[tuple[str, str]]:
        """(item, fingerprint) of a stage."""
        return self.plan.filter(pl.col("stage") == stage).select("item", "fingerprint").rows()

    def state(self, stage: str) -> State:
        """What a stage has done, as of the first look."""
        if stage not in self.states:
            self.states[stage] = State(self.ledger.load(stage))
        return self.states[stage]

    def commits(self, stage: str) -> list[Commit]:
        """Commits that an item of the plan rests on, each once."""
        state = self.state(stage)
        found = (state.done[key][1] for key in self.wanted(stage) if key in state.done)
        return list({commit.unit: commit for commit in found}.values())

    def table(
        self, name: str, episodes: Sequence[str] | None = None, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """A table of the corpus, or its rows of some episodes, or some of its columns, sorted by its key.

        KeyError for an unknown name.
        """
        if name == "quarantine":
            return self.quarantine()
        return frame(self.root, name, self.parts(name, episodes), None if columns is None else list(columns))

    def parts(self, name: str, episodes: Sequence[str] | None = None) -> dict[str, list[str]]:
        """{part: its items that count} of a table, or of some episodes in it."""
        stage = WRITTEN_BY[name]
        chosen = None if episodes is None else set(episodes)
        wanted = [(i, f) for i, f in self.wanted(stage) if chosen is None or i.split("@")[0] in chosen]
        parts = self.state(stage).files(name, wanted)
        return {path: ["*"] for path in parts} if stage in WHOLE else parts

    def latest(self) -> str | None:
        """The release that shards/latest points at."""
        uri = self.ledger.path("shards/latest")
        if storage.is_local(uri):
            return os.readlink(uri) if os.path.islink(uri) else None
        return storage.read_bytes(uri).decode() if storage.exists(uri) else None

    def quarantine(self, evidence: bool = True) -> pl.DataFrame:
        """Rows of everything set aside that has not succeeded since; `evidence` is the column that is large."""
        columns = [c.name for c in TABLES["quarantine"].columns if evidence or c.name != "evidence"]
        pieces = [frame(self.root, "quarantine", {}, columns)]
        for stage in ("survey", *STAGES):
            state = self.state(stage)
            # an item counts in one commit; an older one that covers others too has stale rows
            bad: dict[str, list[str]] = {}
            live: dict[str, list[str]] = {}
            for key in self.wanted(stage):
                status, commit = state.done.get(key, (OK, None))
                if commit is not None:
                    live.setdefault(commit.unit, []).append(key[0])
                    if status != OK:
                        bad.setdefault(commit.unit, []).append(key[0])
            for commit in self.commits(stage):
                if "quarantine" in commit.files:
                    rows = frame(self.root, "quarantine", {commit.files["quarantine"].path: ["*"]}, columns)
                    own, single = pl.col("item").is_in(bad.get(commit.unit, [])), pl.col("event_id").is_not_null()
                    if stage in EPISODE_STAGES:
                        single &= pl.col("episode_id").is_in(live.get(commit.unit, []))
                    pieces.append(rows.filter(own | single))
        return pl.concat(pieces).sort("source", "episode_id", "stage")

    def status(self) -> pl.DataFrame:
        """One row a stage: items wanted, done, quarantined, seconds of work, largest memory of a worker, parts."""
        rows = []
        for stage in STAGES:
            state, wanted = self.state(stage), self.wanted(stage)
            status = [state.status(*key) for key in wanted]
            commits = self.commits(stage)
            rows.append(
                {
                    "stage": stage,
                    "items": len(wanted),
                    "done": status.count(OK),
                    "quarantined": sum(s not in (OK, None) for s in status),
                    "missing": status.count(None),
                    "parts": len(commits),
                    "work_s": round(sum(c.counts.get("seconds", 0.0) for c in commits), 1),
                    "peak_mb": round(max((c.counts.get("peak_bytes", 0) for c in commits), default=0) / 1e6),
                }
            )
        return pl.DataFrame(rows)

    def counts(self, stage: str) -> dict[str, float]:
        """Figures of a stage's items that count, added up."""
        wanted, state, total = set(self.wanted(stage)), self.state(stage), dict[str, float]()
        for commit in self.commits(stage):
            for item in commit.items:
                key = (item.name, item.fingerprint)
                if key in wanted and state.done[key][1] is commit:
                    for figure, number in item.counts.items():
                        total[figure] = total.get(figure, 0) + number
        return total
