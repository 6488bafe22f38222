"""The clusters of the shard level as a map, and how the two clusterings cross.

In: a corpus with a release. Out: SVG. On the map, centroids lie by their two principal components: a disc a cluster,
its area by train events, its ring by samples drawn, its colour by the coarser cluster it lies in. The cross table has
the largest clusters of both sides, each cell with its train events and the samples drawn of it.
"""

from __future__ import annotations

import json
from html import escape
from typing import TypedDict

import numpy as np
import polars as pl

from pipeline.corpus.view import Corpus
from pipeline.report.drawing import figure, rect, text
from stages import storage
from stages.cluster.model import Clustering, from_bytes

SPACES = ("vl", "action")
SIZE, MARGIN, LARGEST = (520, 340), 34, 26.0  # px: the map, around it, radius of the largest cluster
SHOWN = 14  # clusters a side of the cross table
COLOURS = ["#4e79a7", "#f28e2b", "#5fa8a3", "#d1495b", "#8cb35a", "#9d6b98", "#e3bb3a", "#9c755f", "#7aa6d1", "#b86fb0"]


class Disc(TypedDict):
    """A cluster on the map: its coarser one, train events and samples drawn of it."""

    cluster: int
    name: str
    group: int
    train: int
    drawn: int


def load(corpus: Corpus) -> pl.DataFrame | None:
    """clusters.parquet of the release; None where there is none, or it was written by an older version."""
    release = corpus.manifest["release"]
    path = corpus.ledger.path(f"shards/{release}/clusters.parquet")
    return pl.read_parquet(storage.read_bytes(path)) if release and storage.exists(path) else None


def maps(corpus: Corpus, clusters: pl.DataFrame) -> dict[str, str]:
    """{space: its map}."""
    about = json.loads(storage.read_bytes(corpus.ledger.path(f"shards/{corpus.manifest['release']}/manifest.json")))
    where = corpus.ledger.path(about["clusters"])
    if not storage.exists(where):  # a report is drawn of what is left, too
        return {}
    model = from_bytes(storage.read_bytes(where))
    return {space: _map(model[f"{space}/{corpus.level()}"], _discs(clusters.filter(space=space))) for space in SPACES}


def _discs(clusters: pl.DataFrame) -> list[Disc]:
    """By label, as centroids are."""
    columns = clusters.sort("cluster").select("cluster", "name", "group", "train", "drawn")
    return [
        {"cluster": cluster, "name": name, "group": group, "train": train, "drawn": drawn}
        for cluster, name, group, train, drawn in columns.iter_rows()
    ]


def _map(clustering: Clustering, rows: list[Disc]) -> str:
    places = _plane(clustering.centroids.astype(np.float64))
    most = max([1, *(r["train"] for r in rows), *(r["drawn"] for r in rows)])
    (width, height), parts = SIZE, []
    for row, (x, y) in sorted(zip(rows, places, strict=True), key=lambda pair: -pair[0]["train"]):
        at = MARGIN + x * (width - 2 * MARGIN), MARGIN + y * (height - 2 * MARGIN)
        events, drawn = (LARGEST * (row[key] / most) ** 0.5 for key in ("train", "drawn"))
        colour = COLOURS[row["group"] % len(COLOURS)]
        said = f"cluster {row['cluster']}: {row['name']}; {row['train']} train events, {row['drawn']} samples"
        parts.append(
            f"<g><title>{escape(said)}</title>"
            f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{max(2.0, events):.1f}" fill="{colour}" opacity="0.5"/>'
            f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="{max(2.0, drawn):.1f}" fill="none" stroke="var(--ink)"/>'
            + text(at[0], at[1] + 4, str(row["cluster"]), "middle")
            + "</g>"
        )
    return figure(width, height, "map of clusters", "".join(parts))


def _plane(centroids: np.ndarray) -> np.ndarray:
    """float64[k, 2] in 0 to 1: the two directions in which centroids differ most; a direction's sign is the one that
    makes its largest part positive."""
    centred = centroids - centroids.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    flat = np.zeros((len(centroids), 2))
    for number, axis in enumerate(axes[:2]):
        flat[:, number] = centred @ axis * (1.0 if axis[np.argmax(np.abs(axis))] >= 0 else -1.0)
    low, span = flat.min(axis=0), np.maximum(np.ptp(flat, axis=0), 1e-9)
    return np.where(np.ptp(flat, axis=0) > 1e-9, (flat - low) / span, 0.5)


def cross(corpus: Corpus, clusters: pl.DataFrame) -> str:
    """The largest clusters of both sides against each other: darker for more samples, the figures are samples drawn of
    train events."""
    pool = corpus.table("samples", columns=["split", "status", "vl_cluster", "action_cluster", "repeats"])
    pool = pool.filter((pl.col("split") == "train") & pl.col("status").is_in(["sampled", "reserve"]))
    cells = {
        (v, a): (n, d)
        for v, a, n, d in pool.group_by("vl_cluster", "action_cluster")
        .agg(n=pl.len(), d=pl.col("repeats").sum())
        .iter_rows()
    }
    sides = [
        clusters.filter((pl.col("space") == s) & (pl.col("train") > 0))
        .sort("train", descending=True)
        .head(SHOWN)
        .sort("cluster")
        .to_dicts()
        for s in SPACES
    ]
    most = max([1, *(d for _, d in cells.values())])
    step, left, top = 40, 190, 22
    parts = [text(left + (i + 0.5) * step, 14, str(c["cluster"]), "middle") for i, c in enumerate(sides[1])]
    for j, row in enumerate(sides[0]):
        y = top + j * 20
        parts.append(text(left - 6, y + 14, f"{row['name'][:26]} {row['cluster']}", "end"))
        for i, column in enumerate(sides[1]):
            events, drawn = cells.get((row["cluster"], column["cluster"]), (0, 0))
            said = f"{row['name']} x {column['name']}: {events} train events, {drawn} samples"
            shade = f'fill="var(--accent)" opacity="{0.75 * drawn / most:.2f}"'
            parts.append(f"<g><title>{escape(said)}</title>{rect(left + i * step, y, step - 2, 18, shade)}")
            parts.append(
                (text(left + (i + 0.5) * step - 1, y + 13, f"{drawn} / {events}", "middle") if events else "") + "</g>"
            )
    width, height = left + step * len(sides[1]), top + 20 * len(sides[0])
    return figure(width, height, "how the clusterings cross", "".join(parts))
