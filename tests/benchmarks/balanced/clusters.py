"""Clusters of planted Zipf mixtures, beside scikit-learn's MiniBatchKMeans in the same run.

In: the size of a mixture. Out: figures of both: seconds of the fit on two cores, normalised mutual information with
what was planted, share of the smallest planted clusters that a label finds with an F1 over 0.5. Centres are as far
apart, in every direction, as their points are spread (or half so far: `spread`), and cluster c has a share of 1 / c.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import normalized_mutual_info_score
from threadpoolctl import threadpool_limits

from stages.cluster import ClusterConfig
from stages.cluster.kmeans import fit, nearest, principal
from stages.cluster.model import limited

THREADS = 2
AT_ONCE = 100_000
LABELLED = 20_000  # events whose labelling is timed


@dataclass(frozen=True)
class Case:
    """A mixture; tail: how many of the smallest planted clusters are looked for."""

    events: int
    width: int
    clusters: int
    tail: int
    spread: float


CASES = (
    Case(100_000, 64, 200, 60, 1.0),
    Case(100_000, 64, 200, 60, 0.5),
    Case(1_000_000, 256, 1000, 300, 1.0),
    Case(1_000_000, 256, 1000, 300, 0.5),
)


@dataclass(frozen=True)
class Figures:
    """Of one way to cluster."""

    seconds: float
    clusters: int
    agreement: float
    tail: float


def planted(case: Case, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    share = 1 / np.arange(1, case.clusters + 1)
    sizes = np.floor(case.events * share / share.sum()).astype(int)
    sizes[0] += case.events - sizes.sum()
    which = random.permutation(np.repeat(np.arange(case.clusters), sizes))
    centres = (case.spread * random.standard_normal((case.clusters, case.width))).astype(np.float32)
    points = centres[which]
    for start in range(0, case.events, AT_ONCE):
        block = points[start : start + AT_ONCE]
        block += random.standard_normal(block.shape, dtype=np.float32)
    return points, which


def figures(
    case: Case, which: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], clusters: int, seconds: float
) -> Figures:
    table = np.bincount(which * clusters + labels, minlength=case.clusters * clusters).reshape(case.clusters, clusters)
    best = (2 * table / (table.sum(axis=1, keepdims=True) + table.sum(axis=0))).max(axis=1)
    smallest = np.argsort(table.sum(axis=1), kind="stable")[: case.tail]
    return Figures(seconds, clusters, normalized_mutual_info_score(which, labels), float((best[smallest] > 0.5).mean()))


def ours(case: Case, points: npt.NDArray[np.float32], which: npt.NDArray[np.int64]) -> tuple[Figures, float]:
    """(figures, microseconds to label an event on one core, row by row as a build does)."""
    config = ClusterConfig(threads=THREADS)
    sample = np.sort(np.random.default_rng(1).permutation(case.events)[: config.fit_sample])
    started = time.perf_counter()
    projection = principal(points[sample[:: max(1, len(sample) // 50_000)]], config)
    between = time.perf_counter()
    with limited(THREADS):
        flat = (points - projection.mean) @ projection.axes.T
    again = time.perf_counter()
    clustering = fit(flat[sample], projection, case.clusters, config)
    seconds = between - started + time.perf_counter() - again
    with limited(THREADS):
        labels = nearest(flat, clustering.centroids)[0]
    started = time.perf_counter()
    clustering.assign(points[:LABELLED])
    each = (time.perf_counter() - started) / LABELLED * 1e6
    return figures(case, which, labels, len(clustering.centroids), seconds), each


def theirs(case: Case, points: npt.NDArray[np.float32], which: npt.NDArray[np.int64]) -> Figures:
    with threadpool_limits(THREADS):
        started = time.perf_counter()
        model = MiniBatchKMeans(case.clusters, random_state=0).fit(points)
        seconds = time.perf_counter() - started
        return figures(case, which, model.predict(points).astype(np.int64), case.clusters, seconds)


def measured(case: Case) -> tuple[Figures, Figures, float]:
    """(ours, MiniBatchKMeans, microseconds to label an event)."""
    points, which = planted(case)
    found, each = ours(case, points, which)
    return found, theirs(case, points, which), each
