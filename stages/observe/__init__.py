"""observe: each source video is decoded once in the life of a corpus; `observations` is all that later stages need of
it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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

VERSION = 3
AT_ONCE = 50_000  # cameras of episodes whose texts are held together

__all__ = ["OBSERVE", "VERSION", "File", "ObserveConfig", "ObserveWork", "Span", "span_of"]


@dataclass(frozen=True, slots=True)
class Span:
    """An episode's place in a camera's file: [from_s, to_s), to_s None: to the end; media are written under `stem`.

    `frames` from `first` on, by the lengths of the episodes in the file, if it holds `whole` frames in all; None: not
    known. `claimed`: another episode's camera that claims the same pictures; empty: none.
    """

    episode_id: str
    camera: str
    from_s: float
    to_s: float | None
    fps: float
    stem: str
    first: int | None = None
    frames: int | None = None
    whole: int | None = None
    claimed: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """A file with pictures: the dataset that knows how to read it, a camera of it, the episodes that lie in it."""

    dataset: Dataset
    camera: Camera
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class ObserveWork:
    """Files to decode."""

    files: tuple[File, ...]


def _items(plan: Plan) -> pl.DataFrame:
    """Cameras with a file; an episode that ingest refused needs no proxy, but its file may hold others' frames. They
    hang on the file alone, so that no other change decodes it again."""
    import polars as pl

    from stages.sources.places import same_file

    shared = fingerprint("observe", VERSION, plan.config(OBSERVE))
    alive = plan.alive(INGEST).select("episode_id", "source")
    cameras = plan.survey.cameras.filter(pl.col("uri").is_not_null())
    cameras = cameras.join(alive, on="episode_id", maintain_order="left").with_columns(group=same_file())
    return pl.concat([_printed(shared, some) for some in cameras.iter_slices(AT_ONCE)] or [_printed(shared, cameras)])


def _printed(shared: str, cameras: pl.DataFrame) -> pl.DataFrame:
    """Some items, with what each hangs on."""
    import polars as pl

    # a file is written as JSON once, however many episodes lie in it
    files = cameras.select("uri", "size", "mtime_ns").unique(maintain_order=True)
    known = [json.dumps({"mtime_ns": m, "size": s, "uri": u}, separators=(",", ":")) for u, s, m in files.rows()]
    cameras = cameras.join(
        files.with_columns(file=pl.Series(known, dtype=pl.String)), on=files.columns, how="left", maintain_order="left"
    )
    own = (_json(cameras[c]) for c in ("from_s", "to_s", "fps", "column", "first", "frames", "whole", "claimed"))
    prints = each_json_fingerprint(shared, cameras["file"], *own)
    return cameras.select("item", "episode_id", "source", "group", fingerprint=prints)


def _json(column: pl.Series) -> pl.Series:
    """As JSON has them."""
    import polars as pl

    values = column.unique()
    texts = pl.DataFrame({column.name: values, "text": [json.dumps(v) for v in values]})
    return column.to_frame().join(texts, on=column.name, how="left", maintain_order="left", nulls_equal=True)["text"]


def _work(plan: Plan, items: Sequence[str], _: Inputs) -> ObserveWork:
    import polars as pl

    prints = plan.prints(OBSERVE, items)
    found = plan.survey.cameras.filter(pl.col("item").is_in(list(items)))  # _items leaves absent files out
    rows = {r["item"]: r for r in found.iter_rows(named=True)}
    own: dict[tuple[str, str], list[str]] = {}
    for item in items:
        own.setdefault((rows[item]["uri"], rows[item]["column"]), []).append(item)
    return ObserveWork(tuple(_file(plan, members, prints, rows) for members in own.values()))


def _file(plan: Plan, items: Sequence[str], prints: Mapping[str, str], rows: Mapping[str, Mapping[str, Any]]) -> File:
    dataset = plan.survey.datasets[source_of(items[0])]
    spans = []
    for item in items:
        camera, episode = plan.survey.camera(item), episode_of(item)
        stem = f"{episode}/{camera.name}-{prints[item][:8]}"
        spans.append(span_of(camera, episode, dataset, rows[item], stem))
    return File(dataset, plan.survey.camera(items[0]), tuple(spans))


def span_of(camera: Camera, episode: str, dataset: Dataset, at: Mapping[str, Any], stem: str) -> Span:
    """Of a camera of an episode, and its row of Survey.cameras."""
    fps, claimed = camera.fps or dataset.fps, at["claimed"] or ""
    first, frames, whole = (at[k] if at["whole"] is not None else None for k in ("first", "frames", "whole"))
    return Span(episode, camera.name, camera.from_s, camera.to_s, fps, stem, first, frames, whole, claimed)


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
