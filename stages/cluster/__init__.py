"""cluster: events get two labels, one for what is seen and said, one for how the arms move."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from schemas.clusters import CLUSTERS, EMBEDDINGS
from stages import storage
from stages.cluster.config import ClusterConfig
from stages.stage import Plan, Scope, Stage, inputs_of
from stages.work import Inputs, Outcome, Unit, Workspace

if TYPE_CHECKING:
    import polars as pl

VERSION = 4

__all__ = ["CLUSTER", "VERSION", "ClusterConfig"]


def _centroids(plan: Plan) -> pl.DataFrame:
    """The content of given centroids counts, not where they lie."""
    import polars as pl

    given = plan.config(CLUSTER).centroids
    frozen = hashlib.sha256(storage.read_bytes(storage.normalise(given))).hexdigest() if given else ""
    return pl.DataFrame({"also": [frozen]})


def _run(unit: Unit[Inputs], work: Workspace, config: ClusterConfig) -> Outcome:
    from stages.cluster.stage import cluster

    return cluster(unit, work, config)


CLUSTER: Stage[ClusterConfig, Inputs] = Stage(
    name="cluster",
    version=VERSION,
    config=ClusterConfig,
    scope=Scope.CORPUS,
    reads=(EMBEDDINGS,),
    writes=(CLUSTERS,),
    also=_centroids,
    payload=inputs_of,
    run=_run,
)
