"""LeRobot v2.0, v2.1 and v3.0 metadata: which episodes there are and where their rows and frames lie.

In: a dataset URI. Out: a `Dataset` with one `EpisodeRef` an episode, without opening a data or video file: folders are
listed once, and that listing gives each file's identity (size, mtime). Read with pyarrow alone; formats after
https://huggingface.co/docs/lerobot (v2: one file an episode; v3: several episodes a file, placed by meta/episodes).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import pyarrow as pa

from schemas.ids import episode_id, file_part
from schemas.reasons import Flag
from stages import storage
from stages.bounded import WIDTH
from stages.ingest import metadata
from stages.ingest.files import Listing, listing
from stages.ingest.labels import action_spans
from stages.ingest.sources import SourceError
from stages.storage import FileIdentity
from stages.text import NAME, file_name, plain

VERSIONS = ("v2.0", "v2.1", "v3.0")
FPS = (1e-3, 1e5)  # between which a rate of rows and frames is plausible, Hz
PLACE = re.compile(r"\{(\w+)(?::0?(\d{1,2})d?)?\}")  # {episode_index:06d}: all that a path template may hold
UNLISTED = 1000  # episodes that are counted and not listed, which get a row each; the last one tells how many more
PREFIX = "observation.images."
ABSENT = "is absent"
IMAGES = "holds its pictures, dtype image, which are not read"


@dataclass(frozen=True, slots=True)
class CameraRef:
    """A camera of an episode: its file, and where in it the episode lies, s. Without a file `why` says what is wrong
    with `expected`, where it should be."""

    name: str
    feature: str
    expected: str
    file: FileIdentity | None
    from_s: float
    to_s: float | None
    calibration: str | None
    why: str = ABSENT


@dataclass(frozen=True, slots=True)
class EpisodeRef:
    """An episode as the metadata declares it; without a `file`, `why` says what is wrong with `expected`."""

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
    more: int = 0  # so many others are counted and not listed, and have no row of their own
    why: str = ABSENT
    most_rows: int | None = None  # that its data file plausibly holds, from the lengths of all episodes in it


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
    flags: tuple[Flag, ...] = ()  # for every episode
    notes: tuple[str, ...] = ()  # what of its metadata is not used
    lost_entries: Mapping[str, str] = field(default_factory=dict)  # entries of its list of episodes: {place: why lost}


def load(name: str, uri: str, follow: bool = False) -> tuple[Dataset, list[EpisodeRef]]:
    """Dataset and its episodes in order; follow: also through links that lead out of it. Raises SourceError where the
    metadata cannot be read or contradicts itself."""
    try:
        return _load(name, uri, follow)
    except SourceError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, OSError, pa.ArrowException) as error:
        raise SourceError(f"{uri}/meta cannot be read: {type(error).__name__}: {plain(error, 300)}") from error


def _load(name: str, uri: str, follow: bool) -> tuple[Dataset, list[EpisodeRef]]:
    found, complaints = listing(uri, follow), metadata.Complaints()
    info = metadata.required(found, "meta/info.json")
    version = str(info.get("codebase_version", "?"))
    if version not in VERSIONS:
        raise SourceError(
            f"{uri}/meta/info.json: codebase_version is {plain(version, NAME)!r}, expected one of {VERSIONS}"
        )
    fps, specs = float(info["fps"]), dict(info["features"])
    if not (math.isfinite(fps) and FPS[0] <= fps <= FPS[1]):
        raise SourceError(f"{uri}/meta/info.json: fps is {fps:g}, expected are {FPS[0]:g} to {FPS[1]:g} a second")
    parts, videos = metadata.modality(found, complaints)
    cameras = _camera_features(specs, videos)
    calibrations = metadata.calibrations(found, complaints)
    rows = metadata.episode_rows(found, version, complaints)
    dataset = Dataset(
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
    locate, references = _Locator(info, found, version), []
    for row in rows:
        try:
            references.append(_reference(dataset, row, cameras, calibrations, locate))
        except metadata.OFF as error:
            if isinstance(error, SourceError):
                raise
            place = f"episode {row['episode_index']}"
            complaints.entries[place] = f"{uri}/meta: {place} cannot be placed: {plain(error, 300)}"
    if rows and not references:
        raise SourceError(next(iter(complaints.entries.values())))
    total = info.get("total_episodes") or 0  # 0: it does not say
    total = int(total) if isinstance(total, int | float) and total is not True and 0 <= total < 1e18 else 0
    if total and len(references) > total:  # the last ones: a recorder that died listed them, then did not count them
        references = [*references[:total], *(replace(r, counted=False) for r in references[total:])]
    references = _with_plausible_rows(references) + _unlisted(dataset, total, {r.index for r in references})
    if not references:
        raise SourceError(f"{uri}/meta lists no episode")
    complete = replace(
        dataset,
        flags=tuple(sorted(complaints.flags)),
        notes=tuple(complaints.notes),
        lost_entries={plain(k): plain(v) for k, v in complaints.entries.items()},
    )
    return complete, references


def _with_plausible_rows(references: list[EpisodeRef]) -> list[EpisodeRef]:
    """Each with a bound on the rows of its data file: a few times those of the episodes that are said to lie in it, as
    rows of episodes that were deleted may lie there too. None where a length is not given."""
    rows, unknown = Counter[str](), set[str]()
    for r in references:
        if r.file is not None:
            rows[r.file.uri] += r.length or 0
            unknown |= {r.file.uri} if r.length is None else set()
    return [
        r if r.file is None or r.file.uri in unknown else replace(r, most_rows=4 * rows[r.file.uri] + 100_000)
        for r in references
    ]


def _unlisted(dataset: Dataset, total: int, listed: set[int]) -> list[EpisodeRef]:
    """Episodes that info.json counts and nothing describes: a quarantine row each, not silence; of very many the last
    row says how many more there are."""
    expected = f"{dataset.uri}/meta/episodes"
    absent = list(islice((i for i in range(total) if i not in listed), UNLISTED))
    more = max(0, total - sum(i < total for i in listed) - len(absent))
    return [
        EpisodeRef(
            episode_id(dataset.name, i), dataset.name, dataset.uri, i, None, None, expected, None, (), listed=False,
            more=more if i == absent[-1] else 0,
        )
        for i in absent
    ]  # fmt: skip


class _Locator:
    """Turns the path templates of info.json into files; where a template lies, the file's own name decides."""

    def __init__(self, info: Mapping[str, Any], found: Listing, version: str) -> None:
        self.info, self.found, self.uri, self.v3 = info, found, found.uri, version == "v3.0"
        self.by_name: dict[tuple[str, ...], FileIdentity] = {}
        if not self.v3:  # names of v2 files are unique per episode (and camera folder)
            for path, identity in found.files.items():
                parts = path.split("/")
                self.by_name[(parts[0], *parts[-2:])] = identity
                self.by_name.setdefault((parts[0], parts[-1]), identity)

    def data(self, row: Mapping[str, Any]) -> tuple[str, FileIdentity | None, str]:
        path = self._fill("data_path", row, row.get("data/chunk_index"), row.get("data/file_index"))
        return self._place(path, self.by_name.get(("data", path.split("/")[-1])))

    def video(self, row: Mapping[str, Any], feature: str) -> tuple[str, FileIdentity | None, str]:
        chunk, file = row.get(f"videos/{feature}/chunk_index"), row.get(f"videos/{feature}/file_index")
        path = self._fill("video_path", row, chunk, file, video_key=feature)
        return self._place(path, self.by_name.get(("videos", feature, path.split("/")[-1])))

    def _place(self, path: str, otherwise: FileIdentity | None) -> tuple[str, FileIdentity | None, str]:
        """(where it should be, its identity, what is wrong where there is none)."""
        why, place = self.found.why_refused(path), plain(storage.join(self.uri, path))
        return (place, None, why) if why else (place, self.found.files.get(path) or otherwise, ABSENT)

    def _fill(self, key: str, row: Mapping[str, Any], chunk: Any, file: Any, **names: str) -> str:
        """A path template with its numbers; no format string of Python's: those can reach into objects, or be of any
        width. Raises SourceError."""
        index, size = int(row["episode_index"]), int(self.info.get("chunks_size") or 1000)
        template = self.info.get(key)
        if self.v3:
            places = {"episode_index": index, "chunk_index": chunk, "file_index": file, **names}
        else:
            places = {"episode_index": index, **dict.fromkeys(("episode_chunk", "chunk_index"), index // size), **names}

        def fill(match: re.Match[str]) -> str:
            value, width = places.get(match[1]), int(match[2] or 0)
            if isinstance(value, float) and value.is_integer():  # a column of whole numbers in which one is missing
                value = int(value)
            if value is None or (match[2] is not None and not isinstance(value, int)):
                raise ValueError(
                    f"{self.uri}/meta/info.json: {key} {plain(template)!r} cannot be filled for episode {index}: "
                    f"{match[1]} is {plain(repr(value), NAME)}"
                )
            return f"{value:0{width}d}" if isinstance(value, int) else value

        if not isinstance(template, str) or set("{}") & set(PLACE.sub("", template)):
            raise SourceError(
                f"{self.uri}/meta/info.json: {key} is {plain(repr(template), 200)}; a path is expected, with places "
                f"such as {{episode_index:06d}}, known are {', '.join(places)}"
            )
        return PLACE.sub(fill, template)


def _reference(
    dataset: Dataset,
    row: Mapping[str, Any],
    cameras: Mapping[str, tuple[str, str]],
    calibrations: Mapping[str, str],
    locate: _Locator,
) -> EpisodeRef:
    index = int(row["episode_index"])
    expected, file, why = locate.data(row)
    refs = []
    for feature, (name, dtype) in cameras.items():
        place, video, video_why = locate.video(row, feature) if dtype == "video" else (expected, None, IMAGES)
        start, end = row.get(f"videos/{feature}/from_timestamp"), row.get(f"videos/{feature}/to_timestamp")
        refs.append(
            CameraRef(
                name=name,
                feature=plain(feature, NAME),
                expected=place,
                file=video,
                from_s=_seconds(start or 0.0),
                to_s=None if end is None else _seconds(end),
                calibration=calibrations.get(feature),
                why=video_why,
            )
        )
    length = row.get("length")
    if length is not None and not 0 <= int(length) < 10**12:
        raise ValueError(f"length is {length}")
    return EpisodeRef(
        episode_id=episode_id(dataset.name, index),
        source=dataset.name,
        dataset_uri=dataset.uri,
        index=index,
        length=None if length is None else int(length),
        task=metadata.first_task(row),
        expected=expected,
        file=file,
        cameras=tuple(refs),
        spans=action_spans(row),
        why=why,
    )


def _seconds(value: Any) -> float:
    seconds = float(value)
    if not 0 <= seconds < 1e9:
        raise ValueError(f"a time of {seconds} s in a video file")
    return seconds


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
