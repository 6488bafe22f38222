"""cluster: two labels an event, by the centroids in force.

In: embeddings of a unit's episodes, the model. Out: `clusters` rows. A label depends on the event's own vectors and the
model alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from schemas.clusters import CLUSTERS, EMBEDDINGS, ClusterRow
from schemas.ids import LEVELS, level_of
from stages.cluster import LabelWork
from stages.cluster.fit import SPACES, Model, matrix
from stages.cluster.model import from_bytes
from stages.work import Outcome, Unit, Workspace

COLUMNS = ("event_id", "episode_id", "level", *(f"{s}_{c}" for s in SPACES for c in ("cluster", "distance")))


def label(unit: Unit[LabelWork], work: Workspace) -> Outcome:
    """Label every event of a unit's episodes."""
    given = unit.payload
    with work.media(given.model) as path:
        model: Model = work.kept(load, path, given.media[given.model])
    outcome, wanted = Outcome(), pl.Series(unit.names).implode()
    counts = dict.fromkeys(unit.names, 0)
    for batch in work.batches(EMBEDDINGS):
        own = batch.filter(pl.Series(batch["episode_id"]).is_in(wanted).to_arrow())
        levels = np.array([level_of(e) for e in own["event_id"].to_pylist()], dtype=object)
        for level in LEVELS:
            chosen = own.take(np.flatnonzero(levels == level))
            if chosen.num_rows:
                outcome.add(CLUSTERS, labels(chosen, level, model))
        for name in own["episode_id"].to_pylist():
            counts[name] += 1
    for name, events in counts.items():
        outcome.count(name, events=events)
    return outcome


def load(path: str, _: str) -> Model:
    """The model of a file; its hash tells it from another that lay there before."""
    return from_bytes(Path(path).read_bytes())


def labels(table: Any, level: str, model: Model) -> Iterator[ClusterRow]:
    """`clusters` rows of embeddings of one level, which the model knows: `fit` has seen to that."""
    columns: list[list[Any]] = [
        table["event_id"].to_pylist(),
        table["episode_id"].to_pylist(),
        [level] * table.num_rows,
    ]
    layouts = table["layout"].to_pylist()
    for space in SPACES:
        found, distances = model[f"{space}/{level}"].assign(matrix(table[space]), layouts)
        columns += [found.tolist(), distances.tolist()]
    for row in zip(*columns, strict=True):
        yield ClusterRow(**dict(zip(COLUMNS, row, strict=True)))  # type: ignore[typeddict-item]
