"""embed: two vectors an event: what is seen and said (VL), and how the arms move (action)."""

from __future__ import annotations

from schemas.alignments import ALIGNMENTS
from schemas.captions import CAPTIONS
from schemas.clusters import EMBEDDINGS
from schemas.events import EVENTS
from schemas.observations import OBSERVATIONS
from schemas.signals import SIGNALS
from stages.embed.config import EmbedConfig
from stages.stage import Scope, Stage, inputs_of
from stages.work import Inputs, Outcome, Unit, Workspace

VERSION = 4

__all__ = ["EMBED", "VERSION", "EmbedConfig"]


def _run(unit: Unit[Inputs], work: Workspace, config: EmbedConfig) -> Outcome:
    from stages.embed.stage import embed

    return embed(unit, work, config)


EMBED: Stage[EmbedConfig, Inputs] = Stage(
    name="embed",
    version=VERSION,
    config=EmbedConfig,
    scope=Scope.EPISODE,
    reads=(SIGNALS, OBSERVATIONS, ALIGNMENTS, EVENTS, CAPTIONS),
    writes=(EMBEDDINGS,),
    payload=inputs_of,
    run=_run,
    pictures=True,
    gpu=True,
)
