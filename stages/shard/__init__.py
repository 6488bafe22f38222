"""shard: a balanced choice of events, written as WebDataset tars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from schemas.alignments import ALIGNMENTS
from schemas.captions import CAPTIONS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.observations import OBSERVATIONS
from schemas.samples import SAMPLES as TABLE
from schemas.samples import TARS, SampleRow
from schemas.signals import SIGNALS
from stages.shard.config import ShardConfig
from stages.sources.rights import Rights
from stages.stage import Plan, Scope, Stage, inputs_of
from stages.work import Inputs, Outcome, Unit, Workspace

VERSION = 10
INDEX = ".idx"  # after a tar's name: the file with the offsets of its samples

__all__ = ["INDEX", "SAMPLES", "SHARD", "VERSION", "ShardConfig", "ShardWork"]


@dataclass(frozen=True, slots=True)
class ShardWork(Inputs):
    """Input tables and proxies of one tar: where it goes, its `samples` rows in order, with the weights and for the
    inputs (`plan`) that it was first written with, how many threads make them, the quality at which frames are encoded
    again (observe's crf), how many frames of history and future samples have, the coarser cluster of each VL and action
    cluster, whose each source is, and which events people have accepted."""

    path: str = ""
    rows: Sequence[SampleRow] = ()
    plan: str = ""
    threads: int = 1
    crf: int = 0
    context: tuple[int, int] = (0, 0)
    groups: tuple[Sequence[int], Sequence[int]] = ((), ())
    rights: Mapping[str, Rights] = field(default_factory=dict)
    accepted: frozenset[str] = frozenset()


def _by_the_release(plan: Plan, items: Sequence[str], inputs: Inputs) -> ShardWork:
    raise NotImplementedError("units of shard are made by the release, which chooses what goes into which tar")


def _run(unit: Unit[ShardWork], work: Workspace, config: ShardConfig) -> Outcome:
    from stages.shard.stage import shard

    return shard(unit, work)


SHARD: Stage[ShardConfig, ShardWork] = Stage(
    name="shard",
    version=VERSION,
    config=ShardConfig,
    scope=Scope.TAR,
    reads=(EPISODES, SIGNALS, OBSERVATIONS, ALIGNMENTS, EVENTS, CAPTIONS),
    writes=(),
    payload=_by_the_release,
    run=_run,
    pictures=True,
)
SAMPLES: Stage[ShardConfig, Inputs] = Stage(
    name="samples",
    version=VERSION,
    section="shard",
    config=ShardConfig,
    scope=Scope.CORPUS,
    reads=(),
    writes=(TABLE, TARS),
    payload=inputs_of,
    shown=False,
)
