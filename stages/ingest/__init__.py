"""ingest: logs become `episodes` (what there is) and `signals` (every stream at its own rate)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.episodes import EPISODES
from schemas.ids import source_of
from schemas.signals import SIGNALS
from stages.fingerprint import each_fingerprint, fingerprint
from stages.forgotten import Tombstone
from stages.ingest.config import IngestConfig
from stages.stage import Plan, Scope, Stage
from stages.work import Inputs, Outcome, Unit, Workspace

if TYPE_CHECKING:
    import polars as pl

    from stages.ingest.streams import Layout
    from stages.sources.protocol import Dataset, Episode

VERSION = 7

__all__ = ["INGEST", "VERSION", "IngestConfig", "IngestWork"]


@dataclass(frozen=True, slots=True)
class IngestWork:
    """Episodes to read, with the datasets they are of and how those are laid out; what must not be read again."""

    datasets: Mapping[str, Dataset]
    layouts: Mapping[str, Layout]
    episodes: tuple[Episode, ...]
    forgotten: tuple[Tombstone, ...] = ()


def _items(plan: Plan) -> pl.DataFrame:
    import polars as pl

    config, found = plan.config(INGEST), plan.survey
    shared = {
        name: fingerprint(config, found.layouts[name], dataset.identity(config.labels is not None))
        for name, dataset in found.datasets.items()
    }
    frame = found.episodes.select("episode_id", "source", "identity")
    also = each_fingerprint("", frame["source"].replace_strict(shared, return_dtype=pl.String), frame["identity"])
    return frame.select(pl.col("episode_id").alias("item"), "episode_id", "source", also=also)


def _work(plan: Plan, items: Sequence[str], _: Inputs) -> IngestWork:
    found, sources = plan.survey, {source_of(item) for item in items}
    return IngestWork(
        {name: found.datasets[name] for name in sources},
        {name: found.layouts[name] for name in sources},
        tuple(found.episode(item) for item in items),
        found.forgotten,
    )


def _run(unit: Unit[IngestWork], work: Workspace, config: IngestConfig) -> Outcome:
    from stages.ingest.stage import ingest

    return ingest(unit, config)


INGEST: Stage[IngestConfig, IngestWork] = Stage(
    name="ingest",
    version=VERSION,
    config=IngestConfig,
    scope=Scope.EPISODE,
    reads=(),
    writes=(EPISODES, SIGNALS),
    items=_items,
    payload=_work,
    run=_run,
)
