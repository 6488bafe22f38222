"""Whether both margins can be met at once, and what stands in the way where they cannot.

In: targets of both sides, and how many samples each pair can give (repeat bound times its events). Out: minimal cuts,
in words that name clusters. VL clusters are sources, action clusters sinks, pairs the pipes between them: the margins
can be met exactly where the largest flow is the budget (Ford and Fulkerson 1956), and where it is less, what is left
over and what it can still reach are the clusters that are wanted more than their events allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # its parts come when they are asked for: most builds ask for none

from stages.balance.cells import Clustering, Flags, Float, Labels, Pairs, Side

UNITS = 1024  # at most so many units of flow a sample, since the flow is of whole units
LARGEST = 2**30  # of the flow in all: it is counted in int32
LEAST = 0.5  # samples: a smaller gap in all goes down in rounding to whole samples,
LEAST_PART = 0.01  # and one of a set of clusters in what units are off
NAMED = 8  # clusters that a message names, at most


@dataclass(frozen=True, slots=True)
class Group:
    """Clusters of one side, and the others of that side that have events."""

    side: Side
    clusters: tuple[int, ...]
    others: tuple[int, ...]

    def words(self, names: Sequence[str]) -> str:
        """ "VL clusters 3, 7", or what they are not where that is shorter."""
        kind = "VL cluster" if self.side == "vl" else "action cluster"
        if len(self.clusters) > max(NAMED, len(self.others)):
            rest = f" but {_list(self.others, names)}" if self.others else ""
            return f"all {len(self.clusters)} {kind}s{rest}"
        return f"{kind}{'s' if len(self.clusters) > 1 else ''} {_list(self.clusters, names)}"


@dataclass(frozen=True, slots=True)
class Cut:
    """`clusters` are wanted `wanted` times in all and can be had `attainable` times: as often as those of the other
    side that they share events with (`partners`) are wanted in all, and `elsewhere` times in pairs with the rest of the
    other side, every event of which is then repeated as often as may be."""

    clusters: Group
    partners: Group
    wanted: float
    attainable: float
    elsewhere: int

    def words(self, max_repeats: int, vl: Clustering, action: Clustering) -> str:
        """The cut as a sentence for a user."""
        own, other = (vl, action) if self.clusters.side == "vl" else (action, vl)
        these, those = self.clusters.words(own.names), self.partners.words(other.names)
        hold, are = ("holds", "is") if len(self.clusters.clusters) == 1 else ("hold", "are")
        many = len(self.partners.clusters) > 1
        short = f"{_count(self.attainable)} samples where {_count(self.wanted)} are wanted"
        bound = f"with shard.max_repeats={max_repeats}"
        if not self.partners.clusters:
            return f"{these} {hold} too few events: {bound} they give {short}"
        wanted = f"{'are' if many else 'is'} wanted {_count(self.attainable - self.elsewhere)} times{' in all' * many}"
        if not self.elsewhere:
            return f"{these} {hold} events of {those} alone, which {wanted}: that gives {short}"
        return (
            f"{these} {are} wanted {_count(self.wanted)} times and can be had {_count(self.attainable)} times: "
            f"{those}, which events are shared with, {wanted}, and {bound} the other events give {self.elsewhere}"
        )


def cuts(pairs: Pairs, vl: Float, action: Float, max_repeats: int) -> tuple[Cut, ...]:
    """Why targets vl float64[I] and action float64[J], of the same sum, cannot both be met; empty where they can.

    One cut for each set of clusters that hang together; those of the side that takes fewer names. Gaps of less than
    LEAST samples in all are passed over.
    """
    samples = round(float(vl.sum()))
    if samples == 0:
        return ()
    if samples > LARGEST:
        raise ValueError(f"shard.samples={samples}: at most {LARGEST} can be balanced")
    scale = min(UNITS, 2 ** int(np.log2(LARGEST / samples)))
    rows, columns = in_units(vl, samples, scale), in_units(action, samples, scale)
    room = max_repeats * pairs.n * scale
    value, flow = _flow(pairs, rows, columns, np.minimum(room, np.minimum(rows[pairs.vl], columns[pairs.action])))
    if samples - value / scale < LEAST:
        return ()
    reached = _reached(pairs, flow, room, rows)
    starved, served = reached[: len(rows)], reached[len(rows) :]
    found = [
        _named_cuts("vl", pairs.vl, pairs.action, starved, served, vl, action, max_repeats * pairs.n),
        _named_cuts("action", pairs.action, pairs.vl, ~served, ~starved, action, vl, max_repeats * pairs.n),
    ]
    return min(found, key=lambda several: sum(_length(cut) for cut in several) if several else np.inf)


def in_units(target: Float, samples: int, scale: int) -> Labels:
    """int64: target * scale in whole units that sum to samples * scale, by largest remainder; never beyond the whole
    numbers of samples around a target."""
    units = np.floor(target * scale).astype(np.int64)
    short = samples * scale - int(units.sum())
    units[np.argsort(-(target * scale - units), kind="stable")[:short]] += 1
    return units


def _flow(pairs: Pairs, rows: Labels, columns: Labels, room: Labels) -> tuple[int, Labels]:
    """(largest flow, int64[P]: flow of each pair)."""
    left, right = len(rows), len(columns)
    source, sink = left + right, left + right + 1
    tail = np.concatenate([np.full(left, source), pairs.vl, left + np.arange(right)])
    head = np.concatenate([np.arange(left), left + pairs.action, np.full(right, sink)])
    capacity = np.concatenate([rows, room, columns]).astype(np.int32)
    graph = scipy.sparse.csr_array((capacity, (tail, head)), shape=(sink + 1, sink + 1))
    result = scipy.sparse.csgraph.maximum_flow(graph, source, sink)
    flow = scipy.sparse.csr_array(result.flow)[pairs.vl, left + pairs.action]
    return int(result.flow_value), np.asarray(
        flow.todense() if scipy.sparse.issparse(flow) else flow, dtype=np.int64
    ).ravel()


def _reached(pairs: Pairs, flow: Labels, room: Labels, rows: Labels) -> Flags:
    """bool[I + J]: clusters that what is left over of the rows could still get to: the source's side of a cut."""
    left, right = len(rows), int(pairs.action.max()) + 1
    nodes = left + max(right, 0)
    spare = np.flatnonzero(rows > np.bincount(pairs.vl, weights=flow, minlength=left) + 0.5)
    onward, back = flow < room, flow > 0
    tail = np.concatenate([np.full(len(spare), nodes), pairs.vl[onward], left + pairs.action[back]])
    head = np.concatenate([spare, left + pairs.action[onward], pairs.vl[back]])
    graph = scipy.sparse.csr_array((np.ones(len(tail), dtype=np.int32), (tail, head)), shape=(nodes + 1, nodes + 1))
    reached = np.zeros(nodes + 1, dtype=bool)
    reached[scipy.sparse.csgraph.breadth_first_order(graph, nodes, return_predecessors=False)] = True
    return reached[:nodes]


