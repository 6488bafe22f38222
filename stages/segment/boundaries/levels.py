"""The boundaries of all levels of a timeline, each level's among those of the next finer one.

In: nodes, where subtasks may end, frames. Out: {level: inner boundaries}. Where people's boundaries were learned, that
level is chosen first: coarser levels then keep only boundaries of it, finer ones all.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stages.seconds import at_least
from stages.segment.boundaries.selection import Nodes, choose
from stages.segment.config import SegmentConfig
from stages.segment.evidence.candidates import Float, Int

SLOWEST_S = 2.0  # usual length of an L1 span up to which the pace of an episode counts


def cuts(
    nodes: Nodes, ends: Nodes, starts: Float, end: float, config: SegmentConfig, judged: Nodes | None = None
) -> dict[str, Int]:
    """starts: of each frame, s; end: of the episode; judged: the nodes as a model judges them, at its level alone.

    What is short at L1 hangs on the pace of the episode; L0 adds what is local, boundaries beside a brief span.
    """
    model = config.learned
    if model is None or judged is None:
        l2 = choose(ends, (), starts, end, *config.asks("L2"))
        return _finer({"L2": l2}, nodes, starts, end, config)
    own = choose(judged, (), starts, end, *config.scaled(model.asked, model.least_s, model.usual_s))
    if model.level == "L2":
        return _finer({"L2": own}, nodes, starts, end, config)
    l2 = choose(_among(ends, own), (), starts, end, *config.asks("L2"))
    if model.level == "L1":
        return _finer({"L2": l2, "L1": own}, nodes, starts, end, config)
    l1 = _actions(_among(nodes, own), l2, starts, end, config)
    return {"L2": l2, "L1": l1, "L0": own}


def _finer(found: dict[str, Int], nodes: Nodes, starts: Float, end: float, config: SegmentConfig) -> dict[str, Int]:
    """The levels that are there, and those finer than them."""
    l1 = found.get("L1")
    if l1 is None:
        l1 = _actions(nodes, found["L2"], starts, end, config)
    l0 = choose(nodes, l1, starts, end, *config.asks("L0"))
    return {**found, "L1": l1, "L0": _local(l0, l1, starts, end, config.brief_s * config.granularity)}


def _actions(nodes: Nodes, l2: Int, starts: Float, end: float, config: SegmentConfig) -> Int:
    """What is short hangs on the pace of the episode: how far candidates that are worth a boundary lie apart."""
    asked, least, usual = config.asks("L1")
    pace = (end - float(starts[0])) / (1 + int(np.sum(nodes.strength > asked)))
    usual = max(usual, min(SLOWEST_S * config.granularity, config.pace * pace))
    return choose(nodes, l2, starts, end, asked, least, usual)


def _among(nodes: Nodes, frames: Int) -> Nodes:
    """The nodes that lie on these frames."""
    keep = np.isin(nodes.frame, frames)
    return replace(nodes, frame=nodes.frame[keep], seen=nodes.seen[keep], strength=nodes.strength[keep])


def _local(fine: Int, coarse: Int, starts: Float, end: float, brief_s: float) -> Int:
    """Of fine boundaries the coarse ones (which are among them) and those with a brief span beside them."""
    edges = np.append(starts, end)[np.concatenate([[0], fine, [len(starts)]])]
    brief = ~at_least(np.diff(edges), brief_s)
    return np.asarray(fine[np.isin(fine, coarse) | brief[1:] | brief[:-1]])
