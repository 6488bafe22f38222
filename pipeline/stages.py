"""The stages, in the order in which data walks through them. This list is all that the rest of the house knows of
them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.quarantine import QUARANTINE
from schemas.table import Table
from stages.align import ALIGN, LAG, VOTE
from stages.caption import CAPTION
from stages.cluster import CLUSTER, FIT
from stages.embed import EMBED
from stages.ingest import INGEST
from stages.observe import OBSERVE
from stages.segment import SEGMENT
from stages.shard import SAMPLES, SHARD
from stages.stage import Scope, Stage

Stages = tuple[Stage[Any, Any], ...]

STAGES: Stages = (INGEST, OBSERVE, LAG, VOTE, ALIGN, SEGMENT, CAPTION, EMBED, FIT, CLUSTER, SHARD, SAMPLES)
SURVEY = "survey"  # what the survey refused has quarantine rows in the ledger under this name


def named(stages: Stages, name: str) -> Stage[Any, Any]:
    """The stage of a name. Raises KeyError."""
    return {s.name: s for s in stages}[name]


def shown(stages: Stages) -> list[str]:
    """Names of those that a person sees."""
    return [s.name for s in stages if s.shown]


def tables(stages: Stages) -> dict[str, Table[Any]]:
    """All tables by name, quarantine last."""
    return {t.name: t for s in stages for t in s.writes} | {QUARANTINE.name: QUARANTINE}


def writer_of(stages: Stages, table: Table[Any] | str) -> Stage[Any, Any]:
    """The stage that writes a table. Raises KeyError."""
    name = table if isinstance(table, str) else table.name
    return {t.name: s for s in stages for t in s.writes}[name]


def before(stages: Stages, stage: Stage[Any, Any]) -> list[Stage[Any, Any]]:
    """Stages whose tables a stage reads, in order, without those that another of them rests on: their fingerprints hold
    the others'."""
    direct = _writers(stages, stage.reads)
    resting: set[str] = set()
    for one in direct:
        resting |= _all_before(stages, one)
    return [s for s in direct if s.name not in resting]


def _all_before(stages: Stages, stage: Stage[Any, Any]) -> set[str]:
    found = {s.name for s in _writers(stages, stage.reads)}
    for name in list(found):
        found |= _all_before(stages, named(stages, name))
    return found


def _writers(stages: Stages, read: Iterable[Table[Any]]) -> list[Stage[Any, Any]]:
    names = {writer_of(stages, table).name for table in read}
    return [s for s in stages if s.name in names]


def by_parts(stages: Stages) -> list[Stage[Any, Any]]:
    """Stages whose parts hold episodes, so that small ones can be merged."""
    return [s for s in stages if s.scope in (Scope.EPISODE, Scope.CAMERA)]
