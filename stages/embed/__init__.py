"""embed: two vectors an event: what is seen and said (VL), and how the arms move (action)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.alignments import ALIGNMENTS
from schemas.captions import CAPTIONS
from schemas.clusters import EMBEDDINGS
from schemas.events import EVENTS
from schemas.observations import OBSERVATIONS
from schemas.signals import SIGNALS
from stages.embed.config import EmbedConfig
from stages.stage import Plan, Scope, Stage, inputs_of
from stages.work import Inputs, Outcome, Unit, Workspace

if TYPE_CHECKING:
    import polars as pl

VERSION = 4

__all__ = ["EMBED", "VERSION", "EmbedConfig"]


def _also(plan: Plan) -> pl.DataFrame:
    """What vectors depend on besides the inputs: the content of a model's directory, wherever it lies."""
    import polars as pl

    from stages.models.weights import model_hash

    encoder = plan.config(EMBED).encoder
    return pl.DataFrame({"also": [model_hash(encoder) if encoder else ""]})


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
    also=_also,
    unhashed=frozenset({"encoder"}),
    pictures=True,
    gpu=True,
)
