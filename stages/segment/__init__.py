"""segment: episodes are cut at event boundaries, by gripper and velocity, into nested spans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.alignments import ALIGNMENTS
from schemas.episodes import EPISODES, Label
from schemas.events import EVENTS
from schemas.observations import OBSERVATIONS
from schemas.signals import SIGNALS
from stages.fingerprint import fingerprint
from stages.segment.config import SegmentConfig
from stages.stage import Plan, Scope, Stage
from stages.work import Inputs, Outcome, Unit, Workspace

if TYPE_CHECKING:
    import polars as pl

VERSION = 8

__all__ = ["SEGMENT", "VERSION", "SegmentConfig", "SegmentWork"]


@dataclass(frozen=True, slots=True)
class SegmentWork(Inputs):
    """Input tables, and people's labels by episode."""

    labels: Mapping[str, Sequence[Label]] = field(default_factory=dict)


def _labels(plan: Plan) -> pl.DataFrame:
    """Labels count one by one: marking an episode does that one again, wherever its label file lies."""
    import polars as pl

    prints = {episode: fingerprint(labels) for episode, labels in plan.labels.items()}
    return pl.DataFrame(list(prints.items()), {"episode_id": pl.String, "also": pl.String}, orient="row")


def _work(plan: Plan, items: Sequence[str], inputs: Inputs) -> SegmentWork:
    return SegmentWork(inputs.parts, inputs.media, {i: plan.labels[i] for i in items if i in plan.labels})


def _run(unit: Unit[SegmentWork], work: Workspace, config: SegmentConfig) -> Outcome:
    from stages.segment.stage import segment

    return segment(unit, work, config)


SEGMENT: Stage[SegmentConfig, SegmentWork] = Stage(
    name="segment",
    version=VERSION,
    config=SegmentConfig,
    scope=Scope.EPISODE,
    reads=(EPISODES, SIGNALS, ALIGNMENTS, OBSERVATIONS),
    writes=(EVENTS,),
    unhashed=frozenset({"labels"}),
    also=_labels,
    payload=_work,
    run=_run,
)
