"""Clusters find what is apart, also where it is rare, label it the same way again, and can be frozen."""

import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import normalized_mutual_info_score

from stages.cluster import ClusterConfig
from stages.cluster.kmeans import count_for, fit, means, nearest, points_for, principal
from stages.cluster.model import OTHER, Clustering, Projection, from_bytes, to_bytes

CONFIG = ClusterConfig()


def fitted(vectors: np.ndarray, clusters: int, config: ClusterConfig = CONFIG, spherical: bool = False) -> Clustering:
    projection = principal(vectors, config, spherical)
    return fit(projection(vectors), projection, clusters, config)


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """float32[90, 20] around three far points, and which."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(3, 20)) * 10
    which = np.repeat([0, 1, 2], 30)
    return (centres[which] + random.normal(size=(90, 20))).astype(np.float32), which


def zipf(events: int, width: int, clusters: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points around centres as far apart as they are wide in every direction, cluster c with a share of 1 / c."""
    random = np.random.default_rng(seed)
    share = 1 / np.arange(1, clusters + 1)
    which = np.repeat(np.arange(clusters), np.ceil(events * share / share.sum()).astype(int))
    centres = random.normal(size=(clusters, width))
    return (centres[which] + random.normal(size=(len(which), width))).astype(np.float32), which


def recovered(which: np.ndarray, labels: np.ndarray, smallest: int) -> float:
    """Share of the smallest planted clusters that some label finds with an F1 over 0.5."""
    table = np.zeros((which.max() + 1, labels.max() + 1))
    np.add.at(table, (which, labels), 1)
    f1 = 2 * table / (table.sum(axis=1, keepdims=True) + table.sum(axis=0))
    return float((f1.max(axis=1)[np.argsort(table.sum(axis=1), kind="stable")[:smallest]] > 0.5).mean())


@pytest.mark.parametrize("spherical", [False, True])
def test_three_far_groups_become_three_clusters(spherical):
    vectors, which = blobs()
    clustering = fitted(vectors, 3, spherical=spherical)
    labels, distances = clustering.assign(vectors)
    assert len({(a, b) for a, b in zip(which.tolist(), labels.tolist(), strict=True)}) == 3
    assert (distances >= 0).all()
    assert clustering.sizes.tolist() == [30, 30, 30]


def test_rare_clusters_are_found_that_kmeans_from_plain_starts_shares_out():
    vectors, which = zipf(30_000, 32, 100)
    ours = fitted(vectors, 100).assign(vectors)[0]
    theirs = MiniBatchKMeans(100, random_state=0).fit_predict(vectors)
    agreement = [normalized_mutual_info_score(which, labels) for labels in (ours, theirs)]
    assert agreement[0] > agreement[1] + 0.02
    assert recovered(which, ours, 30) > recovered(which, theirs, 30) + 0.2


def test_a_fit_is_repeatable_and_survives_a_file():
    vectors, _ = blobs()
    first, second = fitted(vectors, 3), fitted(vectors, 3)
    assert np.array_equal(first.centroids, second.centroids)
    frozen = from_bytes(to_bytes({"vl/L1": first}))["vl/L1"]
    assert np.array_equal(frozen.assign(vectors)[0], first.assign(vectors)[0])
    assert to_bytes({"vl/L1": frozen}) == to_bytes({"vl/L1": second})


