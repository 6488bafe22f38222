"""How well vectors cluster: k-means as the cluster stage sets it up, several times, against labels and each other.

In: float32[N, D]. Out: figures. Adjusted mutual information (Vinh et al. 2010): 0 for chance, 1 for the same groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_mutual_info_score

from stages.cluster.kmeans import count_for

SEEDS = range(5)
AXES, NEAR = 64, 10


def clusterings(vectors: np.ndarray, clusters: int | None = None) -> list[np.ndarray]:
    """Labels int[N] of each seed."""
    projected = PCA(min(AXES, len(vectors) - 1, vectors.shape[1]), random_state=0).fit_transform(vectors)
    number = count_for(len(vectors), clusters)
    return [KMeans(number, n_init=3, random_state=seed).fit_predict(projected) for seed in SEEDS]


def information(one: Sequence[Sequence[Any]], other: Sequence[Sequence[Any]]) -> float:
    """Mean adjusted mutual information of each labelling of `one` with each of `other`."""
    return float(np.mean([adjusted_mutual_info_score(a, b) for a in one for b in other]))


def repeatability(labels: Sequence[Sequence[Any]]) -> float:
    """The same between the seeds of one set of vectors: what a perfect copy would reach."""
    return float(np.mean([adjusted_mutual_info_score(a, b) for i, a in enumerate(labels) for b in labels[:i]]))


def neighbours(vectors: np.ndarray) -> np.ndarray:
    """int[N, NEAR] nearest others by cosine of unit vectors, nearest first."""
    near = vectors @ vectors.T
    np.fill_diagonal(near, -2.0)
    return np.argsort(-near, axis=1, kind="stable")[:, :NEAR]
