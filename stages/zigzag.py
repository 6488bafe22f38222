"""Turning points of a signal: where it changes direction by more than a given swing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def turning_points(values: npt.NDArray[np.float64], swing: float) -> list[int]:
    """Indices of alternating extremes at least `swing` apart, ends included; linear in the number of points."""
    steps = np.diff(values)
    moving = np.flatnonzero(steps)
    if not len(moving):
        return []
    signs = steps[moving] > 0
    extremes = moving[1:][signs[1:] != signs[:-1]]
    places = [0, *extremes.tolist(), len(values) - 1]
    levels = values[places].tolist()
    points: list[int] = []
    low = high = 0
    direction = 0
    for i in range(1, len(places)):
        value = levels[i]
        if value >= levels[high]:
            high = i
        if value <= levels[low]:
            low = i
        if direction <= 0 and value - levels[low] >= swing:
            points.append(places[low])
            direction, high = 1, i
        elif direction >= 0 and levels[high] - value >= swing:
            points.append(places[high])
            direction, low = -1, i
    if direction:
        points.append(places[high] if direction > 0 else places[low])
    return points