def test_what_is_near_has_labels_that_follow_each_other_and_one_group():
    """Two far pairs of near clusters: four labels, of which 0 and 1 are of one pair, 2 and 3 of the other."""
    random = np.random.default_rng(1)
    centres = np.array([[0, 0], [50, 0], [0, 3], [50, 3]], np.float32)
    which = np.repeat(np.arange(4), 25)
    vectors = (centres[which] + 0.1 * random.normal(size=(100, 2))).astype(np.float32)
    clustering = fitted(vectors, 4, ClusterConfig(variance=1.0))
    labels = clustering.assign(vectors)[0]
    of = [int(labels[which == c][0]) for c in range(4)]
    assert sorted(of) == [0, 1, 2, 3]
    assert {of[0] // 2, of[2] // 2} != {of[1] // 2, of[3] // 2}
    assert of[0] // 2 == of[2] // 2
    assert clustering.groups.tolist() == [0, 0, 1, 1]


def test_clusters_of_too_few_events_are_given_up_and_their_events_go_to_the_nearest():
    vectors = np.concatenate([np.zeros((20, 2)), np.full((20, 2), 10.0), [[11.0, 13.0]]]).astype(np.float32)
    vectors += 0.01 * np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
    clustering = fitted(vectors, 3, ClusterConfig(smallest=2))
    assert sorted(clustering.sizes.tolist()) == [20, 21]
    assert len(fitted(vectors, 3, ClusterConfig(smallest=1)).sizes) == 3


def test_principal_components_keep_the_variance_that_is_asked_for_and_no_more():
    """Columns with variances 100, 9, 1 and a thousandth: 0.95 of the sum takes two of them, 0.999 three."""
    vectors = np.random.default_rng(0).normal(size=(5000, 4)).astype(np.float32) * np.array([10, 3, 1, 0.03], "float32")
    assert len(principal(vectors, ClusterConfig(variance=0.95)).axes) == 2
    assert len(principal(vectors, ClusterConfig(variance=0.999)).axes) == 3
    assert len(principal(vectors, ClusterConfig(variance=0.999, dimensions=2)).axes) == 2


def test_vectors_of_a_layout_are_divided_by_its_scale_and_those_of_an_unknown_one_by_the_common():
    scales = {"a": np.array([2.0, 2.0], np.float32), OTHER: np.array([4.0, 4.0], np.float32)}
    projection = Projection(np.zeros(2, np.float32), np.eye(2, dtype=np.float32), scales=scales)
    found = projection(np.array([[2, 4], [4, 8]], np.float32), ["a", "b"])
    assert found.tolist() == [[1, 2], [1, 2]]


def test_nearest_and_means_by_hand():
    points = np.array([[0, 0], [1, 0], [9, 0]], np.float32)
    index, distances = nearest(points, np.array([[0, 0], [5, 5], [8, 0]], np.float32))
    assert index.tolist() == [0, 0, 2]
    assert distances.tolist() == [0, 1, 1]
    assert means(points, index, 3).tolist() == [[0.5, 0], [9, 0]]  # the second has no point


@pytest.mark.parametrize(
    ("events", "clusters", "most"), [(10**6, 1000, 65), (10**6, 200, 128), (433, 15, 58), (5, 5, 2)]
)
def test_how_many_events_of_a_cluster_a_round_has(events, clusters, most):
    assert points_for(events, clusters, None) == most
    assert points_for(events, clusters, 7) == 7


@pytest.mark.parametrize("number", [1, 7, 19, 20, 255, 256, 300])
def test_what_comes_out_for_an_event_does_not_depend_on_the_others_of_its_part(number):
    """To the last bit: FAISS and BLAS compute few rows in another way than many."""
    vectors = np.random.default_rng(1).normal(size=(600, 200)).astype(np.float32)
    clustering = fitted(vectors, 12)
    labels, distances = clustering.assign(vectors)
    for start in range(0, 600 - number, 97):
        some, far = clustering.assign(vectors[start : start + number])
        assert np.array_equal(some, labels[start : start + number])
        assert np.array_equal(far, distances[start : start + number])


def test_vectors_of_another_width_are_refused():
    vectors, _ = blobs()
    with pytest.raises(ValueError, match="7 wide, these centroids were fitted on 20"):
        fitted(vectors, 3).assign(np.zeros((1, 7), np.float32))


@pytest.mark.parametrize("events", [1, 2, 5])
def test_a_few_events_that_are_all_alike_are_a_cluster(events):
    same = np.ones((events, 8), np.float32)
    assert fitted(same, events).assign(same)[0].tolist() == [0] * events


@pytest.mark.parametrize(
    ("events", "wanted", "clusters"),
    [(1, None, 1), (3, None, 2), (200, None, 10), (10**9, None, 1024), (5, 8, 5), (100, 8, 8)],
)
def test_how_many_clusters(events, wanted, clusters):
    assert count_for(events, wanted) == clusters
