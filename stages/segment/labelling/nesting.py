"""Levels whose labels agree: a grasp holds a grasp, and what a hand does shows at both levels or at none.

In: labels of L1 and L0 spans and which L1 span each L0 span lies in. Out: the same labels, mended where they contradict
each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stages.segment.labelling.hand import Bool, Float, Hand, Int, Spans
from stages.segment.labelling.primitives import CODE, HANDS, Labels

MOST = 0.5  # share of an L1 span that a hand's act must fill to be what the span is
WORKS = tuple(CODE[name] for name in ("push", "pull", "press"))
MOVES = tuple(CODE[name] for name in ("reach", "move", "lift", "lower", "retract", "align"))


def agree(
    coarse: Labels,
    fine: Labels,
    parent: Int,
    coarse_spans: Spans,
    fine_spans: Spans,
    hands: Sequence[Hand],
    said: tuple[Bool, Bool],
) -> tuple[Labels, Labels]:
    """(labels of L1, labels of L0). parent: int64[N], number of the L1 span of each L0 span, rising; said: spans of
    either whose primitive people have given, which stays.

    An act of a hand that L0 alone shows is the L1 span's where it fills most of it, else the L0 span takes the L1
    span's primitive; one that L1 alone shows goes to the L0 span in which it happens.
    """
    above, below = _copied(coarse), _copied(fine)
    share = fine_spans.seconds / coarse_spans.seconds[parent]
    acts = _acting(above)
    for child in np.flatnonzero(_acting(below) & ~acts[parent]).tolist():
        own = int(parent[child])
        if (share[child] >= MOST or said[1][child]) and not said[0][own]:
            _take(above, own, below, child)
            acts[own] = True
        elif not acts[own] and not said[1][child]:
            _take(below, child, above, own)
    for code in HANDS:
        mine = np.unique(parent[below.primitive == code])
        lacking = np.setdiff1d(np.flatnonzero(above.primitive == code), mine)
        for own in lacking.tolist():
            first, last = (int(f) for f in np.searchsorted(parent, [own, own + 1]))
            child = first + _when(hands, code, coarse_spans, own, fine_spans.start[first:last])
            free = np.flatnonzero(~said[1][first:last]) + first
            if said[1][child] and len(free):
                child = int(free[np.argmin(np.abs(free - child))])
            if not said[1][child]:
                _take(below, child, above, own)
            elif not said[0][own]:
                _take(above, own, below, child)
    works = np.isin(above.primitive, WORKS)[parent] & np.isin(below.primitive, (*MOVES, *WORKS))
    below.primitive[works] = above.primitive[parent][works]
    return above, below


def _when(hands: Sequence[Hand], code: int, spans: Spans, own: int, starts: Float) -> int:
    """Which of the L0 spans that begin at `starts` holds the hand's act of an L1 span."""
    closes = code != CODE["release"]
    for hand in hands:
        middles = (hand.starts + hand.ends) / 2
        inside = (middles >= spans.start[own] - 0.25) & (middles < spans.end[own] + 0.25)
        inside &= (hand.closes == closes) | hand.given
        if inside.any():
            at = middles[np.argmax(inside)]
            return int(np.clip(np.searchsorted(starts, at, side="right") - 1, 0, len(starts) - 1))
    return len(starts) - 1


def _acting(labels: Labels) -> Bool:
    return np.asarray(np.isin(labels.primitive, HANDS))


def _take(labels: Labels, at: int, source: Labels, index: int) -> None:
    for name in ("primitive", "recovery", "confidence", "static", "arms"):
        getattr(labels, name)[at] = getattr(source, name)[index]


def _copied(labels: Labels) -> Labels:
    names = ("primitive", "recovery", "confidence", "static", "arms")
    return replace(labels, **{name: getattr(labels, name).copy() for name in names})
