"""The tables and files under `meta/` of a LeRobot dataset, each read by itself.

In: the dataset's `Listing`. Out: values, and `Complaints` about what cannot be used. `info.json` and the episode list
must be there. The others are optional: one that cannot be read is lost alone, told, and flagged in every episode. An
entry of the episode list that cannot be read is lost alone too, with its file and line.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.reasons import Flag
from stages import bounded, storage
from stages.bounded import Unreadable
from stages.sources.files import Listing
from stages.sources.protocol import SourceError
from stages.text import NAME, plain

OFF = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)  # metadata of another shape
KNOWN = {"episode_index", "tasks", "length", "dataset_from_index", "dataset_to_index", "action_config", "index"}
MARKS, MARK = 50, 200  # of an episode, and characters of one
AT_ONCE = 256  # rows of the list of episodes
Ranges = dict[str, tuple[tuple[float, ...], tuple[float, ...]]]


@dataclass(slots=True)
class Complaints:
    """What of a dataset's metadata is not used: `notes`, a line each; `entries`: episodes of the list that are lost,
    {place: why}; `flags` for every episode."""

    notes: list[str] = field(default_factory=list)
    entries: dict[str, str] = field(default_factory=dict)
    flags: set[Flag] = field(default_factory=set)

    def about(self, words: str, flag: Flag = Flag.METADATA_REFUSED) -> None:
        self.notes.append(plain(words))
        self.flags.add(flag)


def required(found: Listing, path: str) -> Mapping[str, Any]:
    """A JSON mapping that must be there. Raises SourceError."""
    try:
        value = _json(found, path)
    except Unreadable as error:
        raise SourceError(str(error)) from error
    if value is None:
        raise SourceError(f"{found.uri}/{path} is missing")
    if not isinstance(value, Mapping):
        raise SourceError(f"{found.uri}/{path}: a mapping is expected, found {type(value).__name__}")
    return value


def number(value: Any, what: str, least: float, most: float) -> float:
    """A value as a number from `least` to `most`. Raises ValueError, which says what it is of."""
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not least <= found <= most:
        raise ValueError(f"{what} is {plain(repr(value), NAME)}, a number from {least:g} to {most:g} is expected")
    return found


def of_info(found: Listing, info: Mapping[str, Any], key: str, least: float, most: float) -> float:
    """A number of info.json that all episodes hang on. Raises SourceError."""
    try:
        return number(info.get(key), f"{found.uri}/meta/info.json: {key}", least, most)
    except ValueError as error:
        raise SourceError(str(error)) from error


def optional(found: Listing, path: str, complaints: Complaints) -> Mapping[str, Any]:
    """A JSON mapping; empty where it is absent, or lost."""
    try:
        value = _json(found, path)
    except Unreadable as error:
        complaints.about(f"{error}; it is not used")
        return {}
    if value is not None and not isinstance(value, Mapping):
        complaints.about(f"{found.uri}/{path}: a mapping is expected, found {type(value).__name__}; it is not used")
    return value if isinstance(value, Mapping) else {}


def _json(found: Listing, path: str) -> Any:
    why = found.why_refused(path)
    if why:
        raise Unreadable(f"{found.uri}/{path} {why}")
    try:
        return bounded.json_file(storage.join(found.uri, path)) if path in found.files else None
    except FileNotFoundError:
        return None


class Rows:
    """The episodes that a dataset lists, by index: JSON values (v2), or Arrow tables of which a few rows are made
    objects at a time (v3). places: int64[3, N]: index (ascending), its piece, its row there."""

    def __init__(self, pieces: Sequence[pa.Table | Mapping[str, Any]], places: npt.NDArray[np.int64]) -> None:
        self._pieces, (self.indices, self._of, self._row) = pieces, places
        self._held: tuple[int, int, list[Mapping[str, Any]]] = (-1, 0, [])

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, number: int) -> Mapping[str, Any]:
        """Row of the number-th index."""
        place, row = int(self._of[number]), int(self._row[number])
        piece = self._pieces[place]
        if isinstance(piece, Mapping):
            return piece
        held, start, rows = self._held
        if held != place or not start <= row < start + len(rows):
            start = row // AT_ONCE * AT_ONCE
            rows = piece.slice(start, AT_ONCE).to_pylist()
            self._held = (place, start, rows)
        return rows[row - start]


def episode_rows(found: Listing, version: str, complaints: Complaints) -> Rows:
    """The episodes that the dataset lists. Raises SourceError where there is no list, or two of one index."""
    pieces: list[pa.Table | Mapping[str, Any]] = []
    noted = array("q"), array("q"), array("q")  # a million take a tenth of what they would as objects

    def note(place: str, index: Any, row: int) -> None:
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < 10**12:
            complaints.entries[place] = f"{found.uri}/{place}: no episode_index that is a number from 0 on"
            return
        for own, value in zip(noted, (index, len(pieces), row), strict=True):
            own.append(value)

    if version == "v3.0":
        for path, table in _listed_v3(found, complaints):
            known = "episode_index" in table.column_names
            for row, index in enumerate(table["episode_index"].to_pylist() if known else [None] * table.num_rows):
                note(f"{path}:{row}", index, row)
            pieces.append(table)
    else:
        for place, value in _listed_v2(found, complaints):
            note(place, value.get("episode_index") if isinstance(value, Mapping) else None, 0)
            pieces.append(value)
    places = _settled(found, pieces, np.array(noted, dtype=np.int64), complaints)
    if not places.size and complaints.entries:
        raise SourceError(next(iter(complaints.entries.values())))
    return Rows(pieces, places)


def _settled(
    found: Listing,
    pieces: Sequence[pa.Table | Mapping[str, Any]],
    places: npt.NDArray[np.int64],
    complaints: Complaints,
) -> npt.NDArray[np.int64]:
    """Places by index, each index once. Episodes that are listed more than once: alike, they are one; else nobody
    knows which is right, and the episode is lost."""
    places = places[:, np.argsort(places[0], kind="stable")]
    copy = np.diff(places[0], prepend=-1) == 0
    rows, lost = Rows(pieces, places), set()
    for number in np.flatnonzero(copy).tolist():
        index = int(places[0, number])
        first = int(np.searchsorted(places[0], index))
        piece, row = (int(n) for n in places[1:, number])
        own = p if isinstance(p := pieces[piece], Mapping) else p.slice(row, 1).to_pylist()[0]
        if index not in lost and dict(own) != dict(rows[first]):
            complaints.entries[f"episode {index}"] = (
                f"{found.uri}/meta: episode {index} is listed more than once, differently"
            )
            lost.add(index)
    return places[:, ~copy & ~np.isin(places[0], list(lost))]


def _listed_v2(found: Listing, complaints: Complaints) -> Iterator[tuple[str, Any]]:
    path = "meta/episodes.jsonl"
    why = found.why_refused(path) or (None if path in found.files else "is missing")
    if why:
        raise SourceError(f"{found.uri}/{path} {why}")
    try:
        for number, value in bounded.json_lines(storage.join(found.uri, path)):
            place = f"{path}:{number}"
            if isinstance(value, Unreadable):
                complaints.entries[place] = str(value)
            else:
                yield place, value
    except (Unreadable, OSError) as error:
        raise SourceError(str(error)) from error


def _listed_v3(found: Listing, complaints: Complaints) -> Iterator[tuple[str, pa.Table]]:
    paths = sorted(p for p in found.files if p.startswith("meta/episodes/") and p.endswith(".parquet"))
    if not paths:
        why = found.why_refused("meta/episodes") or "holds no Parquet file"
        raise SourceError(f"{found.uri}/meta/episodes {why}")
    left = bounded.EPISODES
    for path in paths:
        try:
            names = bounded.column_names(storage.join(found.uri, path))
            wanted = [n for n in names if not n.startswith("stats/")]
            table = bounded.table(storage.join(found.uri, path), wanted, left)
        except (Unreadable, OSError) as error:
            complaints.entries[path] = str(error)
            continue
        left -= table.num_rows
        yield path, table


def task_table(found: Listing, version: str, complaints: Complaints) -> dict[int, str]:
    """{task_index: its words}; empty where the dataset has none."""
    path = "meta/tasks.parquet" if version == "v3.0" else "meta/tasks.jsonl"
    return _texts(found, path, "task", complaints)


def subtask_table(found: Listing, complaints: Complaints) -> dict[int, str]:
    """{subtask_index: its words}; empty where the dataset has none."""
    for path in ("meta/subtasks.jsonl", "meta/subtasks.parquet"):
        if path in found.files:
            return _texts(found, path, "subtask", complaints)
    return {}


def _texts(found: Listing, path: str, what: str, complaints: Complaints) -> dict[int, str]:
    if path not in found.files:
        why = found.why_refused(path)
        if why:
            complaints.about(f"{found.uri}/{path} {why}; it is not used")
        return {}
    uri = storage.join(found.uri, path)
    try:
        return {i: plain(text) for i, text in (_lined if path.endswith(".jsonl") else _indexed)(uri, what, complaints)}
    except (Unreadable, OSError, *OFF) as error:
        complaints.about(f"{uri} cannot be used: {error}")
        return {}


def _lined(uri: str, what: str, complaints: Complaints) -> Iterator[tuple[int, str]]:
    for number, value in bounded.json_lines(uri):
        try:
            yield int(value[f"{what}_index"]), words_of(value[what])
        except OFF as error:
            complaints.about(f"{uri}, line {number}: {value if isinstance(value, Unreadable) else repr(error)}")


def _indexed(uri: str, what: str, _: Complaints) -> Iterator[tuple[int, str]]:
    """Of a table whose texts are a column, or the index that pandas has written."""
    table = bounded.table(uri)
    text = next((n for n in (what, "__index_level_0__") if n in table.column_names), None)
    if text is None or f"{what}_index" not in table.column_names:
        raise Unreadable(f"no columns {what}_index and {what}, found {table.column_names[:10]}")
    for index, words in zip(table[f"{what}_index"].to_pylist(), table[text].to_pylist(), strict=True):
        yield int(index), words_of(words)


def ranges(found: Listing, complaints: Complaints) -> Ranges:
    """Smallest and largest value of each feature over the dataset, from its own statistics; empty if it has none."""
    result: Ranges = {}
    if "meta/stats.json" in found.files or found.why_refused("meta/stats.json"):
        blocks: Iterator[Mapping[str, Any]] = iter([optional(found, "meta/stats.json", complaints)])
    elif "meta/episodes_stats.jsonl" in found.files:
        blocks = _episode_stats(found, complaints)
    else:
        return {}
    try:
        for block in blocks:
            for column, stats in block.items():
                low, high = stats.get("min"), stats.get("max")
                if not isinstance(low, list) or not low or isinstance(low[0], list):
                    continue
                lows, highs = tuple(map(float, low)), tuple(map(float, high))
                if column in result:
                    lows = tuple(map(min, lows, result[column][0]))
                    highs = tuple(map(max, highs, result[column][1]))
                result[column] = (lows, highs)
    except (Unreadable, OSError, *OFF) as error:
        name = "stats.json" if "meta/stats.json" in found.files else "episodes_stats.jsonl"
        complaints.about(f"{found.uri}/meta/{name} is of another form ({error!r}); it is not used")
        return {}
    return {c: r for c, r in result.items() if all(map(math.isfinite, [*r[0], *r[1]]))}


def _episode_stats(found: Listing, complaints: Complaints) -> Iterator[Mapping[str, Any]]:
    for number, value in bounded.json_lines(storage.join(found.uri, "meta/episodes_stats.jsonl")):
        if isinstance(value, Unreadable):
            complaints.about(f"{found.uri}/meta/episodes_stats.jsonl, line {number} is not used: {value}")
        else:
            yield value.get("stats", {})


def modality(found: Listing, complaints: Complaints) -> tuple[dict[str, dict[str, tuple[int, int]]], set[str]]:
    """({column: {part: its range of values}}, features that the videos in use are) of meta/modality.json."""
    value = optional(found, "meta/modality.json", complaints)
    parts: dict[str, dict[str, tuple[int, int]]] = {}
    try:
        for column, key in (("observation.state", "state"), ("action", "action")):
            parts[column] = {k: (int(v["start"]), int(v["end"])) for k, v in value.get(key, {}).items()}
        videos = {v.get("original_key", f"observation.images.{k}") for k, v in value.get("video", {}).items()}
    except OFF as error:
        complaints.about(f"{found.uri}/meta/modality.json is of another form ({error!r}); it is not used")
        return {"observation.state": {}, "action": {}}, set()
    return parts, videos


def calibrations(found: Listing, complaints: Complaints) -> dict[str, str]:
    """{camera feature: its calibration, JSON}; one that no clip could carry is lost alone."""
    result = {}
    given = optional(found, "meta/calibration.json", complaints).get("cameras") or {}
    for feature, value in given.items() if isinstance(given, Mapping) else ():
        why = _no_calibration(value)
        if why:
            words = f"{found.uri}/meta/calibration.json, {feature}: {why}; the camera counts as uncalibrated"
            complaints.about(words, Flag.CALIBRATION_REFUSED)
        else:
            result[feature] = json.dumps(value, sort_keys=True)
    return result


def _no_calibration(value: Any) -> str | None:
    """What keeps a calibration from being one; None if nothing does. (pipeline/sample/README.md has the form.)"""
    if not isinstance(value, Mapping):
        return f"a mapping is expected, found {type(value).__name__}"
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()  # as KEY.calib.json will hold it
        shapes: Sequence[tuple[str, tuple[int, int]]] = (
            ("K", (3, 3)),
            ("T_base_camera", (4, 4)),
            ("T_ee_camera", (4, 4)),
        )
        for key, shape in shapes:
            if (key in value and value[key] is not None) or key == "K":
                matrix = np.asarray(value[key])
                if matrix.dtype.kind not in "iuf":
                    return f"{key} holds something else than numbers"
                if matrix.shape != shape:
                    return f"{key} is of shape {list(matrix.shape)}, expected is {list(shape)}"
    except OFF as error:
        return f"numbers are expected ({error!r})"
    return None


def shape_width(spec: Mapping[str, Any]) -> int:
    """Values of a feature in one row. Raises SourceError for a shape that is none."""
    width = 1
    given = spec.get("shape") or [1]
    for size in given if isinstance(given, list | tuple) else [given]:
        if not isinstance(size, int) or size < 0:
            raise SourceError(f"a feature of shape {plain(spec.get('shape'), 80)}: whole numbers are expected")
        width *= size
    return width


@lru_cache(maxsize=64)
def _free(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of a row that are not LeRobot's own; rows of one list have the same ones."""
    return tuple(n for n in names if n not in KNOWN and "/" not in n)


