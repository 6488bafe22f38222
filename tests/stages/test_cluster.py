"""Clusters find what is apart, label it the same way again, and can be frozen."""

import numpy as np
import pytest

from stages.cluster import ClusterConfig
from stages.cluster.kmeans import count_for, fit, from_bytes, to_bytes

CONFIG = ClusterConfig()


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """float32[90, 20] around three far points, and which."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(3, 20)) * 10
    which = np.repeat([0, 1, 2], 30)
    return (centres[which] + random.normal(size=(90, 20))).astype(np.float32), which


def test_three_far_groups_become_three_clusters():
    vectors, which = blobs()
    labels, distances = fit(vectors, 3, CONFIG).assign(vectors)
    assert len({(a, b) for a, b in zip(which.tolist(), labels.tolist(), strict=True)}) == 3
    assert (distances >= 0).all()


def test_of_several_starts_the_best_is_kept():
    """Twelve small groups far apart: from one start some share a centroid; the best of twenty is never worse."""
    random = np.random.default_rng(3)
    centres = random.normal(size=(12, 8)) * 30
    vectors = (centres[np.repeat(np.arange(12), 20)] + random.normal(size=(240, 8))).astype(np.float32)

    def spread(restarts: int, seed: int) -> float:
        clustering = fit(vectors, 12, ClusterConfig(restarts=restarts, seed=seed))
        return float(clustering.assign(vectors)[1].sum())

    once, often = ([spread(n, seed) for seed in range(5)] for n in (1, 20))
    assert all(many <= one * (1 + 1e-6) for one, many in zip(once, often, strict=True))
    assert sum(often) < 0.9 * sum(once)


def test_a_fit_is_repeatable_and_survives_a_file():
    vectors, _ = blobs()
    first, second = fit(vectors, 3, CONFIG), fit(vectors, 3, CONFIG)
    assert np.array_equal(first.centroids, second.centroids)
    frozen = from_bytes(to_bytes({"vl": first}))["vl"]
    assert np.array_equal(frozen.assign(vectors)[0], first.assign(vectors)[0])
    assert to_bytes({"vl": first}) == to_bytes({"vl": second})


@pytest.mark.parametrize("number", [1, 7, 19, 20, 255, 256, 300])
def test_what_comes_out_for_an_event_does_not_depend_on_the_others_of_its_part(number):
    """To the last bit: FAISS and BLAS compute few rows in another way than many."""
    vectors = np.random.default_rng(1).normal(size=(600, 200)).astype(np.float32)
    clustering = fit(vectors, 12, CONFIG)
    labels, distances = clustering.assign(vectors)
    for start in range(0, 600 - number, 97):
        some, far = clustering.assign(vectors[start : start + number])
        assert np.array_equal(some, labels[start : start + number])
        assert np.array_equal(far, distances[start : start + number])


def test_vectors_of_another_width_are_refused():
    vectors, _ = blobs()
    with pytest.raises(ValueError, match="7 wide, these centroids were fitted on 20"):
        fit(vectors, 3, CONFIG).assign(np.zeros((1, 7), np.float32))


def test_a_single_event_is_a_cluster():
    assert fit(np.ones((1, 8), np.float32), 1, CONFIG).assign(np.ones((1, 8), np.float32))[0].tolist() == [0]


@pytest.mark.parametrize(
    ("events", "wanted", "clusters"),
    [(1, None, 1), (3, None, 2), (200, None, 10), (10**9, None, 1024), (5, 8, 5), (100, 8, 8)],
)
def test_how_many_clusters(events, wanted, clusters):
    assert count_for(events, wanted) == clusters
