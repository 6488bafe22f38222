"""cluster: all embeddings of a corpus in, two labels an event out.

In: the `embeddings` table, part by part. Out: `clusters` rows and the model. What is held at once is the sample that is
fitted on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.clusters import CLUSTERS, EMBEDDINGS, ClusterRow
from schemas.ids import LEVELS, level_of, unit_hash
from schemas.reasons import Quarantined, Reason
from stages import storage
from stages.cluster.config import ClusterConfig
from stages.cluster.kmeans import Clustering, count_for, fit, from_bytes, to_bytes
from stages.work import Inputs, Outcome, Unit, Workspace

SPACES = ("vl", "action")
Model = Mapping[str, Clustering]  # {space/level: its clustering}
COLUMNS = ("event_id", "episode_id", "level", "vl_cluster", "vl_distance", "action_cluster", "action_distance")


def cluster(unit: Unit[Inputs], work: Workspace, config: ClusterConfig) -> Outcome:
    """Fit both clusterings of each level on a sample (or take frozen ones) and label every event."""
    outcome, (name, print_) = Outcome(), unit.items[0]
    given = config.centroids
    model = from_bytes(storage.read_bytes(storage.normalise(given))) if given else fit_model(work, config)
    outcome.blobs["model"] = (f"models/clusters-{print_}.npz", to_bytes(dict(model)))
    events = 0
    for batch in work.batches(EMBEDDINGS):
        for level, table in by_level(batch):
            outcome.add(CLUSTERS, _labels(table, level, model))
            events += table.num_rows
    outcome.count(name, events=events, **{k.replace("/", "_"): len(one.centroids) for k, one in model.items()})
    return outcome


def fit_model(work: Workspace, config: ClusterConfig) -> Model:
    """Fitted on the events of smallest hash: the same ones whatever the parts."""
    events = dict.fromkeys(LEVELS, 0)
    for batch in work.batches(EMBEDDINGS, ["event_id", "episode_id"]):
        for level, table in by_level(batch):
            events[level] += table.num_rows
    kept: dict[str, list[np.ndarray]] = {f"{s}/{level}": [] for s in SPACES for level in LEVELS}
    ids: dict[str, list[str]] = {level: [] for level in LEVELS}
    for batch in work.batches(EMBEDDINGS):
        for level, table in by_level(batch):
            threshold = min(1.0, config.fit_sample / events[level])
            names = table["event_id"].to_pylist()
            chosen = np.array([unit_hash(f"fit:{e}", config.seed) < threshold for e in names], dtype=bool)
            ids[level] += [e for e, c in zip(names, chosen.tolist(), strict=True) if c]
            for space in SPACES:
                kept[f"{space}/{level}"].append(_matrix(table[space])[chosen])
    model = {}
    for level in (level for level in LEVELS if ids[level]):
        order = np.argsort(np.array(ids[level]))  # parts may be grouped differently from run to run
        for space, wanted in (("vl", config.vl_clusters), ("action", config.action_clusters)):
            vectors = np.concatenate(kept[f"{space}/{level}"])[order]
            model[f"{space}/{level}"] = fit(vectors, count_for(len(order), wanted), config)
    return model


def by_level(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """(level, its rows) of an embeddings table, levels in order."""
    levels = np.array([level_of(e) for e in table["event_id"].to_pylist()], dtype=object)
    for level in LEVELS:
        own = np.flatnonzero(levels == level)
        if len(own):
            yield level, table.take(own)


def _labels(table: pa.Table, level: str, model: Model) -> Iterator[ClusterRow]:
    """`clusters` rows of embeddings of one level. Raises Quarantined where frozen centroids do not know the level."""
    unknown = [s for s in SPACES if f"{s}/{level}" not in model]
    if unknown:
        raise Quarantined(
            Reason.INTERNAL_ERROR, f"cluster.centroids holds {sorted(model)}, nothing for {level}", retryable=True
        )
    columns: list[list[Any]] = [
        table["event_id"].to_pylist(),
        table["episode_id"].to_pylist(),
        [level] * table.num_rows,
    ]
    for space in SPACES:
        labels, distances = model[f"{space}/{level}"].assign(_matrix(table[space]))
        columns += [labels.tolist(), distances.tolist()]
    for row in zip(*columns, strict=True):
        yield ClusterRow(**dict(zip(COLUMNS, row, strict=True)))  # type: ignore[typeddict-item]


def _matrix(column: Any) -> np.ndarray:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat.reshape(len(column), -1), dtype=np.float32)