def marks(row: Mapping[str, Any]) -> dict[str, str | float | bool]:
    """What the list of episodes says of one as a whole (success, operator, ...): single values under names that are not
    LeRobot's own."""
    found: dict[str, str | float | bool] = {}
    for name in _free(tuple(row)):
        value = row[name]
        if not isinstance(value, str | int | float | bool):
            continue
        if isinstance(value, float | int) and not abs(value) <= 1e15:
            continue
        if len(found) < MARKS:
            found[plain(name, NAME)] = plain(value, MARK) if isinstance(value, str) else value
    return found


def first_task(row: Mapping[str, Any]) -> str | None:
    """Task of an episode; LeRobot lists tasks, and some writers give a string."""
    tasks = row.get("tasks") or []
    one = tasks[0] if isinstance(tasks, Sequence) and not isinstance(tasks, str) and tasks else tasks
    return words_of(one).strip() or None


def words_of(value: Any) -> str:
    """An instruction: a text, or the one text of a mapping ({"task": ...}, {"en": ...}); empty for what is no words."""
    if isinstance(value, Mapping):
        texts = [v for v in value.values() if isinstance(v, str)]
        value = value.get("task") or value.get("en") or (texts[0] if len(texts) == 1 else "")
    return value if isinstance(value, str) else ""
