"""The clusters of a release: what each is called, how large it is, and what is drawn of it.

In: the plan after cluster. Out: `clusters.parquet`, one row a cluster of the level of the samples, and what the balance
must know of the clusters (tree, names).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from pipeline.plan import Plan
from schemas.captions import CAPTIONS
from schemas.clusters import CLUSTERS, FITTED
from stages import storage
from stages.balance import Balance, Clustering
from stages.cluster import changed_share, model_of
from stages.cluster.model import from_bytes
from stages.cluster.naming import central, drift, named
from stages.shard import SHARD

SPACES = ("vl", "action")


@dataclass(frozen=True, slots=True)
class Described:
    """labels: of all events of the level, event_id and <space>_cluster; trees, by space; table: one row a cluster;
    drift: figures by space, and the share of events that came or changed since the centroids were fitted."""

    labels: pl.DataFrame
    trees: Mapping[str, Clustering]
    table: pl.DataFrame
    drift: Mapping[str, Any]


def described(plan: Plan) -> Described:
    """Raises FileNotFoundError where the model is gone."""
    level, found = plan.config(SHARD).level, model_of(plan)
    assert found is not None
    model = from_bytes(storage.read_bytes(plan.ledger.path(found[0])))
    columns = ["event_id", "level", *(f"{s}_{c}" for s in SPACES for c in ("cluster", "distance"))]
    labels = plan.rows(CLUSTERS, columns).filter(level=level)
    own = {s: labels.select("event_id", cluster=f"{s}_cluster", distance=f"{s}_distance") for s in SPACES}
    middle = {s: central(own[s]) for s in SPACES}
    shown = pl.concat([middle[s].select("event_id") for s in SPACES]).unique()
    texts = plan.rows(CAPTIONS, ["event_id", "text"]).join(shown, on="event_id", how="semi")
    trees, tables, drifts = {}, [], dict[str, Any]()
    for space in SPACES:
        one = model[f"{space}/{level}"]
        table = pl.DataFrame(
            {
                "space": [space] * len(one.sizes),
                "cluster": np.arange(len(one.sizes)),
                "group": one.groups.astype(np.int64),
                "fitted_events": one.sizes,
                "fitted_distance": one.distances.astype(np.float64),
            }
        )
        names = named(middle[space], texts).with_columns(pl.col("cluster").cast(pl.Int64))
        now = (
            own[space]
            .group_by(pl.col("cluster").cast(pl.Int64))
            .agg(events=pl.len(), distance=pl.col("distance").mean())
        )
        table = table.join(now, on="cluster", how="left").join(names, on="cluster", how="left").sort("cluster")
        table = table.with_columns(
            pl.col("events").fill_null(0), pl.col("name").fill_null(""), pl.col("central").fill_null([])
        )
        tables.append(table)
        trees[space] = Clustering(names=tuple(_quoted(table)), tree=(one.groups.astype(np.int64),))
        drifts[space] = drift(own[space], one)
    fitted = plan.rows(FITTED, ["episode_id", "embedded", "events"])
    drifts["changed_share"] = round(changed_share(plan, fitted), 6)
    return Described(labels, trees, pl.concat(tables), drifts)


def _quoted(table: pl.DataFrame) -> list[str]:
    """Clusters as messages name them: 3 ("red, cup")."""
    return [f'{c} ("{name}")' if name else str(c) for c, name in table.select("cluster", "name").iter_rows()]


def drawn(table: pl.DataFrame, balance: Balance | None) -> pl.DataFrame:
    """`table` with the train events of each cluster, how many samples of it are wanted, and how many are drawn."""
    if balance is None:
        return table.with_columns(train=pl.lit(0), wanted=pl.lit(0.0), drawn=pl.lit(0))
    margins = {"vl": balance.vl, "action": balance.action}
    sizes = pl.concat(
        [
            pl.DataFrame(
                {
                    "space": [space] * len(margin.recorded),
                    "cluster": np.arange(len(margin.recorded)),
                    "train": margin.recorded,
                    "wanted": margin.target,
                    "drawn": margin.drawn,
                }
            )
            for space, margin in margins.items()
        ]
    )
    return table.join(sizes, on=["space", "cluster"], how="left", maintain_order="left")
