"""The gripper of an arm among its values: one that is called so, or the fingers of a hand.

In: named values and a probe of the dataset. Out: a `Hand`: places, and for the fingers of a hand which of them go the
other way, so that their mean is one closure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.ingest.inference.names import Named
from stages.ingest.probe import Probe

Float = npt.NDArray[np.float64]
Ends = tuple[tuple[float, float] | None, ...]
TOGETHER = 0.7  # correlation with what most fingers do, from which a joint takes part in it
OPPOSED = {"thumb"}  # turns where fingers curl


@dataclass(frozen=True, slots=True)
class Hand:
    """against: the value falls where the first one rises."""

    places: tuple[tuple[str, int], ...]
    against: tuple[bool, ...]

    def ranges(self, probe: Probe) -> Ends:
        return tuple(probe.range_of(*place) for place in self.places)

    def share(self, values: Mapping[str, Float], ranges: Ends) -> Float | None:
        """float64[T]: the mean over its values, each 0 to 1 along its range, in the direction of the first; None where
        one of them never changes."""
        columns = []
        for (column, index), ends, turned in zip(self.places, ranges, self.against, strict=True):
            if ends is None:
                return None
            way = (values[column][:, index] - ends[0]) / (ends[1] - ends[0])
            columns.append(1.0 - way if turned else way)
        return np.asarray(np.mean(columns, axis=0)) if columns else None

    def reach(self, probe: Probe) -> float | None:
        """The largest value in the direction in which the first of several joints goes from 0; None for one value."""
        if len(self.places) < 2:
            return None
        ends = [e for e in self.ranges(probe) if e is not None]
        signed = [e[1] if abs(e[1]) >= abs(e[0]) else e[0] for e in ends]
        if not signed or any(np.sign(s) != np.sign(signed[0]) for s in signed if s):
            return None if not signed else float(signed[0])
        return float(np.median(signed))


def hand_of(own: Sequence[Named], probe: Probe) -> Hand | None:
    """A value that is called a gripper, measured where several are; else the fingers, without the thumb."""
    changing = [v for v in own if probe.range_of(*v.place) is not None]
    grippers = [v for v in changing if v.role == "gripper"]
    if grippers:
        first = min(grippers, key=lambda v: "position" not in v.words and "pos" not in v.words)
        return Hand((first.place,), (False,))
    fingers = [v for v in changing if v.role == "finger"]
    fingers = [v for v in fingers if not OPPOSED & set(v.words)] or fingers
    if not fingers:
        return None
    column = fingers[0].column
    fingers = [v for v in fingers if v.column == column]
    rows = probe.values(column)
    if not rows:
        return None
    values = np.concatenate(rows)[:, [v.index for v in fingers]]
    along = _together(values)
    lead = int(np.argmax(np.abs(along)))
    kept = [i for i in range(len(fingers)) if abs(along[i]) >= TOGETHER]
    order = [lead, *(i for i in kept if i != lead)]
    return Hand(tuple(fingers[i].place for i in order), tuple(bool(along[i] * along[lead] < 0) for i in order))


def _together(values: Float) -> Float:
    """float64[D]: how each value correlates with what most of them do, its sign the direction."""
    spread = values.std(axis=0)
    scaled = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    _, _, axes = np.linalg.svd(scaled[:: max(1, len(scaled) // 5000)], full_matrices=False)
    common = scaled @ axes[0]
    return np.asarray((scaled * common[:, None]).mean(axis=0) / max(float(common.std()), 1e-12))


def command_of(
    hand: Hand, own: Sequence[Named], commands: Sequence[Named], probe: Probe
) -> tuple[tuple[str, int], ...]:
    """Where the hand is told its opening: of the action the values of the same names, else its only gripper."""
    if set(hand.places) <= {v.place for v in commands}:  # it is an action itself
        return hand.places
    names = {v.place: v.own for v in own}
    by_name = {v.own: v.place for v in commands if v.own}
    alike = [by_name.get(names[place]) for place in hand.places]
    found = tuple(place for place in alike if place is not None)
    if len(found) < len(hand.places):
        found = tuple(v.place for v in commands if v.role == "gripper")[:1] if len(hand.places) == 1 else ()
    return found if all(probe.range_of(*place) is not None for place in found) else ()
