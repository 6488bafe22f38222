"""A corpus on disk, to look at: its tables as Polars frames, its quarantine, how far each stage has come.

In: a corpus URI. Out: frames. `plan.parquet` (stage, item, fingerprint), written at the end of each build and when
one is stopped, says which items of the ledger count; superseded ones are passed over.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import polars as pl

from pipeline.ledger import OK, Ledger, State
from pipeline.parts import frame
from pipeline.plan import Plan
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
SHOWN = ("survey", "ingest", "observe", "lag", "align", "segment", "caption", "embed", "cluster", "shard")


class NoCorpus(FileNotFoundError):
    """There is no corpus at this place."""


def write_plan(ledger: Ledger, plan: Plan, release: str | None, until: str) -> None:
    """Record which items count, and the manifest of the corpus."""
    rows = [(stage, item, print_) for stage, wanted in plan.wanted.items() for item, print_ in wanted.items()]
    lost = [(i.name, i.fingerprint) for c in ledger.load("survey") for i in c.items]
    named = {name for source in plan.survey.lost for name in (source.episodes or (source.source,))}
    rows += [("survey", name, print_) for name, print_ in lost if name in named]
    table = pl.DataFrame(rows, schema={"stage": pl.String, "item": pl.String, "fingerprint": pl.String}, orient="row")
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    storage.write_bytes(ledger.path("plan.parquet"), buffer.getvalue())
    manifest = {
        "config": plan.config.model_dump(mode="json"),
        "sources": {name: dataset.uri for name, dataset in plan.survey.datasets.items()},
        "lost": {source.source: source.error.message for source in plan.survey.lost},
        "release": release,
        "until": until,
    }
    storage.write_bytes(ledger.path("manifest.json"), json.dumps(manifest, indent=1, sort_keys=True).encode())


class Corpus:
    """Read-only view. Raises NoCorpus."""

    def __init__(self, root: str) -> None:
        self.root = storage.normalise(root)
        self.ledger = Ledger(self.root)
        self.states: dict[str, State] = {}
        try:
            self.plan = pl.read_parquet(storage.read_bytes(self.ledger.path("plan.parquet")))
            self.manifest = json.loads(storage.read_bytes(self.ledger.path("manifest.json")))
        except FileNotFoundError as error:
            raise NoCorpus(f"no corpus at {root}: build one with corpus build --source URI --corpus {root}") from error

    def wanted(self, stage: str) -> list[tuple[str, str]]:
        """(item, fingerprint) of a stage."""
        return self.plan.filter(pl.col("stage") == stage).select("item", "fingerprint").rows()

    def state(self, stage: str) -> State:
        """What a stage has done, as of the first look."""
        if stage not in self.states:
            self.states[stage] = State(self.ledger.load(stage))
        return self.states[stage]

    def table(self, name: str, episodes: Sequence[str] | None = None) -> pl.DataFrame:
        """A table of the corpus, or its rows of some episodes, sorted by its key. KeyError for an unknown name."""
        if name == "quarantine":
            return self.quarantine()
        stage = WRITTEN_BY[name]
        chosen = None if episodes is None else set(episodes)
        wanted = [(i, f) for i, f in self.wanted(stage) if chosen is None or i.split("@")[0] in chosen]
        parts = self.state(stage).files(name, wanted)
        if stage in ("vote", "cluster", "samples"):
            parts = {path: ["*"] for path in parts}
        return frame(self.root, name, parts)

    def quarantine(self) -> pl.DataFrame:
        """Rows of everything set aside that has not succeeded since."""
        frames = [TABLES["quarantine"].empty()]
        pieces = [pl.DataFrame(pl.from_arrow(frames[0]))]
        for stage in SHOWN:
            state, wanted = self.state(stage), self.wanted(stage)
            commits = {state.done[key][1].unit: state.done[key][1] for key in wanted if key in state.done}
            parts = {c.files["quarantine"].path: ["*"] for c in commits.values() if "quarantine" in c.files}
            if parts:
                bad = [name for name, print_ in wanted if state.status(name, print_) not in (None, OK)]
                rows = frame(self.root, "quarantine", parts)
                pieces.append(rows.filter(pl.col("item").is_in(bad) | pl.col("event_id").is_not_null()))
        return pl.concat(pieces).sort("source", "episode_id", "stage")

    def status(self) -> pl.DataFrame:
        """One row a stage: items wanted, done, quarantined, seconds of work, parts."""
        rows = []
        for stage in ("ingest", "observe", "lag", "align", "segment", "caption", "embed", "cluster", "shard"):
            state, wanted = self.state(stage), self.wanted(stage)
            status = [state.status(*key) for key in wanted]
            commits = {state.done[key][1].unit: state.done[key][1] for key in wanted if key in state.done}
            rows.append(
                {
                    "stage": stage,
                    "items": len(wanted),
                    "done": status.count(OK),
                    "quarantined": sum(s not in (OK, None) for s in status),
                    "missing": status.count(None),
                    "parts": len(commits),
                    "work_s": round(sum(c.counts.get("seconds", 0.0) for c in commits.values()), 1),
                }
            )
        return pl.DataFrame(rows)

    def counts(self, stage: str) -> dict[str, float]:
        """Figures of a stage's commits, added up."""
        state, total = self.state(stage), dict[str, float]()
        wanted = self.wanted(stage)
        for commit in {state.done[k][1].unit: state.done[k][1] for k in wanted if k in state.done}.values():
            for name, number in commit.counts.items():
                total[name] = total.get(name, 0) + number
        return total
