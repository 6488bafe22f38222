"""observe: each source video is decoded once in the life of a corpus; `observations` is all that later stages need of
it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.ids import episode_of, source_of
from schemas.observations import OBSERVATIONS
from stages.fingerprint import each_json_fingerprint, fingerprint
from stages.ingest import INGEST
from stages.observe.config import ObserveConfig
from stages.stage import Plan, Scope, Stage
from stages.work import Inputs, Outcome, Unit, Workspace

if TYPE_CHECKING:
    import polars as pl

    from stages.sources.protocol import Camera, Dataset

VERSION = 2

__all__ = ["OBSERVE", "VERSION", "File", "ObserveConfig", "ObserveWork", "Span"]


@dataclass(frozen=True, slots=True)
class Span:
    """An episode's place in a camera's file: [from_s, to_s), to_s None: to the end; media are written under `stem`."""

    episode_id: str
    camera: str
    from_s: float
    to_s: float | None
    fps: float
    stem: str


@dataclass(frozen=True, slots=True)
class File:
    """A file with pictures: the dataset that knows how to read it, a camera of it, the episodes that lie in it."""

    dataset: Dataset
    camera: Camera
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ObserveWork:
    """Files to decode, by URI."""

    files: Mapping[str, File]


def _items(plan: Plan) -> pl.DataFrame:
    """Cameras with a file; an episode that ingest refused needs no proxy, but its file may hold others' frames. They
    hang on the file alone, so that no other change decodes it again."""
    import polars as pl

    shared = fingerprint("observe", VERSION, plan.config(OBSERVE))
    alive = plan.alive(INGEST).select("episode_id", "source")
    place = ["uri", "size", "mtime_ns", "from_s", "to_s", "fps"]
    cameras = plan.survey.cameras.filter(pl.col("uri").is_not_null()).select("item", "episode_id", *place)
    cameras = cameras.join(alive, on="episode_id", maintain_order="left")
    # a file is written as JSON once, however many episodes lie in it
    files = cameras.select("uri", "size", "mtime_ns").unique(maintain_order=True)
    known = [json.dumps({"mtime_ns": m, "size": s, "uri": u}, separators=(",", ":")) for u, s, m in files.rows()]
    cameras = cameras.join(
        files.with_columns(file=pl.Series(known, dtype=pl.String)), on=files.columns, how="left", maintain_order="left"
    )
    prints = each_json_fingerprint(shared, cameras["file"], *(_numbers(cameras[c]) for c in ("from_s", "to_s", "fps")))
    return cameras.select("item", "episode_id", "source", group="uri", fingerprint=pl.Series(prints, dtype=pl.String))


def _numbers(column: pl.Series) -> pl.Series:
    """As JSON has them."""
    import polars as pl

    values = column.unique()
    texts = pl.DataFrame({column.name: values, "text": [json.dumps(v) for v in values]})
    return column.to_frame().join(texts, on=column.name, how="left", maintain_order="left", nulls_equal=True)["text"]


def _work(plan: Plan, items: Sequence[str], _: Inputs) -> ObserveWork:
    prints = plan.prints(OBSERVE, items)
    files: dict[str, list[str]] = {}
    for item in items:
        file = plan.survey.camera(item).file
        assert file is not None  # _items leaves absent files out
        files.setdefault(file.uri, []).append(item)
    return ObserveWork({uri: _file(plan, members, prints) for uri, members in files.items()})


def _file(plan: Plan, items: Sequence[str], prints: Mapping[str, str]) -> File:
    dataset = plan.survey.datasets[source_of(items[0])]
    spans = []
    for item in items:
        camera, episode = plan.survey.camera(item), episode_of(item)
        stem = f"{episode}/{camera.name}-{prints[item][:8]}"
        spans.append(Span(episode, camera.name, camera.from_s, camera.to_s, camera.fps or dataset.fps, stem))
    return File(dataset, plan.survey.camera(items[0]), tuple(spans))


def _run(unit: Unit[ObserveWork], work: Workspace, config: ObserveConfig) -> Outcome:
    from stages.observe.stage import observe

    return observe(unit, work, config)


OBSERVE: Stage[ObserveConfig, ObserveWork] = Stage(
    name="observe",
    version=VERSION,
    config=ObserveConfig,
    scope=Scope.CAMERA,
    reads=(),
    writes=(OBSERVATIONS,),
    items=_items,
    payload=_work,
    run=_run,
)
