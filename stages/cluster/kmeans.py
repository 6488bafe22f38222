"""PCA, then FAISS k-means: fit on a sample, assign in batches, keep as a file.

In: float32[N, D] vectors. Out: a `Clustering` that labels any vectors of that width. FAISS because at 1M x 384 with k
= 1000 it trains in 12 s where MiniBatchKMeans takes 29 s to a worse objective. A seed and a fixed number of threads, in
FAISS and in every BLAS, make labels and distances repeatable whatever a worker's environment says.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache

import faiss
import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from threadpoolctl import ThreadpoolController

from stages.cluster.config import ClusterConfig

Matrix = npt.NDArray[np.float32]
faiss.cvar.distance_compute_blas_threshold = 1 << 30  # search query by query, for the same reason as in `project`


@dataclass(frozen=True, slots=True)
class Clustering:
    """mean float32[D], axes float32[d, D] (principal components), centroids float32[k, d]."""

    mean: Matrix
    axes: Matrix
    centroids: Matrix

    def assign(self, vectors: Matrix) -> tuple[npt.NDArray[np.int32], Matrix]:
        """(label int32[N], squared distance float32[N]) of the nearest centroid. ValueError for another width."""
        if vectors.shape[1] != len(self.mean):
            raise ValueError(f"vectors are {vectors.shape[1]} wide, these centroids were fitted on {len(self.mean)}")
        index = faiss.IndexFlatL2(self.centroids.shape[1])
        index.add(self.centroids)
        with _threads().limit(limits=1):
            distances, labels = index.search(self.project(vectors), 1)
        return labels[:, 0].astype(np.int32), np.maximum(distances[:, 0], 0.0)

    def project(self, vectors: Matrix) -> Matrix:
        """float32[N, d], row by row: a matrix product rounds differently for another number of rows.

        Parts hold any number of events, and what comes out for one must not depend on which others share its part. It
        costs 12 us an event instead of 3.
        """
        with _threads().limit(limits=1):
            rows = [self.axes @ (row - self.mean) for row in vectors]
        return np.stack(rows) if rows else np.zeros((0, len(self.axes)), dtype=np.float32)


@cache
def _threads() -> ThreadpoolController:
    """What limits the threads of FAISS and of every BLAS of this process: found once, since looking takes 4 ms."""
    return ThreadpoolController()


def count_for(events: int, wanted: int | None) -> int:
    """Number of clusters for so many events: as wanted, else sqrt(n / 2) within 2 to 1024, never more than events."""
    return min(events, wanted or min(1024, max(2, round((events / 2) ** 0.5))))


def fit(vectors: Matrix, clusters: int, config: ClusterConfig) -> Clustering:
    """Clustering of float32[N, D], N >= 1."""
    with _threads().limit(limits=config.threads):
        return _fit(vectors, clusters, config)


def _fit(vectors: Matrix, clusters: int, config: ClusterConfig) -> Clustering:
    kept = min(config.dimensions, vectors.shape[1], max(1, len(vectors) - 1))
    mean, axes = _principal(vectors, kept)
    projected = Clustering(mean, axes, np.zeros((1, kept), np.float32)).project(vectors)
    kmeans = faiss.Kmeans(
        kept,
        clusters,
        niter=config.iterations,
        nredo=config.restarts,
        seed=config.seed,
        min_points_per_centroid=1,
        max_points_per_centroid=max(256, -(-len(vectors) // clusters)),
    )
    kmeans.train(projected)
    return Clustering(mean, axes, np.asarray(kmeans.centroids, dtype=np.float32).reshape(clusters, kept))


def _principal(vectors: Matrix, kept: int) -> tuple[Matrix, Matrix]:
    """(mean, axes) of a PCA; a single vector has no axes to speak of."""
    if len(vectors) == 1:
        return vectors[0], np.eye(1, vectors.shape[1], dtype=np.float32)
    few = len(vectors) < vectors.shape[1]  # the covariance of 1,664 columns takes 0.7 s, however few rows there are
    pca = PCA(kept, svd_solver="full" if few else "covariance_eigh").fit(vectors.astype(np.float64))
    return pca.mean_.astype(np.float32), pca.components_.astype(np.float32)


def to_bytes(clusterings: dict[str, Clustering]) -> bytes:
    """One .npz for all clusterings of a build."""
    arrays = {
        f"{name}_{part}": getattr(c, part) for name, c in clusterings.items() for part in ("mean", "axes", "centroids")
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def from_bytes(data: bytes) -> dict[str, Clustering]:
    """Inverse of `to_bytes`. Raises ValueError or KeyError for another file."""
    with np.load(io.BytesIO(data)) as arrays:
        names = {key.rsplit("_", 1)[0] for key in arrays.files}
        return {n: Clustering(arrays[f"{n}_mean"], arrays[f"{n}_axes"], arrays[f"{n}_centroids"]) for n in names}
