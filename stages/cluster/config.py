"""Settings of cluster."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ClusterConfig(BaseModel):
    """How many clusters, how they are fitted, and when the last fit goes on serving."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vl_clusters: int | None = Field(
        None, ge=1, description="VL clusters of each level; null: sqrt(events / 2), 2 to 1024"
    )
    action_clusters: int | None = Field(None, ge=1, description="action clusters of each level; null: the same rule")
    variance: float = Field(0.95, gt=0, le=1, description="share of the variance that the principal components keep")
    dimensions: int = Field(256, ge=2, description="most principal components kept, whatever `variance` asks for")
    fit_sample: int = Field(300_000, ge=100, description="most events of a level that a fit looks at, chosen by hash")
    points_per_cluster: int | None = Field(
        None,
        ge=1,
        description="most events of one cluster that take part in a round: the head must not drown the tail; null: "
        "65,536 over all clusters, 64 to 128 each, and no more than twice what an even cluster has",
    )
    rounds: int = Field(2, ge=1, description="rounds of fine k-means, merging, and drawing anew, evenly over clusters")
    oversampling: float = Field(2.0, ge=1, description="fine clusters of a round for each cluster that is wanted")
    iterations: int = Field(2, ge=1, description="Lloyd iterations of a round")
    smallest: int = Field(
        3, ge=1, description="clusters of fewer events of the fit are given up, their events go to the nearest other"
    )
    seed: int = Field(0, ge=0, description="seed of k-means and of the sample")
    threads: int = Field(2, ge=1, description="threads of BLAS in a fit; other numbers may change labels")
    refit_share: float = Field(
        0.2,
        ge=0,
        le=1,
        description="the centroids of the last build go on serving while less than this share of the events has been "
        "added or changed since they were fitted; 0: fitted anew whenever anything changes",
    )
    centroids: str | None = Field(
        None, description="models/clusters-*.npz of an earlier build: label with its centroids instead of fitting"
    )
