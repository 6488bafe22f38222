"""caption: one plain English sentence an event."""

from __future__ import annotations

from schemas.alignments import ALIGNMENTS
from schemas.captions import CAPTIONS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.signals import SIGNALS
from stages.caption.config import CaptionConfig
from stages.stage import Scope, Stage, inputs_of
from stages.work import Inputs, Outcome, Unit, Workspace

VERSION = 4

__all__ = ["CAPTION", "VERSION", "CaptionConfig"]


def _run(unit: Unit[Inputs], work: Workspace, config: CaptionConfig) -> Outcome:
    from stages.caption.stage import caption

    return caption(unit, work, config)


CAPTION: Stage[CaptionConfig, Inputs] = Stage(
    name="caption",
    version=VERSION,
    config=CaptionConfig,
    scope=Scope.EPISODE,
    reads=(EPISODES, SIGNALS, ALIGNMENTS, EVENTS),
    writes=(CAPTIONS,),
    payload=inputs_of,
    run=_run,
)
