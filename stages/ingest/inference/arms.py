"""The arms of a robot among the values of its log: by names, else by the width of what has none.

In: named values and a probe of the dataset. Out: {arm: its values}, and findings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from stages.ingest.inference.names import LEFT, NUMBERED, RIGHT, Named
from stages.ingest.probe import Probe
from stages.ingest.streams import Arm

BY_NAME, BY_WIDTH, ONLY_ONE = 0.97, 0.8, 0.9  # how sure the arms are
MOTION = ("joint", "position", "")  # roles of values by which an arm moves
LEAST = 2  # such values of each of two arms
MIRRORED = 0.5  # share of one arm's names that the other must have too
TWO_ARMS = 12  # values of a state without names, from which they may be of two arms


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was told: `what` it is, how sure that is (0 to 1), and `because` of what."""

    what: str
    sure: float
    because: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.what} ({self.sure:.2f})" + (f": {'; '.join(self.because)}" if self.because else "")


def arms_of(values: Sequence[Named], probe: Probe, findings: list[Finding]) -> dict[Arm, list[Named]]:
    """{arm: its values}, by the names of the values, else by the width of what has none."""
    moving = [v for v in values if v.role not in ("rate", "force", "body")]
    said = sorted({v.arm for v in moving if v.arm})
    if {"left", "right"} <= set(said):
        findings.append(Finding("two arms", BY_NAME, ("names say left and right",)))
        return {"left": [v for v in values if v.arm == "left"], "right": [v for v in values if v.arm == "right"]}
    numbered = [s for s in said if s.startswith("#")]
    if len(numbered) == 2:
        findings.append(Finding("two arms", BY_NAME, ("names number them; the first is called left here",)))
        first, second = numbered
        return {"left": [v for v in values if v.arm == first], "right": [v for v in values if v.arm == second]}
    if said in (["left"], ["right"]):
        findings.append(Finding(f"one arm, the {said[0]} one", ONLY_ONE, ("names say so",)))
        return {"left" if said == ["left"] else "right": list(values)}
    halves = _halves(moving, probe)
    if halves is not None:
        findings.append(Finding("two arms, the first half of each column is left", BY_WIDTH, ("by width",)))
        return halves
    findings.append(Finding("one arm", ONLY_ONE, ("no name says otherwise",)))
    return {"single": list(values)}


def _halves(values: Sequence[Named], probe: Probe) -> dict[Arm, list[Named]] | None:
    """Values without an arm, of columns that hold the same twice; None where they do not look like that."""
    columns: dict[str, list[Named]] = {}
    for value in values:
        columns.setdefault(value.column, []).append(value)
    nameless = {
        c: own for c, own in columns.items() if not any(v.role in ("position", "orientation") and v.own for v in own)
    }
    even = {c: own for c, own in nameless.items() if len(own) % 2 == 0}
    jointed = [own for own in even.values() if len(own) >= TWO_ARMS and own[0].role in ("joint", "")]
    if not jointed:
        return None
    (own, *_) = jointed
    half = len(own) // 2
    gripped = [c for c, o in even.items() if o[0].role == "gripper" and len(o) == 2]
    alike = gripped or (len(own) in (12, 14, 16) and all(flips(v, probe) for v in (own[half - 1], own[-1])))
    if not alike and not (len(own) == 14 and _same_ends(own, half, probe)):
        return None
    left = [v for o in even.values() for v in o[: len(o) // 2]]
    right = [v for o in even.values() for v in o[len(o) // 2 :]]
    return {"left": left, "right": right}


def _same_ends(own: Sequence[Named], half: int, probe: Probe) -> bool:
    """Whether the last values of both halves stay within the same share of what the others do: grippers do."""
    ranges = [probe.range_of(*v.place) for v in own]
    ends = [ranges[half - 1], ranges[-1]]
    return all(r is not None and r[0] >= -0.1 and r[1] <= 1.1 for r in ends)


def of_arm(values: Sequence[Named], arm: str, arms: Sequence[str]) -> list[Named]:
    """The values of an action that are of an arm: as named, as numbered, or by halves."""
    if len(arms) == 1:
        return list(values)
    own = [v for v in values if v.arm == arm]
    if own:
        return own
    numbered = sorted({v.arm for v in values if v.arm.startswith("#")})
    if len(numbered) == 2:
        return [v for v in values if v.arm == numbered[arms.index(arm)]]
    columns: dict[str, list[Named]] = {}
    for value in values:
        columns.setdefault(value.column, []).append(value)
    found: list[Named] = []
    for named_values in columns.values():
        half = len(named_values) // 2
        part = slice(0, half) if arms.index(arm) == 0 else slice(half, None)
        found += named_values[part] if len(named_values) % 2 == 0 else []
    return found


def flips(value: Named, probe: Probe) -> bool:
    """At least 80 % of the values lie within 10 % of the smallest or the largest, and both levels are used."""
    ends = probe.range_of(*value.place)
    rows = probe.values(value.column)
    if ends is None or not rows:
        return False
    level = (np.concatenate([r[:, value.index] for r in rows]) - ends[0]) / (ends[1] - ends[0])
    low, high = level < 0.1, level > 0.9
    return bool(np.mean(low | high) > 0.8 and np.mean(low) > 0.02 and np.mean(high) > 0.02)


def told_arms(values: Sequence[Named]) -> list[Named]:
    """The same values, without arms that are none: sides of which one moves nothing (the two fingers of a gripper), or
    that do not mirror each other (the axes s, l, u, r, b, t); numbers of which there are not two (arm_1 to arm_6)."""
    numbers = {v.arm for v in values if v.arm.startswith("#")}
    sides = ("left", "right") if any(v.arm in ("left", "right") for v in values) else tuple(sorted(numbers))
    if len(sides) == 2 and (sides == ("left", "right") or len(numbers) == 2):
        own = [[v for v in values if v.arm == side] for side in sides]
        move = all(sum(v.role in MOTION for v in o) >= LEAST for o in own)
        names = [{_mirrored(v) for v in o if v.role not in ("rate", "force", "body")} for o in own]
        if move and (not all(names) or len(names[0] & names[1]) >= MIRRORED * min(map(len, names))):
            return list(values)
        if not own[0] or not own[1]:  # one side alone: a robot with one arm, where that side is all that moves
            letters = {w for v in values for w in v.own} & {"l", "r"}
            if any(v.role in MOTION for v in own[0] or own[1]) and not letters:
                return list(values)
    return [replace(v, arm="") for v in values]


def _mirrored(value: Named) -> tuple[str, ...]:
    """Its words without the side or the number of its arm."""
    if value.arm.startswith("#"):
        number = value.arm[1:]
        at = next((i for i, (a, b) in enumerate(pairwise(value.words)) if a in NUMBERED and b == number), -1)
        return tuple(w for i, w in enumerate(value.words) if i != at + 1)
    return tuple(w for w in value.words if w not in LEFT | RIGHT and not w.isdigit())
