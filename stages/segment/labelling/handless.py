"""What an arm does without taking anything: it presses, pushes and pulls with a fist or with open fingers.

In: an arm whose hand takes nothing in the whole episode, its spans. Out: primitives of its strokes. Told from the shape
of the path alone, so never sure: down and up again is a press; a level stroke between coming down and going up is a
push, or a pull where it leads back to the base.
"""

from __future__ import annotations

import numpy as np

from stages.segment.labelling.hand import Bool, Float, Hand, Spans

STEEP, LEVEL = 0.7, 0.4  # share of a stroke's way that it rises or falls
LEAST_M, SLIDES_M = 0.03, 0.05  # shortest stroke that says something; shortest one that moves a thing along
NEARER = 0.5  # share of a level stroke that leads to the base: it pulls
PAUSE_S = 1.5  # strokes with a rest no longer than this between them follow each other
SURE = 0.5


def strokes(hand: Hand, spans: Spans, moves: Bool) -> list[tuple[Bool, str, float]]:
    """(where, primitive, confidence) of spans in which the arm works, and of its ways there and back; later ones
    win."""
    position, count = hand.motion.position, len(spans.start)
    which = np.flatnonzero(moves)
    if position is None or not hand.motion.metric or not len(which):
        return []
    shift = hand.shift(spans, position)[which]
    way = np.linalg.norm(shift, axis=1)
    share = shift[:, 2] / np.maximum(way, 1e-9)
    near = spans.start[which[1:]] - spans.end[which[:-1]] <= PAUSE_S
    falls, rises = ((way > LEAST_M) & (sign * share > STEEP) for sign in (-1, 1))
    down, up = ((way > LEAST_M) & (sign * share > STEEP / 1.4) for sign in (-1, 1))
    presses = falls & np.append(rises[1:] & near, False)
    slides = (way > SLIDES_M) & (np.abs(share) < LEVEL) & np.append(False, down[:-1] & near)
    slides &= np.append(up[1:] & near, True)
    radius = np.linalg.norm(position[:, :2], axis=1)
    pulls = slides & (-hand.shift(spans, radius[:, None])[which, 0] > NEARER * way)
    work = np.flatnonzero(presses | slides)
    if not len(work):
        return []
    before, after = np.arange(len(which)) < work[0], np.arange(len(which)) > work[-1]
    told = ((before, "reach"), (after, "retract"), (presses, "press"), (slides, "push"), (pulls, "pull"))
    return [(_among(which[where], count), name, SURE) for where, name in told]


def _among(which: Float, count: int) -> Bool:
    where = np.zeros(count, dtype=bool)
    where[which] = True
    return where
