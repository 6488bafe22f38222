"""LeRobot v2.0, v2.1 and v3.0 metadata: which episodes there are and where their rows and frames lie.

In: a dataset URI. Out: a `Dataset` with one `EpisodeRef` an episode, without opening a data or video file: folders are
listed once, and that listing gives each file's identity (size, mtime). Read with pyarrow alone; formats after
https://huggingface.co/docs/lerobot (v2: one file an episode; v3: several episodes a file, placed by meta/episodes).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.ids import episode_id, file_part
from stages import storage
from stages.ingest.labels import action_spans
from stages.ingest.sources import SourceError
from stages.storage import FileIdentity

VERSIONS = ("v2.0", "v2.1", "v3.0")
PREFIX = "observation.images."
IMAGES = "its pictures lie in the data files, dtype image, which are not read"


@dataclass(frozen=True, slots=True)
class CameraRef:
    """A camera of an episode: its file (None: absent), and where in it the episode lies, s."""

    name: str
    feature: str
    expected: str
    file: FileIdentity | None
    from_s: float
    to_s: float | None
    calibration: str | None


@dataclass(frozen=True, slots=True)
class EpisodeRef:
    """An episode as the metadata declares it; `file` is None where the data file is absent (`expected` names it)."""

    episode_id: str
    source: str
    dataset_uri: str
    index: int
    length: int | None
    task: str | None
    expected: str
    file: FileIdentity | None
    cameras: tuple[CameraRef, ...]
    spans: tuple[tuple[int, int, str], ...] = ()  # its own, as action_config lists them: frames and words
    listed: bool = True  # by the episode metadata
    counted: bool = True  # by total_episodes of info.json


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of the log: its width and the names of its values (empty if the source gives none)."""

    column: str
    width: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What ingest must know of a dataset besides its episodes; small enough to travel with every task."""

    name: str
    uri: str
    version: str
    robot: str
    fps: float
    features: tuple[Feature, ...]
    modality: Mapping[str, Mapping[str, tuple[int, int]]]
    ranges: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]
    tasks: Mapping[int, str]
    subtasks: Mapping[int, str] = field(default_factory=dict)


def load(name: str, uri: str) -> tuple[Dataset, list[EpisodeRef]]:
    """Dataset and its episodes in order. Raises SourceError where the metadata cannot be read or contradicts itself."""
    try:
        return _load(name, uri)
    except (KeyError, TypeError, ValueError, AttributeError, OSError, pa.ArrowException) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{uri}/meta cannot be read: {type(error).__name__}: {error}") from error


def _load(name: str, uri: str) -> tuple[Dataset, list[EpisodeRef]]:
    read = partial(_read_json, uri)
    info = read("meta/info.json") or {}
    version = str(info.get("codebase_version", "?"))
    if version not in VERSIONS:
        raise SourceError(f"{uri}/meta/info.json: codebase_version is {version!r}, expected one of {VERSIONS}")
    fps, specs = float(info["fps"]), dict(info["features"])
    if fps <= 0:
        raise SourceError(f"{uri}/meta/info.json: fps is {fps}")
    files = storage.listing(uri)
    modality = read("meta/modality.json", required=False) or {}
    dataset = Dataset(
        name=name,
        uri=uri,
        version=version,
        robot=str(info.get("robot_type") or "unknown"),
        fps=fps,
        features=tuple(_features(specs)),
        modality={
            column: {k: (int(v["start"]), int(v["end"])) for k, v in modality.get(key, {}).items()}
            for column, key in (("observation.state", "state"), ("action", "action"))
        },
        ranges=_ranges(uri, files),
        tasks=_tasks(uri, version, files),
        subtasks=_subtasks(uri, files),
    )
    cameras = _camera_features(specs, modality)
    calibration = (read("meta/calibration.json", required=False) or {}).get("cameras") or {}
    rows = list(_episodes_v3(uri, files) if version == "v3.0" else _jsonl(uri, "meta/episodes.jsonl"))
    listed = [int(row["episode_index"]) for row in rows]
    if len(set(listed)) < len(listed):
        twice = sorted({i for i in listed if listed.count(i) > 1})
        raise SourceError(f"{uri}/meta: episodes {twice[:5]} are listed more than once")
    locate = _Locator(info, files, uri, version)
    references = [_reference(dataset, row, cameras, calibration, locate) for row in rows]
    total = int(info.get("total_episodes") or 0)  # 0: it does not say
    if total and len(listed) > total:  # the last ones: a recorder that died listed them, then did not count them
        references = [*references[:total], *(replace(r, counted=False) for r in references[total:])]
    return dataset, references + [_unlisted(dataset, i) for i in sorted(set(range(total)) - set(listed))]


def _unlisted(dataset: Dataset, index: int) -> EpisodeRef:
    """An episode that info.json counts and nothing describes: it gets a quarantine row, not silence."""
    name, expected = episode_id(dataset.name, index), f"{dataset.uri}/meta/episodes"
    return EpisodeRef(name, dataset.name, dataset.uri, index, None, None, expected, None, (), listed=False)


class _Locator:
    """Turns the path templates of info.json into files; where a template lies, the file's own name decides."""

    def __init__(self, info: Mapping[str, Any], files: Mapping[str, FileIdentity], uri: str, version: str) -> None:
        self.info, self.files, self.uri, self.v3 = info, files, uri, version == "v3.0"
        self.by_name: dict[tuple[str, ...], FileIdentity] = {}
        if not self.v3:  # names of v2 files are unique per episode (and camera folder)
            for path, identity in files.items():
                parts = path.split("/")
                self.by_name[(parts[0], *parts[-2:])] = identity
                self.by_name.setdefault((parts[0], parts[-1]), identity)

    def data(self, row: Mapping[str, Any]) -> tuple[str, FileIdentity | None]:
        path = self._fill("data_path", row, row.get("data/chunk_index"), row.get("data/file_index"))
        return storage.join(self.uri, path), self.files.get(path) or self.by_name.get(("data", path.split("/")[-1]))

    def video(self, row: Mapping[str, Any], feature: str) -> tuple[str, FileIdentity | None]:
        chunk, file = row.get(f"videos/{feature}/chunk_index"), row.get(f"videos/{feature}/file_index")
        path = self._fill("video_path", row, chunk, file, video_key=feature)
        identity = self.files.get(path) or self.by_name.get(("videos", feature, path.split("/")[-1]))
        return storage.join(self.uri, path), identity

    def _fill(self, key: str, row: Mapping[str, Any], chunk: Any, file: Any, **names: str) -> str:
        index = int(row["episode_index"])
        size = int(self.info.get("chunks_size") or 1000)
        places = {"chunk_index": chunk, "file_index": file} if self.v3 else {"episode_chunk": index // size}
        try:
            return str(self.info[key]).format(episode_index=index, **places, **names)
        except (KeyError, ValueError, TypeError) as error:
            raise SourceError(
                f"{self.uri}/meta/info.json: {key} cannot be filled for episode {index}: {error!r}"
            ) from error


def _reference(
    dataset: Dataset,
    row: Mapping[str, Any],
    cameras: Mapping[str, str],
    calibration: Mapping[str, Any],
    locate: _Locator,
) -> EpisodeRef:
    index = int(row["episode_index"])
    expected, file = locate.data(row)
    refs = []
    for feature, dtype in cameras.items():
        video_expected, video = locate.video(row, feature) if dtype == "video" else (f"video ({IMAGES})", None)
        start, end = row.get(f"videos/{feature}/from_timestamp"), row.get(f"videos/{feature}/to_timestamp")
        refs.append(
            CameraRef(
                name=feature.removeprefix(PREFIX),
                feature=feature,
                expected=video_expected,
                file=video,
                from_s=float(start or 0.0),
                to_s=None if end is None else float(end),
                calibration=json.dumps(calibration[feature], sort_keys=True) if feature in calibration else None,
            )
        )
    tasks = row.get("tasks") or []
    return EpisodeRef(
        episode_id=episode_id(dataset.name, index),
        source=dataset.name,
        dataset_uri=dataset.uri,
        index=index,
        length=None if row.get("length") is None else int(row["length"]),
        task=str(tasks[0]) if tasks else None,
        expected=expected,
        file=file,
        cameras=tuple(refs),
        spans=action_spans(row),
    )


def _read_json(uri: str, path: str, required: bool = True) -> Any:
    try:
        return json.loads(storage.read_bytes(storage.join(uri, path)))
    except FileNotFoundError as error:
        if required:
            raise SourceError(f"{uri}/{path} is missing") from error
        return None
    except ValueError as error:
        raise SourceError(f"{uri}/{path} is not JSON: {error}") from error


def _jsonl(uri: str, path: str) -> Iterator[dict[str, Any]]:
    try:
        lines = storage.read_bytes(storage.join(uri, path)).decode().splitlines()
    except FileNotFoundError as error:
        raise SourceError(f"{uri}/{path} is missing") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise SourceError(f"{uri}/{path}, line {number} is not JSON: {error}") from error


def _parquet(uri: str, columns: list[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(pa.BufferReader(storage.read_bytes(uri)), columns=columns)
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{uri} cannot be read as Parquet: {error}") from error


def _episodes_v3(uri: str, files: Mapping[str, FileIdentity]) -> list[dict[str, Any]]:
    paths = sorted(p for p in files if p.startswith("meta/episodes/") and p.endswith(".parquet"))
    if not paths:
        raise SourceError(f"{uri}/meta/episodes holds no Parquet file")
    rows: list[dict[str, Any]] = []
    for path in paths:
        with pa.BufferReader(storage.read_bytes(storage.join(uri, path))) as buffer:  # ArrowInvalid: see load
            names = [n for n in pq.read_schema(buffer).names if not n.startswith("stats/")]
        rows += _parquet(storage.join(uri, path), names).to_pylist()
    return sorted(rows, key=lambda row: int(row["episode_index"]))


def _tasks(uri: str, version: str, files: Mapping[str, FileIdentity]) -> dict[int, str]:
    if version != "v3.0":
        if "meta/tasks.jsonl" not in files:
            return {}
        return {int(r["task_index"]): str(r["task"]) for r in _jsonl(uri, "meta/tasks.jsonl")}
    path = storage.join(uri, "meta/tasks.parquet")
    if not storage.exists(path):
        return {}
    return _indexed(path, "task")


def _subtasks(uri: str, files: Mapping[str, FileIdentity]) -> dict[int, str]:
    """{subtask_index: its words}; empty where the dataset has none."""
    if "meta/subtasks.jsonl" in files:
        return {int(r["subtask_index"]): str(r["subtask"]) for r in _jsonl(uri, "meta/subtasks.jsonl")}
    if "meta/subtasks.parquet" not in files:
        return {}
    return _indexed(storage.join(uri, "meta/subtasks.parquet"), "subtask")


def _indexed(path: str, what: str) -> dict[int, str]:
    """{index: text} of a table whose texts are a column, or the index that pandas has written."""
    table = _parquet(path)
    text = next((n for n in (what, "__index_level_0__") if n in table.column_names), None)
    if text is None:
        raise SourceError(f"{path}: no column {what!r}, found {table.column_names}")
    indices, texts = (table[n].to_pylist() for n in (f"{what}_index", text))
    return {int(i): str(t) for i, t in zip(indices, texts, strict=True)}


def _features(specs: Mapping[str, Any]) -> Iterator[Feature]:
    for column, spec in specs.items():
        if str(spec.get("dtype", "")).startswith(("float", "int", "double")):
            width = 1
            for size in spec.get("shape") or [1]:
                width *= int(size)
            names = tuple(_flatten(spec.get("names")))
            yield Feature(column, width, names if len(names) == width else ())


def _flatten(names: Any) -> Iterator[str]:
    if isinstance(names, str):
        yield names
    elif isinstance(names, Mapping):
        for value in names.values():
            yield from _flatten(value)
    elif isinstance(names, list):
        for value in names:
            yield from _flatten(value)


def _camera_features(specs: Mapping[str, Any], modality: Mapping[str, Any]) -> dict[str, str]:
    """{feature: video or image} of declared cameras, depth maps left out.

    Where meta/modality.json names the videos in use, it decides.
    """
    chosen = {v.get("original_key", f"{PREFIX}{k}") for k, v in modality.get("video", {}).items()}
    cameras: dict[str, str] = {}
    for feature, spec in specs.items():
        dtype = str(spec.get("dtype"))
        if dtype not in ("video", "image"):
            continue
        details = {**(spec.get("info") or {}), **(spec.get("video_info") or {})}
        if not details.get("video.is_depth_map") and (not chosen or feature in chosen):
            cameras[feature] = dtype
    names = [file_part(feature.removeprefix(PREFIX)) for feature in cameras]
    if len(set(names)) < len(names):
        raise SourceError(f"cameras {sorted(cameras)} would get the same name in a shard, where a dot becomes _")
    return cameras


def _ranges(uri: str, files: Mapping[str, FileIdentity]) -> dict[str, tuple[tuple[float, ...], tuple[float, ...]]]:
    """Smallest and largest value of each feature over the dataset, from its own statistics; empty if it has none."""
    if "meta/stats.json" in files:
        blocks = [_read_json(uri, "meta/stats.json")]
    elif "meta/episodes_stats.jsonl" in files:
        blocks = [row.get("stats", {}) for row in _jsonl(uri, "meta/episodes_stats.jsonl")]
    else:
        return {}
    ranges: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {}
    for block in blocks:
        for column, stats in block.items():
            low, high = stats.get("min"), stats.get("max")
            if not isinstance(low, list) or not low or isinstance(low[0], list):
                continue
            lows, highs = tuple(map(float, low)), tuple(map(float, high))
            if column in ranges:
                lows = tuple(map(min, lows, ranges[column][0]))
                highs = tuple(map(max, highs, ranges[column][1]))
            ranges[column] = (lows, highs)
    return ranges
