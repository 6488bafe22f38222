"""Label files: CSV, JSON Lines, Parquet, JSON by episode and level, AgiBot's task_info and Label Studio's JSON.

In: paths or URIs; `source=FILE` names the source where a file gives episode numbers alone. Out: {episode_id: labels}.
Of a file that `corpus labels` wrote, and people changed, only what they changed counts (`returned.py`).
Raises LabelError with file, place, found, expected: a file that is half understood is not used by halves.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import polars as pl

from pipeline.labels import label_studio
from pipeline.labels.returned import Row, by_place, row_of
from schemas.episodes import Label
from schemas.events import PRIMITIVES
from schemas.ids import LEVELS, TRACKS, episode_id
from stages import storage
from stages.sources.find import named
from stages.text import plain

NUMBER = re.compile(r"(\d+)(?:\.0*)?")  # an episode's, also as a spreadsheet writes it
Rows = list[dict[str, Any]]
Found = tuple[str, Label, Row | None]  # episode, its label, what it was when it was written out


class LabelError(ValueError):
    """A label file that cannot be used; the message says where and what was expected."""


def read(files: Iterable[str], everything: bool = False) -> dict[str, tuple[Label, ...]]:
    """Labels of all files, by episode, in the order in which they are given; everything: spans that nobody has changed
    since they were written out as well."""
    found: dict[str, list[Label]] = {}
    for name in files:
        for episode, label in by_place(_file(name), everything):
            found.setdefault(episode, []).append(label)
    return {episode: tuple(labels) for episode, labels in found.items()}


def _file(name: str) -> list[Found]:
    source, path = named(name)
    try:
        data = _content(path)
    except storage.NotAFile as error:
        raise LabelError(f"segment.labels={name}: {error}") from error
    except FileNotFoundError as error:
        raise LabelError(f"segment.labels={name}: there is no such file") from error
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        raise LabelError(f"{path} cannot be read: {error}") from error
    try:
        return list(_parsed(data, source, path))
    except json.JSONDecodeError as error:
        raise LabelError(f"{path} is not JSON: {error}") from error
    except LabelError:
        raise
    except (csv.Error, RecursionError, OverflowError, ValueError) as error:
        raise LabelError(f"{path} cannot be read: {plain(error, 300)}") from error
    except (TypeError, AttributeError, KeyError, IndexError) as error:
        raise LabelError(f"{path}: a list or a mapping is not where it should be: {error}") from error


def _content(path: str) -> str | Rows:
    """The text of a file, or the rows of a Parquet file."""
    blob = storage.read_bytes(path)
    return pl.read_parquet(blob).to_dicts() if path.lower().endswith(".parquet") else blob.decode("utf-8-sig")


def _parsed(data: str | Rows, source: str | None, path: str) -> Iterator[Found]:
    kind = path.lower().rpartition(".")[2]
    if not isinstance(data, str):
        return (_span(row, source, f"{path}, row {number}", path) for number, row in enumerate(data))
    if kind == "jsonl":
        lines = ((n, line) for n, line in enumerate(data.splitlines(), 1) if line.strip())
        return (
            _span(_mapping(json.loads(x), f"{path}, line {n}"), source, f"{path}, line {n}", path) for n, x in lines
        )
    return _csv(data, source, path) if kind == "csv" else _json(data, source, path)


def _csv(text: str, source: str | None, path: str) -> Iterator[Found]:
    """Columns: episode_id, level, start_s and end_s (or start_frame and end_frame), caption; track and primitive if
    need be."""
    reader = csv.DictReader(io.StringIO(text))
    missing = {"episode_id", "level"} - set(reader.fieldnames or ())
    if missing:
        raise LabelError(
            f"{path}, line 1: no column {', '.join(sorted(missing))}, found {reader.fieldnames or 'nothing'}"
        )
    for row in reader:
        yield _span(row, source, f"{path}, line {reader.line_num}", path)


def _json(text: str, source: str | None, path: str) -> Iterator[Found]:
    value = json.loads(text)
    if isinstance(value, Mapping):
        for episode, levels in value.items():
            for level, spans in _mapping(levels, f"{path}, {episode}").items():
                for number, span in enumerate(spans):
                    where = f"{path}, {episode}, {level}[{number}]"
                    yield _span({**_mapping(span, where), "episode_id": episode, "level": level}, source, where, path)
    elif isinstance(value, list):
        for number, row in enumerate(value):
            where = f"{path}, [{number}]"
            if "annotations" in _mapping(row, where):
                for span in label_studio.rows_of(row):
                    yield _span(span, source, where, path)
                continue
            info = row.get("label_info") or row.get("lable_info")  # the second: AgiBot's first release
            if info is None:
                yield _span(row, source, where, path)
            else:
                yield from _agibot(row, info, source, where, path)
    else:
        raise LabelError(f"{path}: expected a mapping of episodes or a list, found {type(value).__name__}")


def _agibot(
    row: Mapping[str, Any], info: Mapping[str, Any], source: str | None, where: str, path: str
) -> Iterator[Found]:
    for number, action in enumerate(info.get("action_config") or []):
        skill = action.get("skill")
        span = {**action, "episode_id": row.get("episode_id"), "level": "L2", "caption": action.get("action_text")}
        span["primitive"] = skill if skill in PRIMITIVES else None
        yield _span(span, source, f"{where}.action_config[{number}]", path)


def _span(row: Mapping[str, Any], source: str | None, where: str, path: str) -> Found:
    level, track = row.get("level"), row.get("track") or "all"
    if level not in LEVELS:
        raise LabelError(f"{where}: level is {level!r}, expected one of {', '.join(LEVELS)}")
    if track not in TRACKS:
        raise LabelError(f"{where}: track is {track!r}, expected one of {', '.join(TRACKS)}")
    primitive = row.get("primitive") or None
    if primitive is not None and primitive not in PRIMITIVES:
        raise LabelError(f"{where}: primitive is {primitive!r}, expected one of {', '.join(PRIMITIVES)}, or none")
    start, end, frames = _ends(row, where)
    text = plain(row.get("caption") or row.get("text") or "")
    label = Label(level, start, end, text, "frames" if frames else "seconds", track, primitive, storage.name_of(path))
    was = row_of(label, row.get("origin"), row.get("said_by"), row.get("exported"))
    return _episode(row.get("episode_id"), source, where), label, was


def _ends(row: Mapping[str, Any], where: str) -> tuple[float, float, bool]:
    """(start, end, whether they count frames)."""
    for first, last, frames in (
        ("start_s", "end_s", False),
        ("start_frame", "end_frame", True),
        ("start", "end", False),
    ):
        if row.get(first) not in (None, "") and row.get(last) not in (None, ""):
            try:
                start, end = float(row[first]), float(row[last])
            except (TypeError, ValueError) as error:
                raise LabelError(
                    f"{where}: {first} and {last} are {row[first]!r}, {row[last]!r}: no numbers"
                ) from error
            if not start < end:  # NaN too
                raise LabelError(f"{where}: {first} is {start:g} and {last} is {end:g}: a span ends after its start")
            return start, end, frames
    raise LabelError(f"{where}: neither start_s and end_s nor start_frame and end_frame, found {sorted(map(str, row))}")


def _episode(value: Any, source: str | None, where: str) -> str:
    if value in (None, ""):
        raise LabelError(f"{where}: no episode_id")
    if "/" in str(value):
        return str(value)
    if not source:
        raise LabelError(f"{where}: episode_id is {value!r}; give the file as source=FILE, or write source/000003")
    number = NUMBER.fullmatch(str(value).strip())
    if number is None:
        raise LabelError(f"{where}: episode_id is {value!r}, expected source/000003 or the episode's number")
    return episode_id(source, int(number[1]))


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise LabelError(f"{where}: expected a mapping, found {type(value).__name__}")
    return value
