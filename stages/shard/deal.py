"""Samples dealt to tars, so that each tar by itself is as even over both clusterings as whole samples allow.

In: the two labels and the event of every sample. Out: a tar for each. A tar count is a power of two, and samples are
parted in halves, over and over: take them as edges between their VL and their action cluster, pair the edges at every
vertex, and walk along the pairs giving the two of each pair to different halves (the Euler splitting of a bipartite
multigraph; Gabow 1976). Each cluster, of either clustering, and each cell of the two is then halved to within one
sample, and halving a number over and over, rounding either way, ends at its floor or its ceiling: no deal of whole
samples is nearer to the mean in any cluster. Copies of an event are paired first, so that no tar has two of it while
there are as many tars as copies; what is odd in a cluster is paired with its neighbour's, so that the groups above them
are even too (labels are in the order of their tree). Who is paired is free otherwise: the first sample of the first
half of a cell with the first of the second, in the order given, and the earlier goes into the earlier half. So a tar's
samples lie near each other in that order, as far as cells have a sample for each tar, and it reads few episodes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Labels = npt.NDArray[np.int64]
ENOUGH = 20  # samples of a tar, at least, where more tars are made for the sake of readers


def tar_count(samples: int, size: int, target_bytes: int, min_tars: int) -> int:
    """A power of two: the least that keeps tars of `size` bytes in all within `target_bytes`, and at least `min_tars`
    (rounded up), or as many as ENOUGH samples each allow (rounded down)."""
    enough = 1 << max(0, int(samples // ENOUGH).bit_length() - 1)
    return max(_power(-(-size // target_bytes)), min(_power(min_tars), enough))


def deal(vl: Labels, action: Labels, event: Labels, tars: int) -> Labels:
    """int64[N] in [0, tars): a tar for each sample; tars: a power of two.

    vl, action: int64[N] labels; event: int64[N], the same number for copies of an event; all in the order in which what
    is near should lie in one tar. In each tar every label of
    either kind, and every cell of the two, has the floor or the ceiling of its mean number of samples, and all tars
    have as many samples to within one. ValueError for another number of tars.
    """
    if tars < 1 or tars & (tars - 1):
        raise ValueError(f"{tars} tars: only a power of two can be dealt evenly")
    part = np.zeros(len(vl), np.int64)
    for _ in range(tars.bit_length() - 1):
        part = 2 * part + _halves(part, vl, action, event)
    return part


def variation(labels: Labels, tar: Labels, weight: npt.NDArray[np.float64] | None = None) -> npt.NDArray[np.float64]:
    """float64[tars]: total variation between the labels of each tar and those of all samples (0 alike, 1 disjoint).

    weight: float64[C] shares of the labels that tars are held against, instead of those of all samples."""
    clusters, tars = int(labels.max()) + 1, int(tar.max()) + 1
    table = np.bincount(tar * clusters + labels, minlength=tars * clusters).reshape(tars, clusters)
    share = table.sum(axis=0) / len(labels) if weight is None else weight
    return np.asarray(np.abs(table / table.sum(axis=1, keepdims=True) - share).sum(axis=1) / 2)


def least_variation(labels: Labels, tars: int) -> float:
    """The mean total variation below which no deal of whole samples can come where all tars have as many."""
    sizes = np.bincount(labels).astype(np.float64)
    mean = sizes / tars
    part = mean - np.floor(mean)
    return float((part * (1 - part)).sum() / (len(labels) / tars))  # floors and ceilings, as often as the mean asks


def _power(number: int) -> int:
    return 1 << max(0, number - 1).bit_length()


def _halves(part: Labels, vl: Labels, action: Labels, event: Labels) -> Labels:
    """int64[N], 0 or 1: each part in two."""
    half = np.full(len(part), -1, np.int64)
    for keys in ((part, event), (part, vl, action)):  # the two of such a pair are alike: no other need know
        rest = np.flatnonzero(half < 0)
        first, second = _pairs(rest, *(k[rest] for k in keys))
        half[first], half[second] = 0, 1
    rest = np.flatnonzero(half < 0)
    links = [_linked(rest, part[rest], label[rest], other[rest]) for label, other in ((vl, action), (action, vl))]
    place = np.zeros(len(part), np.int64)
    place[rest] = np.arange(len(rest))
    one, two = (place[np.concatenate([link[i] for link in links])] for i in (0, 1))
    half[rest] = _two_colours(one, two, rest)
    return half


def _pairs(rows: Labels, *keys: Labels) -> tuple[Labels, Labels]:
    """(rows, rows): two by two those of the same keys, one of the first half of them with one of the second, in order
    of rows, which ascend; the last of an odd number stays alone."""
    order = np.lexsort((rows, *reversed(keys)))
    changed = np.zeros(len(rows), bool)
    for key in keys:
        changed[1:] |= np.diff(key[order]) != 0
    starts = np.flatnonzero(np.concatenate([[True], changed[1:]])) if len(rows) else np.zeros(0, np.int64)
    size = np.diff(np.append(starts, len(rows)))
    rank = np.arange(len(rows)) - np.repeat(starts, size)
    firsts = np.flatnonzero(rank < np.repeat(size // 2, size))
    return rows[order[firsts]], rows[order[firsts + np.repeat(size // 2, size)[firsts]]]


def _linked(rows: Labels, part: Labels, label: Labels, other: Labels) -> tuple[Labels, Labels]:
    """Pairs within each label of a part, then of what is left among neighbouring labels of the part."""
    order = np.lexsort((rows, other, label, part))
    first, second = _pairs(np.arange(len(rows)), part[order], label[order])
    alone = np.ones(len(rows), bool)
    alone[first] = alone[second] = False
    left = np.flatnonzero(alone)
    third, fourth = _pairs(left, part[order][left])
    return rows[order[np.concatenate([first, third])]], rows[order[np.concatenate([second, fourth])]]


def _two_colours(one: Labels, two: Labels, rank: Labels) -> Labels:
    """int64[nodes], 0 or 1, different at both ends of each link, 0 on the side of a component whose ranks are lower.

    Every cycle of links is even. Found as components of the double cover: node n as 0 and as 1, links between unlike.
    """
    nodes = len(rank)
    ends = np.concatenate([one, one + nodes]), np.concatenate([two + nodes, two])
    graph = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(2 * nodes, 2 * nodes))
    label = connected_components(graph, directed=False)[1]
    colour = label[:nodes] > label[nodes:]
    component = np.minimum(label[:nodes], label[nodes:])
    later = np.bincount(component, weights=np.where(colour, -rank, rank), minlength=2 * nodes)
    return np.asarray(colour ^ (later[component] > 0), dtype=np.int64)
