"""align: video and log on one clock. The lag between them is estimated per episode, voted per source, then applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.alignments import ALIGNMENTS, LAG_VOTES, LAGS
from schemas.episodes import EPISODES
from schemas.ids import source_of
from schemas.observations import OBSERVATIONS
from schemas.signals import SIGNALS
from stages.align.config import AlignConfig
from stages.fingerprint import each_fingerprint
from stages.stage import Plan, Scope, Stage, inputs_of
from stages.work import Inputs, Outcome, Unit, Workspace

if TYPE_CHECKING:
    import polars as pl

VERSION = 3

__all__ = ["ALIGN", "LAG", "VERSION", "VOTE", "AlignConfig", "AlignWork", "Decision"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a source decided: the lag applied to its log, and whether too few votes (weak), or too few that agree,
    speak for any."""

    lag_frames: int
    weak: bool
    disagrees: bool


@dataclass(frozen=True, slots=True)
class AlignWork(Inputs):
    """Input tables, and what each source decided."""

    decisions: Mapping[str, Decision] | None = None


def _decisions(plan: Plan) -> pl.DataFrame:
    """A source's decision counts, not the votes for it: one more episode must not redo all others."""
    votes = plan.rows(LAG_VOTES, ["source", "lag_frames", "weak", "disagrees"])
    also = each_fingerprint("", votes["lag_frames"], votes["weak"], votes["disagrees"])
    return votes.select("source", also=also)


def _work(plan: Plan, items: Sequence[str], inputs: Inputs) -> AlignWork:
    votes = plan.rows(LAG_VOTES, ["source", "lag_frames", "weak", "disagrees"]).rows()
    wanted = {source_of(item) for item in items}
    return AlignWork(inputs.parts, inputs.media, {name: Decision(*of) for name, *of in votes if name in wanted})


def _lag(unit: Unit[Inputs], work: Workspace, config: AlignConfig) -> Outcome:
    from stages.align.stage import lags

    return lags(unit, work, config)


def _vote(unit: Unit[Inputs], work: Workspace, config: AlignConfig) -> Outcome:
    from stages.align.stage import votes

    return votes(unit, work, config)


def _align(unit: Unit[AlignWork], work: Workspace, config: AlignConfig) -> Outcome:
    from stages.align.stage import alignments

    return alignments(unit, work, config)


LAG: Stage[AlignConfig, Inputs] = Stage(
    name="lag",
    version=VERSION,
    section="align",
    config=AlignConfig,
    scope=Scope.EPISODE,
    reads=(EPISODES, SIGNALS, OBSERVATIONS),
    writes=(LAGS,),
    payload=inputs_of,
    run=_lag,
)
VOTE: Stage[AlignConfig, Inputs] = Stage(
    name="vote",
    version=VERSION,
    section="align",
    config=AlignConfig,
    scope=Scope.SOURCE,
    reads=(LAGS,),
    writes=(LAG_VOTES,),
    payload=inputs_of,
    run=_vote,
    shown=False,
)
ALIGN: Stage[AlignConfig, AlignWork] = Stage(
    name="align",
    version=VERSION,
    config=AlignConfig,
    scope=Scope.EPISODE,
    reads=(EPISODES, SIGNALS, OBSERVATIONS, LAGS),
    writes=(ALIGNMENTS,),
    also=_decisions,
    payload=_work,
    run=_align,
)
