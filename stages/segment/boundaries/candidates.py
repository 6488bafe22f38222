"""The candidates of a timeline on its frames: what the choice of boundaries starts from.

In: evidence, arms, hand changes, frames. Out: `Candidates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stages.segment.boundaries.grammar import subtask_ends
from stages.segment.boundaries.selection import Nodes, fingers, nodes_of, put_on
from stages.segment.evidence.candidates import Evidence, Float
from stages.segment.evidence.collect import ArmEvidence
from stages.segment.kinematics.gripper import Change


@dataclass(frozen=True, slots=True)
class Candidates:
    """Nodes of a timeline with what they are judged by: their evidence, where subtasks may end, arms and hands on the
    grid `points`; starts: of each frame, s; end: of the episode."""

    evidence: Evidence
    nodes: Nodes
    ends: Nodes
    arms: Sequence[ArmEvidence]
    changes: Sequence[Change]
    points: Float
    starts: Float
    end: float


def candidates(
    evidence: Evidence,
    arms: Sequence[ArmEvidence],
    changes: Sequence[Change],
    points: Float,
    log: Float,
    starts: Float,
    end: float,
) -> Candidates:
    """Evidence put on frames (log: their times on the log's clock), with the spans that fingers take and the places
    where subtasks may end."""
    lasting = [c for c in changes if c.acts and not c.given and not c.flips]
    took = (np.array([getattr(c, n) for c in lasting], dtype=np.float64) for n in ("start", "end"))
    nodes = fingers(nodes_of(evidence, log), *took)
    time, strength = subtask_ends(changes, evidence, {a.motion.arm: a.onsets for a in arms})
    return Candidates(evidence, nodes, put_on(nodes, time, strength), arms, changes, points, starts, end)
