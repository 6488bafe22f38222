"""Metadata of a LeRobot dataset: its features, cameras and tasks, and where its episodes' rows and frames lie.

In: a dataset URI. Out: a `LeRobotDataset` and its `Episodes`, without opening a data or video file: folders are listed
once, and that listing gives each file's identity (size, mtime).
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from schemas.ids import file_part
from schemas.reasons import Flag
from stages import bounded, storage
from stages.bounded import WIDTH
from stages.sources.files import Listing, listing
from stages.sources.lerobot import metadata
from stages.sources.lerobot.episodes import Listed, Locator
from stages.sources.protocol import Camera, Episode, Episodes, Feature, Reader, SourceError
from stages.text import NAME, file_name, plain

if TYPE_CHECKING:
    from stages.video.pictures import Pictures

VERSIONS = ("v2.0", "v2.1", "v3.0")
FPS = (1e-3, 1e5)  # between which a rate of rows and frames is plausible, Hz
PREFIX = "observation.images."
NUMBERS = ("float", "int", "double", "uint", "half", "bfloat")
OTHERS = ("video", "image", "string", "str", "bool", "large_string", "object", "list", "dict", "language")
SUCCESS = ("next.success", "success", "is_success", "observation.success")
LANGUAGE = ("language_instruction", "observation.language_instruction", "instruction", "observation.language", "prompt")
HEAD_BYTES = 1 << 20  # of a data file, by which copies of a dataset are known
POINTER_BYTES = 200  # a Git LFS pointer is no longer


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
    mark_columns: tuple[str, ...] = ()  # of rows, which say whether the episode has succeeded
    language: str = ""  # column of rows that holds an instruction, where no task table does
    content: str = ""  # a hash of its files' paths and sizes
    rows_are_frames: bool = True

    @property
    def format(self) -> str:
        return f"lerobot/{self.version}"

    def identity(self, labels: bool) -> LeRobotDataset:
        """The words for subtasks count where rows name them and somebody wants them: a change then redoes the
        source."""
        named = labels and any(f.column == "subtask_index" for f in self.features)
        rest: dict[str, Any] = {"ranges": {}, "tasks": {}, "notes": (), "lost_entries": {}, "content": ""}
        return replace(self, **rest, subtasks=self.subtasks if named else {})

    def has(self, episode: Episode) -> bool:
        return episode.place.file is not None

    def reader(self, columns: Sequence[str], optional: Sequence[str] = ()) -> Reader:
        from stages.sources.lerobot.rows import LeRobotReader

        return LeRobotReader(self, columns, optional)

    def pictures(self, camera: Camera, local: str) -> Pictures:
        from stages.sources.lerobot.stills import stills
        from stages.video.pictures import VideoFile

        uri = camera.file.uri if camera.file else camera.expected
        return stills(local, camera.column, self.fps, uri) if camera.column else VideoFile(local, uri)


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
    _no_pointers(found)
    cameras = _camera_features(specs, videos, complaints)
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
        mark_columns=tuple(c for c in SUCCESS if c in specs),
        language=next((c for c in LANGUAGE if _is_text(specs.get(c))), ""),
    )
    total = info.get("total_episodes") or 0  # 0: it does not say
    total = int(total) if isinstance(total, int | float) and total is not True and 0 <= total < 1e18 else 0
    locate = Locator(info, found, version)
    listed = Listed(dataset.name, uri, rows, locate, cameras, calibrations, total, dataset.tasks)
    episodes = listed.survey(complaints)
    for declared, actual in sorted(locate.elsewhere):
        complaints.notes.append(
            f"files that info.json says are in {declared}/ lie in {actual}/, and are used from there"
        )
    if len(rows) and not listed.kept:
        raise SourceError(next(iter(complaints.entries.values())))
    if not len(episodes):
        raise SourceError(f"{uri}/meta lists no episode")
    complete = replace(
        dataset,
        flags=tuple(sorted(complaints.flags)),
        notes=tuple(complaints.notes),
        content=_content(found),
        lost_entries={plain(k): plain(v) for k, v in complaints.entries.items()},
    )
    return complete, episodes


def _features(specs: Mapping[str, Any], complaints: metadata.Complaints) -> Iterator[Feature]:
    """Numeric features; one with more than WIDTH values in a row, or of no shape, is no signal of an arm."""
    for column, spec in specs.items():
        dtype = (
            str(spec.get("dtype", "")).casefold().removeprefix("numpy.").removeprefix("np.")
            if isinstance(spec, Mapping)
            else ""
        )
        if dtype and not dtype.startswith((*NUMBERS, *OTHERS)):
            complaints.about(f"feature {plain(column, NAME)} is of dtype {plain(dtype, NAME)}: not read")
        if dtype.startswith(NUMBERS):
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
        if names and all(isinstance(v, int) for v in names.values()):  # {name: index}
            yield from sorted(names, key=names.__getitem__)
        else:
            for value in names.values():
                yield from _flatten(value)
    elif isinstance(names, list):
        for value in names:
            yield from _flatten(value)


def _is_text(spec: Any) -> bool:
    return isinstance(spec, Mapping) and str(spec.get("dtype")) in ("string", "large_string", "str")


def _content(found: Listing) -> str:
    """Of all paths and sizes, and of what the smallest data file holds: sizes alone may agree by chance."""
    own = sorted((path, f.size) for path, f in found.files.items() if path.startswith(("data/", "videos/")))
    data = [f for path, f in found.files.items() if path.startswith("data/")]
    if not data:
        return ""
    digest = hashlib.blake2b(repr(own).encode(errors="surrogatepass"), digest_size=8)
    smallest = min(data, key=lambda f: (f.size, f.uri))
    with suppress(OSError), storage.opened(smallest.uri) as (file, _):
        digest.update(file.read(HEAD_BYTES))
    return digest.hexdigest()


def _no_pointers(found: Listing) -> None:
    """Raises SourceError where the data files are what git leaves of them without git-lfs."""
    data = [f for p, f in found.files.items() if p.startswith(("data/", "videos/")) and f.size <= POINTER_BYTES]
    smallest = min(data, key=lambda f: f.size, default=None)
    if smallest is not None and bounded.is_pointer(smallest.uri):
        raise SourceError(f"{found.uri}: {bounded.POINTER.format(uri=smallest.uri)}")


def _is_depth(feature: str, spec: Mapping[str, Any], details: Mapping[str, Any]) -> bool:
    """A depth map: said to be one, or called so, or an image of one channel (LeRobot's own pictures have three)."""
    if details.get("video.is_depth_map") or details.get("is_depth_map") or spec.get("is_depth_map"):
        return True
    shape = spec.get("shape")
    single = isinstance(shape, list) and len(shape) == 3 and 1 in (shape[0], shape[-1])
    return "depth" in re.split(r"[^a-z]+", feature.casefold()) or (single and str(spec.get("dtype")) == "image")


def _camera_features(
    specs: Mapping[str, Any], chosen: set[str], complaints: metadata.Complaints
) -> dict[str, tuple[str, str]]:
    """{feature: (name, video or image)} of declared cameras; depth maps are passed over, and told.

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
        if _is_depth(feature, spec, details):
            complaints.notes.append(f"{plain(feature, NAME)} is a depth map: passed over")
        elif not chosen or feature in chosen:
            cameras[feature] = (file_name(feature.removeprefix(PREFIX)), dtype)
    names = Counter(file_part(name).casefold() for name, _ in cameras.values())
    if max(names.values(), default=1) > 1:
        alike = sorted(plain(f, NAME) for f, (name, _) in cameras.items() if names[file_part(name).casefold()] > 1)
        raise SourceError(
            f"cameras {alike} would get the same name in a shard, where a dot becomes _ and case does not count"
        )
    return cameras
