"""Settings of cluster."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ClusterConfig(BaseModel):
    """How many clusters, and whether they are fitted or given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vl_clusters: int | None = Field(
        None, ge=1, description="VL clusters of each level; null: sqrt(events / 2), 2 to 1024"
    )
    action_clusters: int | None = Field(None, ge=1, description="action clusters of each level; null: the same rule")
    dimensions: int = Field(64, ge=2, description="principal components kept before k-means")
    fit_sample: int = Field(200_000, ge=100, description="most events of a level that a fit looks at, chosen by hash")
    iterations: int = Field(25, ge=1, description="Lloyd iterations")
    restarts: int = Field(3, ge=1, description="k-means starts, the best kept")
    seed: int = Field(0, ge=0, description="seed of k-means and of the sample")
    threads: int = Field(1, ge=1, description="threads of FAISS and BLAS in a fit; other numbers may change labels")
    centroids: str | None = Field(
        None, description="models/clusters-*.npz of an earlier build: label with its centroids instead of fitting"
    )
