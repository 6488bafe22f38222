"""In which unit values are: from what the source says, from names, from their range.

In: a stream's places and a probe of the dataset. Out: (unit, why). A range can rule a unit out, and seldom prove one:
an arm that stays within one radian may as well be logged in shares of its range. What is not told is `raw`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stages.ingest.probe import Probe
from stages.sources.protocol import Dataset

SAID = {
    "rad": "rad", "radian": "rad", "radians": "rad", "deg": "deg", "degree": "deg", "degrees": "deg", "m": "m",
    "meter": "m", "meters": "m", "metre": "m", "metres": "m", "mm": "mm", "millimeter": "mm", "millimeters": "mm",
    "percent": "percent", "%": "percent",
}  # fmt: skip
FITS = {"joints": ("rad", "deg", "percent"), "position": ("m", "mm")}  # units that a kind can be in
TURN = math.tau
RAD = 1.2  # an arm that leaves shares of its range (-1 to 1) by so much, and stays within a turn, is in radians
DEGREES = 105.0  # and one that leaves percent (-100 to 100), and stays within a turn, in degrees
NEAR_ZERO = 30.0  # an arm whose joints all stay above counts from elsewhere: ticks
REACH_M = (0.03, 4.0)  # between which the position of an arm's tip spans, m


def unit_of(kind: str, places: Sequence[tuple[str, int]], dataset: Dataset, probe: Probe) -> tuple[str, str]:
    """(rad, deg, percent, m, mm or raw; what says so)."""
    said = _said(kind, places, dataset)
    if said:
        return said
    ranges = [r for r in (probe.range_of(*place) for place in places) if r is not None]
    if not ranges:
        return "raw", "none of its values changes"
    most = max(max(abs(low), abs(high)) for low, high in ranges)
    widest = max(high - low for low, high in ranges)
    if kind == "joints":
        if _standardised(places, probe):
            return "raw", "each value has mean 0 and deviation 1: it was standardised"
        if RAD < most <= 1.05 * TURN:
            return "rad", f"values reach {most:.3g}: more than a share of a range, less than a turn"
        if DEGREES < most <= 1.05 * 360 and min(low for low, _ in ranges) < NEAR_ZERO:
            return "deg", f"values reach {most:.4g}: more than percent, less than a turn"
        return "raw", f"values reach {most:.4g}, which fits several units"
    if kind == "position":
        if REACH_M[0] <= widest and most <= REACH_M[1]:
            return "m", f"it spans {widest:.3g} and reaches {most:.3g}, as a tip in metres does"
        if 1000 * REACH_M[0] <= widest and REACH_M[1] * 10 < most <= 1000 * REACH_M[1]:
            return "mm", f"it spans {widest:.4g} and reaches {most:.4g}, as a tip in millimetres does"
    return "raw", f"values reach {most:.4g}, which fits several units"


def _standardised(places: Sequence[tuple[str, int]], probe: Probe) -> bool:
    found = []
    for column, index in places:
        rows = [v[:, index] for v in probe.values(column) if len(v)]
        values = np.concatenate(rows) if rows else np.zeros(0)
        if len(values) and np.ptp(values) > 0:
            found.append(abs(float(values.mean())) < 0.05 and abs(float(values.std()) - 1.0) < 0.05)
    return len(found) > 1 and all(found)


def _said(kind: str, places: Sequence[tuple[str, int]], dataset: Dataset) -> tuple[str, str] | None:
    """What all values are said to be in: by the feature, or by the last word of their names."""
    features = {f.column: f for f in dataset.features}
    found = set()
    for column, index in places:
        feature = features[column]
        name = feature.names[index].casefold() if feature.names else column.casefold()
        last = name.replace(".", "_").replace("/", "_").rsplit("_", 1)[-1].strip("[]()")
        found.add(SAID.get(feature.unit.casefold()) or SAID.get(last))
    unit = found.pop() if len(found) == 1 else None
    return (unit, "the source says so") if unit is not None and unit in FITS.get(kind, ()) else None
