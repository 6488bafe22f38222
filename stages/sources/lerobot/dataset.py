"""Metadata of a LeRobot dataset: its features, cameras and tasks, and where its episodes' rows and frames lie.

In: a dataset URI. Out: a `LeRobotDataset` and its `Episodes`, without opening a data or video file: folders are listed
once, and that listing gives each file's identity (size, mtime).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from schemas.ids import file_part
from schemas.reasons import Flag
from stages.bounded import WIDTH
from stages.sources.files import listing
from stages.sources.lerobot import metadata
from stages.sources.lerobot.episodes import Listed, Locator
from stages.sources.protocol import Camera, Episode, Episodes, Feature, Reader, SourceError
from stages.text import NAME, file_name, plain

if TYPE_CHECKING:
    from stages.video.pictures import Pictures

VERSIONS = ("v2.0", "v2.1", "v3.0")
FPS = (1e-3, 1e5)  # between which a rate of rows and frames is plausible, Hz
PREFIX = "observation.images."


@dataclass(frozen=True, slots=True)
class LeRobotDataset:
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
    flags: tuple[Flag, ...] = ()  # for every episode
    notes: tuple[str, ...] = ()  # what of its metadata is not used
    lost_entries: Mapping[str, str] = field(default_factory=dict)  # entries of its list of episodes: {place: why lost}
    rows_are_frames: bool = True

    @property
    def format(self) -> str:
        return f"lerobot/{self.version}"

    def identity(self, labels: bool) -> LeRobotDataset:
        """The words for subtasks count where rows name them and somebody wants them: a change then redoes the
        source."""
        named = labels and any(f.column == "subtask_index" for f in self.features)
        rest: dict[str, Any] = {"ranges": {}, "tasks": {}, "notes": (), "lost_entries": {}}
        return replace(self, **rest, subtasks=self.subtasks if named else {})

    def has(self, episode: Episode) -> bool:
        return episode.place.file is not None

    def reader(self, columns: Sequence[str], optional: Sequence[str] = ()) -> Reader:
        from stages.sources.lerobot.rows import LeRobotReader

        return LeRobotReader(self, columns, optional)

    def pictures(self, camera: Camera, local: str) -> Pictures:
        from stages.video.pictures import VideoFile

        return VideoFile(local, camera.file.uri if camera.file else camera.expected)


def load(name: str, uri: str, follow: bool = False) -> tuple[LeRobotDataset, Episodes]:
    """Dataset and its episodes in order; follow: also through links that lead out of it. Raises SourceError where the
    metadata cannot be read or contradicts itself."""
    try:
        return _load(name, uri, follow)
    except SourceError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError, pa.ArrowException) as error:
        raise SourceError(f"{uri}/meta cannot be read: {type(error).__name__}: {plain(error, 300)}") from error


def _load(name: str, uri: str, follow: bool) -> tuple[LeRobotDataset, Episodes]:
    found, complaints = listing(uri, follow), metadata.Complaints()
    info = metadata.required(found, "meta/info.json")
    version = str(info.get("codebase_version", "?"))
    if version not in VERSIONS:
        raise SourceError(
            f"{uri}/meta/info.json: codebase_version is {plain(version, NAME)!r}, expected one of {VERSIONS}"
        )
    fps, specs = metadata.of_info(found, info, "fps", *FPS), info.get("features")
    if not isinstance(specs, Mapping):
        raise SourceError(f"{uri}/meta/info.json: features: a mapping is expected, found {type(specs).__name__}")
    parts, videos = metadata.modality(found, complaints)
    cameras = _camera_features(specs, videos)
    calibrations = metadata.calibrations(found, complaints)
    rows = metadata.episode_rows(found, version, complaints)
    dataset = LeRobotDataset(
        name=name,
        uri=uri,
        version=version,
        robot=plain(info.get("robot_type") or "unknown", NAME),
        fps=fps,
        features=tuple(_features(specs, complaints)),
        modality=parts,
        ranges=metadata.ranges(found, complaints),
        tasks=metadata.task_table(found, version, complaints),
        subtasks=metadata.subtask_table(found, complaints),
    )
    total = info.get("total_episodes") or 0  # 0: it does not say
    total = int(total) if isinstance(total, int | float) and total is not True and 0 <= total < 1e18 else 0
    listed = Listed(dataset.name, uri, rows, Locator(info, found, version), cameras, calibrations, total, dataset.tasks)
    episodes = listed.survey(complaints)
    if len(rows) and not listed.kept:
        raise SourceError(next(iter(complaints.entries.values())))
    if not len(episodes):
        raise SourceError(f"{uri}/meta lists no episode")
    complete = replace(
        dataset,
        flags=tuple(sorted(complaints.flags)),
        notes=tuple(complaints.notes),
        lost_entries={plain(k): plain(v) for k, v in complaints.entries.items()},
    )
    return complete, episodes


def _features(specs: Mapping[str, Any], complaints: metadata.Complaints) -> Iterator[Feature]:
    """Numeric features; one with more than WIDTH values in a row, or of no shape, is no signal of an arm."""
    for column, spec in specs.items():
        if isinstance(spec, Mapping) and str(spec.get("dtype", "")).startswith(("float", "int", "double")):
            names = tuple(_flatten(spec.get("names")))
            try:
                width = metadata.shape_width(spec)
            except SourceError as error:
                complaints.about(f"feature {plain(column, NAME)}: {error}; it is not used")
                continue
            if width <= WIDTH and column == plain(column):  # a column that no text can name is none
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


def _camera_features(specs: Mapping[str, Any], chosen: set[str]) -> dict[str, tuple[str, str]]:
    """{feature: (name, video or image)} of declared cameras, depth maps left out.

    A name is a file name in media and shards. Where meta/modality.json names the videos in use (`chosen`), it decides.
    Raises SourceError where two cameras would get one name: loaders of WebDataset read names without case.
    """
    cameras: dict[str, tuple[str, str]] = {}
    for feature, spec in specs.items():
        dtype = str(spec.get("dtype")) if isinstance(spec, Mapping) else ""
        if dtype not in ("video", "image"):
            continue
        details: dict[str, Any] = {}
        for about in (spec.get("info"), spec.get("video_info")):
            details |= about if isinstance(about, Mapping) else {}
        if not details.get("video.is_depth_map") and (not chosen or feature in chosen):
            cameras[feature] = (file_name(feature.removeprefix(PREFIX)), dtype)
    names = Counter(file_part(name).casefold() for name, _ in cameras.values())
    if max(names.values(), default=1) > 1:
        alike = sorted(plain(f, NAME) for f, (name, _) in cameras.items() if names[file_part(name).casefold()] > 1)
        raise SourceError(
            f"cameras {alike} would get the same name in a shard, where a dot becomes _ and case does not count"
        )
    return cameras
