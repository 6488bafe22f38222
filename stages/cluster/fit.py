"""fit: the centroids of both clusterings of each level, from a sample of all embeddings.

In: the `embeddings` table, part by part. Out: the model as a file, and which episodes it was fitted on, so that a later
build can tell how much has changed since. Held at once: the projected vectors of each level's sample.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from schemas.clusters import EMBEDDINGS, FITTED, FittedRow
from schemas.ids import LEVELS, level_of, unit_hash
from schemas.reasons import Quarantined, Reason
from stages import storage
from stages.cluster import FitWork, path_of
from stages.cluster.config import ClusterConfig
from stages.cluster.kmeans import count_for, fit, principal
from stages.cluster.model import OTHER, Clustering, Matrix, Projection, from_bytes, scaled, to_bytes
from stages.embed.action import group_scales
from stages.work import Outcome, Unit, Workspace

SPACES = ("vl", "action")
Model = Mapping[str, Clustering]  # {space/level: its clustering}
FOR_AXES = 20_000  # vectors of a level that principal components are computed from


def fit_model(unit: Unit[FitWork], work: Workspace, config: ClusterConfig) -> Outcome:
    """Fit both clusterings of each level on a sample, or take those that the configuration names."""
    outcome, (name, digest) = Outcome(), unit.items[0]
    events = _events(work)
    path = path_of(digest)
    model, blob = _model(work, path, events, config)
    outcome.blobs["model"] = (path, blob)
    outcome.add(FITTED, _rows(events, unit.payload))
    sizes = {key.replace("/", "_"): len(one.centroids) for key, one in model.items()}
    outcome.count(name, events=events.height, **sizes)
    return outcome


def _model(work: Workspace, path: str, events: pl.DataFrame, config: ClusterConfig) -> tuple[Model, bytes]:
    """(model, its bytes): what lies at its place already (a repair has taken its commit back, not the model), what the
    configuration gives, or a fit. Raises Quarantined where centroids that are given cannot be used."""
    with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
        blob = storage.read_bytes(work.place(path))
        return from_bytes(blob), blob
    if not config.centroids:
        model = fitted(work, events, config)
        return model, to_bytes(model)
    try:
        blob = storage.read_bytes(storage.normalise(config.centroids))
        model = from_bytes(blob)
        _suits(model, work, events)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        words = f"cluster.centroids={config.centroids} cannot be used: {error}"
        raise Quarantined(Reason.INTERNAL_ERROR, words, retryable=True) from error
    return model, blob


def _suits(model: Model, work: Workspace, events: pl.DataFrame) -> None:
    """Raises ValueError where given centroids are not of these embeddings."""
    known = {key.split("/")[1] for key in model}
    lacking = [level for level in LEVELS if (events["level"] == level).any() and level not in known]
    if lacking:
        raise ValueError(f"it holds {sorted(model)}, nothing for {', '.join(lacking)}")
    first = next(batch for batch in work.batches(EMBEDDINGS, [*SPACES]) if batch.num_rows)
    for key, one in model.items():
        one.projection.check(len(first[key.split("/")[0]][0]))


def _events(work: Workspace) -> pl.DataFrame:
    """event_id, episode_id, level of all that is embedded."""
    parts = [pl.from_arrow(batch) for batch in work.batches(EMBEDDINGS, ["event_id", "episode_id"])]
    frame = pl.concat([p for p in parts if isinstance(p, pl.DataFrame)])
    return frame.with_columns(level=pl.col("event_id").map_elements(level_of, pl.String))


def _rows(events: pl.DataFrame, given: FitWork) -> Iterator[FittedRow]:
    counts = events.group_by("episode_id").len("events").sort("episode_id")
    for episode, number in counts.iter_rows():
        yield {"episode_id": episode, "embedded": given.embedded[episode], "settings": given.settings, "events": number}


def fitted(work: Workspace, events: pl.DataFrame, config: ClusterConfig) -> Model:
    """Fitted on the events of smallest hash: the same ones whatever the parts. Embeddings are read twice: for the
    principal components, and to project what is clustered."""
    chosen = {}
    for level in (level for level in LEVELS if (events["level"] == level).any()):
        ids = events.filter(level=level)["event_id"].to_list()
        chosen[level] = sorted(ids, key=lambda e: unit_hash(f"fit:{e}", config.seed))[: config.fit_sample]
    numbers = dict(events.group_by("level").len().iter_rows())
    projections = _projections(work, {level: ids[:FOR_AXES] for level, ids in chosen.items()}, config)
    points = _gathered(work, chosen, projections)
    model = {}
    for level in chosen:
        for space, wanted in (("vl", config.vl_clusters), ("action", config.action_clusters)):
            key = f"{space}/{level}"
            model[key] = fit(points.pop(key)[0], projections[key], count_for(numbers[level], wanted), config)
    return model


def _projections(work: Workspace, chosen: Mapping[str, list[str]], config: ClusterConfig) -> dict[str, Projection]:
    """{space/level: its projection}, from some events of each level."""
    found = {}
    for key, (half, layouts) in sorted(_gathered(work, chosen, {}).items()):
        vectors, by_layout = half.astype(np.float32), np.array(layouts, dtype=object)
        scales: dict[str, Matrix] = {}
        if key.startswith("action"):  # so that a robot's units and reach do not part it from others
            scales = {name: group_scales(vectors[by_layout == name]) for name in sorted(set(layouts))}
            scales[OTHER] = group_scales(vectors)
        spherical = key.startswith("vl")
        found[key] = principal(scaled(vectors, layouts, scales), config, spherical, scales)
    return found


def _gathered(
    work: Workspace, chosen: Mapping[str, list[str]], projections: Mapping[str, Projection]
) -> dict[str, tuple[Matrix, list[str]]]:
    """{space/level: (vectors of the chosen events, projected where a projection is given, and their layouts)}, in the
    order of their ids: parts may be grouped differently from run to run."""
    wanted = pl.Series([e for ids in chosen.values() for e in ids]).implode()
    names: dict[str, list[str]] = {level: [] for level in chosen}
    layouts: dict[str, list[str]] = {level: [] for level in chosen}
    pieces: dict[str, list[Any]] = {f"{space}/{level}": [] for space in SPACES for level in chosen}
    for batch in work.batches(EMBEDDINGS, ["event_id", "layout", *SPACES]):
        own = batch.filter(pl.Series(batch["event_id"]).is_in(wanted).to_arrow())
        levels = np.array([level_of(e) for e in own["event_id"].to_pylist()], dtype=object)
        for level in chosen:
            rows = own.take(np.flatnonzero(levels == level))
            said = rows["layout"].to_pylist()
            names[level] += rows["event_id"].to_pylist()
            layouts[level] += said
            for space in SPACES if rows.num_rows else ():
                key, vectors = f"{space}/{level}", matrix(rows[space])
                projected = projections[key](vectors, said) if projections else vectors.astype(np.float16)
                pieces[key].append(projected)
    orders = {level: np.argsort(np.array(own)) for level, own in names.items()}
    return {
        key: (np.concatenate(own)[orders[level]], [layouts[level][i] for i in orders[level]])
        for key, own in pieces.items()
        for level in [key.split("/")[1]]
    }


def matrix(column: pa.ChunkedArray) -> Matrix:
    """float32[N, D] of a column of equally long lists."""
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat.reshape(len(column), -1), dtype=np.float32)
