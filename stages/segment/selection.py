"""From candidates to nested boundaries: strongest first, none too near to another, each level a subset of the next
finer.

In: candidates of an episode. Out: for L2, L1 and L0 the chosen candidates by frame. A first form: greedy, O(n log n)
in the number of candidates.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from stages.segment.config import SegmentConfig
from stages.segment.evidence import GRIPPER_KINDS, Candidate, rest_strength

ENDS_OF_SUBTASK = frozenset({"closing_ended", "opening_ended", "closed", "opened"})
MOTION = frozenset({"turn", "motion_stopped", "motion_onset"})
ACTS = 0.9  # strength from which a gripper candidate takes or lets go of something
Chosen = dict[int, list[Candidate]]


def choose(candidates: Iterable[Candidate], frames: int, rate: float, config: SegmentConfig) -> dict[str, Chosen]:
    """{level: {frame: the candidates that agree on it, strongest first}}. rate: frames per second."""
    ranked = sorted(
        candidates,
        key=lambda c: (c.kind not in GRIPPER_KINDS or c.strength < ACTS, -c.strength, c.frame, c.kind, c.arm),
    )
    near = max(1, round(config.min_gripper_s * rate))
    l1: Chosen = {}
    rest = rest_strength(config.min_rest_l1_s)
    coarse = [c for c in ranked if c.kind not in MOTION or c.strength >= (config.turn_l1 if c.kind == "turn" else rest)]
    _add(l1, coarse, frames, near, max(near, round(config.min_l1_s * rate)))
    l0 = {frame: list(found) for frame, found in l1.items()}
    _add(l0, ranked, frames, near, max(1, round(config.min_l0_s * rate)))
    l2 = {f: found for f, found in l1.items() if any(c.kind in ENDS_OF_SUBTASK and c.strength >= ACTS for c in found)}
    return {"L2": l2, "L1": l1, "L0": l0}


def _gap(candidate: Candidate, found: list[Candidate], frame: int, near: int, apart: int) -> int:
    """Frames to keep from a chosen boundary.

    Half as many where the arm sets off after a gripper change: what lies between is the grasp or release itself.
    """
    sets_off = candidate.kind == "motion_onset" and frame < candidate.frame and found[0].kind in GRIPPER_KINDS
    return max(near, apart // 2) if sets_off else apart


def _add(chosen: Chosen, ranked: list[Candidate], frames: int, near: int, apart: int) -> None:
    """Take candidates in rank order; one too near to a chosen boundary lends it its evidence instead."""
    taken = sorted(chosen)
    for candidate in ranked:
        if any(candidate in found for found in chosen.values()):
            continue
        gripper = candidate.kind in GRIPPER_KINDS
        place = bisect_left(taken, candidate.frame)
        neighbours = [
            f
            for f in taken[max(0, place - 1) : place + 1]
            if abs(f - candidate.frame) < (near if gripper else _gap(candidate, chosen[f], f, near, apart))
        ]
        if neighbours:
            nearest = min(neighbours, key=lambda f: abs(f - candidate.frame))
            chosen[nearest].append(candidate)
            continue
        margin = 1 if gripper else near
        if margin <= candidate.frame <= frames - margin and 0 < candidate.frame < frames:
            chosen[candidate.frame] = [candidate]
            insort(taken, candidate.frame)