def _named_cuts(
    side: Side,
    own: Labels,
    other: Labels,
    starved: Flags,
    served: Flags,
    wanted: Float,
    of_others: Float,
    room: Labels,
) -> tuple[Cut, ...]:
    """Cuts of one side, by the connected parts of starved x served clusters, the worst first."""
    inside, out = starved[own] & served[other], starved[own] & ~served[other]
    shape = (len(starved) + len(served),) * 2
    ends = (own[inside], len(starved) + other[inside])
    graph = scipy.sparse.csr_array((np.ones(int(inside.sum()), dtype=np.int32), ends), shape=shape)
    part = scipy.sparse.csgraph.connected_components(graph, directed=False)[1]
    elsewhere = np.bincount(own[out], weights=room[out], minlength=len(starved))
    result = []
    for label in np.unique(part[: len(starved)][starved]):
        these = np.flatnonzero(starved & (part[: len(starved)] == label))
        those = np.flatnonzero(served & (part[len(starved) :] == label))
        most = float(of_others[those].sum() + elsewhere[these].sum())
        if wanted[these].sum() - most > LEAST_PART:
            groups = _group(side, these, wanted), _group("action" if side == "vl" else "vl", those, of_others)
            result.append(Cut(*groups, float(wanted[these].sum()), most, int(elsewhere[these].sum())))
    return tuple(sorted(result, key=lambda cut: cut.attainable - cut.wanted))


def _group(side: Side, clusters: Labels, wanted: Float) -> Group:
    others = np.setdiff1d(np.flatnonzero(wanted > 0), clusters)
    return Group(side, tuple(clusters.tolist()), tuple(others.tolist()))


def _length(cut: Cut) -> int:
    """Clusters that its sentence names."""
    return sum(min(len(group.clusters), len(group.others)) for group in (cut.clusters, cut.partners))


def _list(clusters: Sequence[int], names: Sequence[str]) -> str:
    shown = ", ".join(names[c] if len(names) else str(c) for c in clusters[:NAMED])
    return shown + (f" and {len(clusters) - NAMED} more" if len(clusters) > NAMED else "")


def _count(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
