"""Which episodes of a corpus go into which LeRobot dataset.

In: a corpus, the level whose events become subtasks, a rule. Out: `Group`s. A LeRobot dataset has one robot, one rate
and one layout of its columns and cameras, so that there is one a source, and several of a source whose episodes differ
in these. An episode goes in whole or not at all: what has no events of that level was set aside on its way.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.corpus.view import Corpus
from pipeline.export import NotExportable
from stages.ingest.where import holds
from stages.shard.sample import Clip, calibration

PREFIX = "observation.images."
TAKEN = ("timestamp", "frame_index", "episode_index", "index", "task_index", "subtask_index", "language_persistent")


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera's feature: its name in the corpus, size of its proxies in px, calibration in their pixels (JSON)."""

    name: str
    width: int
    height: int
    calibration: str | None

    @property
    def feature(self) -> str:
        return f"{PREFIX}{self.name}"


@dataclass(frozen=True, slots=True)
class Column:
    """A feature of numbers: its column, the stream of the corpus that it is read from, its width, names of its
    values."""

    name: str
    stream: str
    width: int
    names: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Group:
    """Episodes that become one dataset; folder: its name."""

    folder: str
    robot: str
    fps: float
    columns: tuple[Column, ...]
    cameras: tuple[Camera, ...]
    episodes: tuple[str, ...]
    left_out: tuple[str, ...]  # columns that only some of the episodes have


def groups(corpus: Corpus, level: str, rule: str | None) -> list[Group]:
    """The datasets, by source. Raises NotExportable where there is none."""
    wanted = _episodes(corpus, level, rule)
    cameras, widths = _cameras(corpus, wanted), _widths(corpus, wanted)
    alike: dict[tuple[Any, ...], list[str]] = {}
    rows = {row["episode_id"]: row for row in wanted.to_dicts()}
    for name, row in rows.items():
        own = widths[name]
        core = tuple((stream, own.get(stream)) for stream in ("state", "action"))
        key = (row["source"], row["robot"], row["rate"], row["layout"], core, cameras.get(name, ()))
        alike.setdefault(key, []).append(name)
    found, taken = [], Counter[str]()
    for (source, robot, fps, layout, _, seen), episodes in alike.items():
        taken[source] += 1
        folder = source if taken[source] == 1 else f"{source}-{taken[source]}"
        columns, left_out = _columns(json.loads(layout), [widths[name] for name in episodes])
        found.append(Group(folder, robot, fps, columns, seen, tuple(episodes), left_out))
    return found


def _episodes(corpus: Corpus, level: str, rule: str | None) -> pl.DataFrame:
    """Episodes with events of the level, in order, of which the rule is true."""
    if not corpus.has("segment"):
        raise NotExportable(f"{corpus.root}: no episode has been cut into events yet: build first")
    cut = corpus.table("events", columns=["episode_id", "level", "track"]).filter(level=level, track="all")
    names = ["episode_id", "source", "robot", "layout", "task", "marks", "n_rows", "fps"]
    episodes = corpus.table("episodes", columns=names).join(cut, on="episode_id", how="semi")
    rates = corpus.table("alignments", columns=["episode_id", "fps"]).rename({"fps": "rate"})  # of rows and frames
    episodes = episodes.join(rates, on="episode_id").sort("episode_id")
    if rule is not None:
        kept = [_holds(rule, row) for row in episodes.to_dicts()]
        episodes = episodes.filter(pl.Series(kept, dtype=pl.Boolean))
    if episodes.is_empty():
        why = "has no episode with events of" if rule is None else f"has no episode of which {rule} is true, at"
        raise NotExportable(f"{corpus.root} {why} {level}")
    return episodes


def _holds(rule: str, row: Mapping[str, Any]) -> bool:
    """The rule of `ingest.where`, of what the corpus knows of an episode."""
    values = {key: row[key] for key in ("source", "robot", "task", "n_rows")}
    values["seconds"] = row["n_rows"] / row["fps"]
    try:
        return holds(rule, {**json.loads(row["marks"]), **values})
    except ValueError as error:
        raise NotExportable(f"--where {error}") from error


def _cameras(corpus: Corpus, episodes: pl.DataFrame) -> dict[str, tuple[Camera, ...]]:
    """{episode: its cameras}; sizes and calibration are those of the proxies."""
    sizes = ["width", "height", "source_width", "source_height"]
    seen = corpus.table("observations", columns=["episode_id", "camera", *sizes])
    seen = seen.join(episodes, on="episode_id", how="semi").sort("episode_id", "camera")
    given = corpus.table("episodes", columns=["episode_id", "cameras"]).join(episodes, on="episode_id", how="semi")
    told = {(e, c["name"]): c["calibration"] for e, cameras in given.iter_rows() for c in cameras}
    found: dict[str, list[Camera]] = {}
    scaled: dict[Any, str | None] = {}
    for episode, name, width, height, source_width, source_height in seen.iter_rows():
        about = (told.get((episode, name)), width, height, source_width, source_height)
        if about not in scaled:
            clip = Clip(name, "", 1, (), (width, height), (source_width, source_height), about[0])
            value = calibration(clip)
            scaled[about] = None if value is None else json.dumps(value, sort_keys=True)
        found.setdefault(episode, []).append(Camera(name, width, height, scaled[about]))
    return {episode: tuple(cameras) for episode, cameras in found.items()}


def _widths(corpus: Corpus, episodes: pl.DataFrame) -> dict[str, dict[str, int]]:
    """{episode: {stream: values in a row}} of what was logged: state, action, and extras."""
    streams = corpus.table("signals", columns=["episode_id", "stream", "kind", "width"])
    streams = streams.join(episodes, on="episode_id", how="semi")
    own = streams.filter(pl.col("kind").is_in(["state", "action", "extra"])).sort("episode_id", "stream")
    found: dict[str, dict[str, int]] = {name: {} for name in episodes["episode_id"]}
    for episode, stream, _, width in own.iter_rows():
        found[episode][stream] = width
    return found


def _columns(layout: Mapping[str, Any], widths: list[dict[str, int]]) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """(the columns that all episodes have alike, those that only some have). What was logged, under LeRobot's names
    for state and action and under its own for the rest; the corpus's canonical streams are made from these."""
    found, left_out = [], []
    for stream in dict.fromkeys(s for own in widths for s in own):
        name = {"state": "observation.state", "action": "action"}.get(stream, stream.removeprefix("extra/"))
        measured = {own.get(stream) for own in widths}
        width = measured.pop()
        if measured or width is None or name in TAKEN or (name.startswith("action") and stream != "action"):
            left_out.append(name)  # (a column that begins with action would be another output of every policy)
            continue
        values = layout.get(stream.replace("/", "."), {}).get("values", [])
        names = tuple(v["name"] for v in values)
        found.append(Column(name, stream, width, names if len(names) == width and any(names) else None))
    order = {"observation.state": 0, "action": 1}
    found.sort(key=lambda c: (order.get(c.name, 2), c.name))
    return tuple(found), tuple(sorted(left_out))
