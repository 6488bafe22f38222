"""Budgets of several corpora that share their centroids: what each draws of every cell, so that together they are one.

In: corpora with a release each. Out: a budget a corpus, which its next build takes as `shard.budget`. All that is read
of a corpus is `cells.parquet` of its release, some thousand rows however many events it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipeline.corpus.view import Corpus
from pipeline.release.finish import manifest
from stages import storage
from stages.balance import Agreement, Cells, Clustering, Wish, agree, permanent
from stages.shard.config import ShardConfig

KEY = ["vl", "action", "recovery", "weight"]


class NotComparable(ValueError):
    """Corpora that cannot agree: no release, or not the same clusters."""


@dataclass(frozen=True, slots=True)
class CorpusCells:
    """What a corpus tells the others: its cells, sha256 of its centroids, level and trees of its clusters."""

    root: str
    cells: pl.DataFrame
    model: str
    level: str
    groups: dict[str, list[int]]


def cells_of(root: str) -> CorpusCells:
    """Raises NotComparable, NoCorpus."""
    corpus = Corpus(root)
    release = corpus.manifest["release"]
    if not release:
        raise NotComparable(f"{root} has no release yet: build it to its end first")
    about = manifest(corpus.root, release)
    if "clusters_sha256" not in about:
        raise NotComparable(f"{root} was built by an older version: build it again first")
    folder = storage.join(corpus.root, "shards", release)
    cells, clusters = (
        pl.read_parquet(storage.read_bytes(storage.join(folder, f"{n}.parquet"))) for n in ("cells", "clusters")
    )
    groups = {s: clusters.filter(space=s).sort("cluster")["group"].to_list() for s in ("vl", "action")}
    return CorpusCells(root, cells, about["clusters_sha256"], about["config"]["shard"]["level"], groups)


def budgets(corpora: Sequence[CorpusCells], samples: int, config: ShardConfig) -> tuple[list[pl.DataFrame], Agreement]:
    """KEY, copies, model, level of each corpus, and the balance of all together. Raises NotComparable, ValueError."""
    first = corpora[0]
    for other in corpora[1:]:
        if (other.model, other.level) != (first.model, first.level):
            raise NotComparable(
                f"{other.root} has other clusters than {first.root}: build both with the same cluster.centroids, "
                "such as the first one's models/clusters-*.npz, and the same shard.level"
            )
    trees = {space: Clustering(tree=(np.array(own, np.int64),)) for space, own in first.groups.items()}
    wish = Wish(samples, config.alpha, config.max_repeats, config.recovery_share, trees["vl"], trees["action"])
    agreed = agree([_cells(one.cells, config.seed) for one in corpora], wish)
    found = [
        one.cells.select(KEY).with_columns(
            pl.Series("copies", copies, dtype=pl.Int64), model=pl.lit(one.model), level=pl.lit(one.level)
        )
        for one, copies in zip(corpora, agreed.copies, strict=True)
    ]
    return found, agreed


def _cells(frame: pl.DataFrame, seed: int) -> Cells:
    vl, action, n = (frame[c].to_numpy().astype(np.int64) for c in ("vl", "action", "n"))
    return Cells(vl, action, frame["recovery"].to_numpy(), frame["weight"].to_numpy(), n, permanent(seed, vl, action))
