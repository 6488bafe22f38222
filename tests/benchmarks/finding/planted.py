"""A corpus whose tables are written as they are given, without a build: for what reads a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from pipeline import config
from pipeline.corpus import record
from pipeline.corpus.commit import Item
from pipeline.corpus.ledger import Ledger
from schemas.captions import CAPTIONS
from schemas.clusters import EMBEDDINGS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.ids import event_id, key_of, source_of
from schemas.table import Table

ENCODER = "eye 2 + use-multilingual-v3 512"
EMPTY = {"string": "", "double": 0.0, "float": 0.0, "int64": 0, "int32": 0, "bool": False}


@dataclass(frozen=True)
class Event:
    """One second of an episode; `vl` float[Di + Dt]."""

    primitive: str
    caption: str
    vl: Sequence[float] = field(default_factory=lambda: np.zeros(514))
    recovery: str | None = None
    object: str = ""
    level: str = "L1"


Episodes = Mapping[str, tuple[str, Sequence[Event]]]  # {episode: (task, its events in order)}


def write_corpus(
    root: Path, parts: Sequence[Episodes], encoder: str = ENCODER, until: str = "embed", *, changes: Sequence[str] = ()
) -> Path:
    """A corpus at `root`, each of `parts` in a part of its own; `until`: no tables of later stages; `changes`: of the
    configuration."""
    ledger, plan, config_ = Ledger(str(root)), [], config.load(None, changes)
    reached = ["ingest", "segment", "caption", "embed"]
    reached = reached[: reached.index(until) + 1]
    for own in parts:
        rows = {name: [] for name in reached}
        for episode, (task, events) in own.items():
            rows["ingest"].append(_row(EPISODES, episode_id=episode, source=source_of(episode), task=task, marks="{}"))
            for second, event in enumerate(events):
                for stage, row in _event(episode, second, event, encoder).items():
                    if stage in rows:
                        rows[stage].append(row)
        items = [Item(episode, "0") for episode in own]
        for stage, table in zip(rows, (EPISODES, EVENTS, CAPTIONS, EMBEDDINGS), strict=False):
            ledger.publish(stage, items, {table: pa.Table.from_pylist(rows[stage], schema=table.schema)}, {})
        plan += [(stage, item.name, "0") for stage in reached for item in items]
    write_plan(str(root), pl.DataFrame(plan, schema=record.SCHEMA, orient="row"), config_)
    return root


def write_plan(root: str, plan: pl.DataFrame, config_: Any) -> None:
    about = {"config": config_.model_dump(mode="json"), "sources": {}, "lost_sources": {}, "lost": {}, "serving": {}}
    record.write(root, plan, {**about, "release": None, "complete": True})


def _event(episode: str, second: int, event: Event, encoder: str) -> dict[str, dict[str, Any]]:
    both = {"event_id": event_id(episode, event.level, second), "episode_id": episode}
    frames = {"start_frame": 20 * second, "end_frame": 20 * second + 20, "start_s": second, "end_s": second + 1}
    what = {"level": event.level, "track": "all", "primitive": event.primitive, "recovery": event.recovery}
    said = {"level": event.level, "text": event.caption, "object": event.object}
    vectors = {"vl": np.asarray(event.vl, np.float16), "action": np.zeros(1, np.float16), "encoder": encoder}
    return {
        "segment": _row(EVENTS, **both, **frames, **what),
        "caption": _row(CAPTIONS, **both, **said),
        "embed": _row(EMBEDDINGS, **both, **vectors),
    }


def _row(table: Table[Any], **given: Any) -> dict[str, Any]:
    """A row whose other columns are empty."""
    if "episode_id" in given:
        given.setdefault("episode_key", key_of(given["episode_id"]))
    blank = {c.name: None if c.nullable else EMPTY.get(str(c.type), []) for c in table.columns}
    return blank | {k: v for k, v in given.items() if k in blank}
