"""Rest that is none: the signals rest while something moves in the picture.

In: labels of spans, and how much each camera's picture changes. Out: the same labels, such a span `unknown` rather than
static: what is done there, the signals do not show (a hand without sensors, a base that drives, another arm).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.ndimage import uniform_filter1d

from stages.segment.kinematics.motion import ArmMotion
from stages.segment.labelling.hand import Bool, Float, Int
from stages.segment.labelling.primitives import CODE, Labels

EDGE_S, LEAST_S = 0.2, 0.4  # what lies so near to an edge may be the motion beside it; so much must be left
MOST = 0.5  # of a rest: so much of it must be busy
BUSY = 0.4  # of how much the picture usually changes while an arm moves
CHANGES = 0.002  # of full scale: no change below this counts, whatever is usual
MOVES = 0.3  # scaled speed of an arm that moves


def fastest_arm(motions: Sequence[ArmMotion], points: Float, times: Float) -> Float:
    """float64[T]: scaled speed of the fastest arm at `times`."""
    if not motions:
        return np.zeros(len(times))
    return np.asarray(np.interp(times, points, np.max([m.speed for m in motions], axis=0)))


def seen_to_move(labels: Labels, frames: Int, pictures: Sequence[Float], speed: Float, times: Float) -> Labels:
    """Labels of spans frames[i] to frames[i + 1]; pictures float64[T] each; speed float64[T] of the arms."""
    if not pictures or not labels.static.any():
        return labels
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    edge = max(1, round(EDGE_S / step))
    first, last = frames[:-1] + edge, frames[1:] - edge
    long = (last - first) * step >= LEAST_S
    busy = np.zeros(len(first), dtype=bool)
    for picture in pictures:
        moving = picture[speed > MOVES]
        least = max(CHANGES, BUSY * float(np.median(moving)) if len(moving) else 0.0)
        # a video of repeated frames stands still every other time: the mean over a few frames is looked at
        total = np.append(0, np.cumsum(uniform_filter1d(picture, 2 * edge + 1) > least))
        seen = total[np.maximum(last, 0)] - total[np.minimum(first, len(picture))]
        busy |= long & (seen > MOST * (last - first))
    where: Bool = labels.static & busy
    return replace(
        labels,
        primitive=np.where(where, CODE["unknown"], labels.primitive),
        confidence=np.where(where, 0.3, labels.confidence),
        static=labels.static & ~where,
    )
