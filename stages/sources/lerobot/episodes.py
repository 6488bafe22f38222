"""Where the rows and frames of each listed episode lie.

In: the rows of the episode list, the path templates of info.json, the files there are. Out: `Episodes`: in columns,
and one `Episode` at a time for units that run.
"""

from __future__ import annotations

import hashlib
import re
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from schemas.ids import episode_id, episode_key
from stages import storage
from stages.sources.files import Listing
from stages.sources.lerobot import metadata
from stages.sources.lerobot.labels import action_spans
from stages.sources.lerobot.stills import start_of
from stages.sources.protocol import ABSENT, Camera, Columns, Episode, Episodes, SourceError
from stages.storage import FileIdentity
from stages.text import NAME, plain

PLACE = re.compile(r"\{(\w+)(?::0?(\d{1,2})d?)?\}")  # {episode_index:06d}: all that a path template may hold
UNLISTED = 1000  # episodes that are counted and not listed, which get a row each; the last one tells how many more
Placed = tuple[str, FileIdentity | None, str]  # where it should be, its identity, what is wrong where there is none
ROWS, SECONDS = 1e12 - 1, 1e9 - 1  # at most, of what numbers of the metadata count
SLACK_ROWS = 100_000  # of a data file, beside those of its episodes


@dataclass(frozen=True, slots=True)
class Place:
    """Where an episode's rows lie; without a `file`, `why` says what is wrong with `expected`."""

    index: int
    length: int | None
    expected: str
    file: FileIdentity | None
    spans: tuple[tuple[int, int, str], ...] = ()  # its own, as action_config lists them: frames and words
    listed: bool = True  # by the episode metadata
    counted: bool = True  # by total_episodes of info.json
    more: int = 0  # so many others are counted and not listed, and have no row of their own
    why: str = ABSENT
    most_rows: int | None = None  # that its data file plausibly holds, from the lengths of all episodes in it


@dataclass(frozen=True, slots=True)
class _Declared:
    """A camera as info.json declares it: its feature, as it is shown to people, its name, and the columns of the
    episode list that place it."""

    feature: str
    shown: str
    name: str
    video: bool
    calibration: str | None
    from_key: str
    to_key: str

    @classmethod
    def of(cls, feature: str, name: str, dtype: str, calibration: str | None) -> _Declared:
        prefix = f"videos/{feature}"
        shown = plain(feature, NAME)
        return cls(
            feature, shown, name, dtype == "video", calibration, f"{prefix}/from_timestamp", f"{prefix}/to_timestamp"
        )


class Listed:
    """The episodes of a dataset; `survey` looks at each once, `make` makes one again when it is asked for."""

    def __init__(
        self,
        source: str,
        uri: str,
        rows: metadata.Rows,
        locate: Locator,
        cameras: Mapping[str, tuple[str, str]],
        calibrations: Mapping[str, str],
        total: int,
        tasks: Mapping[int, str],
    ) -> None:
        self.source, self.uri, self.rows, self.locate = source, uri, rows, locate
        self.total, self.tasks = total, tasks
        self.cameras = [_Declared.of(f, *of, calibrations.get(f)) for f, of in cameras.items()]
        self.kept = array("q")  # numbers of the rows that could be placed
        self.unlisted: list[int] = []  # indices that info.json counts and nothing describes
        self.more = 0
        self._rows_of: Counter[str] = Counter()  # rows of the episodes in each data file
        self._unknown: set[str] = set()  # files of an episode without a length
        self._texts: dict[tuple[str, str], str] = {}

    def survey(self, complaints: metadata.Complaints) -> Episodes:
        """All episodes in columns; one that cannot be placed is lost alone. Raises SourceError."""
        columns, tasks = Columns(), _digest(repr(sorted(self.tasks.items())))
        for number in range(len(self.rows)):
            counted = not self.total or len(self.kept) < self.total
            try:
                episode = self._episode(self.rows[number], counted)
            except metadata.OFF as error:
                if isinstance(error, SourceError):
                    raise
                place = f"episode {self.rows.indices[number]}"
                complaints.entries[place] = f"{self.uri}/meta: {place} cannot be placed: {plain(error, 300)}"
                continue
            self.kept.append(number)
            at: Place = episode.place
            if at.file is not None:
                self._rows_of[at.file.uri] += at.length or 0
                self._unknown |= {at.file.uri} if at.length is None else set()
            columns.add(episode, self._identity(episode, tasks))
        self._note_unlisted()
        for number in range(len(self.kept), len(self.kept) + len(self.unlisted)):
            columns.add(self.make(number), "unlisted")
        return Episodes(*columns.frames(), self.make)

    def make(self, number: int) -> Episode:
        """The number-th episode: those that could be placed, then those that are not listed.

        Of the last of a recorder that died, listed and not counted, `counted` is false. `most_rows` is a few times the
        rows of the episodes that are said to lie in the file, as rows of episodes that were deleted may lie there too.
        """
        if number >= len(self.kept):
            return self._absent(number - len(self.kept))
        counted = not self.total or number < self.total
        return self._episode(self.rows[self.kept[number]], counted)

    def _note_unlisted(self) -> None:
        """Episodes that info.json counts and nothing describes: a quarantine row each, not silence; of very many the
        last row says how many more there are."""
        lacking = max(0, self.total - len(self.kept))  # deleted episodes leave gaps: what is listed counts
        known = set(self.rows.indices[self.kept].tolist()) if lacking else set()
        self.unlisted = list(islice((i for i in range(self.total) if i not in known), min(UNLISTED, lacking)))
        self.more = lacking - len(self.unlisted)

    def _absent(self, number: int) -> Episode:
        index, last = self.unlisted[number], number == len(self.unlisted) - 1
        expected = f"{self.uri}/meta/episodes"
        place = Place(index, None, expected, None, listed=False, more=self.more if last else 0)
        key = episode_key(index)
        return Episode(self.source, key, episode_id(self.source, key), None, (), place)

    def _episode(self, row: Mapping[str, Any], counted: bool) -> Episode:
        index = int(row["episode_index"])
        expected, file, why = self.locate.data(row)
        length = row.get("length")
        length = None if length is None else int(metadata.number(length, "length", 0, ROWS))
        cameras = tuple([self._camera(row, of, (expected, file, why), length) for of in self.cameras])
        known = file is not None and file.uri not in self._unknown
        place = Place(
            index=index,
            length=length,
            expected=expected,
            file=file,
            spans=action_spans(row),
            counted=counted,
            why=why,
            most_rows=4 * self._rows_of[file.uri] + SLACK_ROWS if file and known else None,
        )
        key = episode_key(index)
        recording, task, marks = episode_id(self.source, key), metadata.first_task(row), metadata.marks(row)
        for name, first, end in self.locate.splits:
            if first <= index < end:
                marks.setdefault("split", name)
        return Episode(self.source, key, recording, task, cameras, place, marks)

    def _camera(self, row: Mapping[str, Any], of: _Declared, data: Placed, frames: int | None) -> Camera:
        if not of.video:  # its pictures are in the rows themselves
            place, file, why = data
            index = int(row["episode_index"])
            ends = start_of(index), start_of(index + 1)
            return Camera(of.name, of.shown, place, file, *ends, of.calibration, why, column=of.feature)
        place, file, why = self.locate.video(row, of.feature)
        start, end = row.get(of.from_key), row.get(of.to_key)
        to_s = None if end is None else metadata.number(end, of.to_key, 0, SECONDS)
        from_s = metadata.number(start or 0.0, of.from_key, 0, SECONDS)
        return Camera(of.name, of.shown, place, file, from_s, to_s, of.calibration, why, frames=frames)

    def _identity(self, episode: Episode, tasks: str) -> str:
        """(A task table counts where the episode's own metadata names no task.)"""
        at: Place = episode.place
        data, told = self._text(at.expected, at.file, at.why), episode.task or tasks
        own = f"{at.index} {at.length} {data} {at.spans!r} {at.counted} {told!r}"
        own += f" {episode.marks!r}" if episode.marks else ""
        cameras = [
            f"{c.name!r} {self._text(c.expected, c.file, c.why)} {c.from_s!r} {c.to_s!r} {c.calibration!r}"
            for c in episode.cameras
        ]
        return _digest(" ".join([own, *cameras]))

    def _text(self, expected: str, file: FileIdentity | None, why: str) -> str:
        """A place as text: once, however many episodes lie in the file."""
        text = self._texts.get((expected, why))
        if text is None:
            known = None if file is None else (file.uri, file.size, file.mtime_ns)
            text = self._texts[(expected, why)] = repr((expected, known, why))
        return text


class Locator:
    """Turns the path templates of info.json into files; where a template lies, the file's own name decides."""

    def __init__(self, info: Mapping[str, Any], found: Listing, version: str) -> None:
        self.info, self.found, self.uri, self.v3 = info, found, found.uri, version == "v3.0"
        self.splits = _splits(info)
        self.elsewhere: set[tuple[str, str]] = set()  # (folder of the template, folder where its files lie)
        self._below: dict[str, FileIdentity | None] | None = None
        self.by_name: dict[tuple[str, ...], FileIdentity] = {}
        self._placed: dict[tuple[Any, ...], Placed] = {}
        templates = ("data_path", "video_path") if self.v3 else ()
        self._shared = {t for t in templates if "episode_index" not in str(info.get(t))}
        self.size = 1000
        if not self.v3 and info.get("chunks_size"):
            self.size = int(metadata.of_info(found, info, "chunks_size", 1, ROWS))
        if not self.v3:  # names of v2 files are unique per episode (and camera folder)
            for path, identity in found.files.items():
                parts = path.split("/")
                self.by_name[(parts[0], *parts[-2:])] = identity
                self.by_name.setdefault((parts[0], parts[-1]), identity)

    def data(self, row: Mapping[str, Any]) -> Placed:
        return self._look("data_path", row, "data")

    def video(self, row: Mapping[str, Any], feature: str) -> Placed:
        return self._look("video_path", row, f"videos/{feature}", video_key=feature)

    def _look(self, template: str, row: Mapping[str, Any], prefix: str, **names: str) -> Placed:
        """Where a template leads; of v3, whose files hold many episodes, each place is looked up once."""
        chunk, file = row.get(f"{prefix}/chunk_index"), row.get(f"{prefix}/file_index")
        shared = template in self._shared
        place = (prefix, chunk, file)
        if shared and place in self._placed:
            return self._placed[place]
        path = self._fill(template, row, chunk, file, **names)
        found = self._place(path, self.by_name.get((*prefix.split("/", 1), path.split("/")[-1])))
        if shared:
            self._placed[place] = found
        return found

    def _place(self, path: str, otherwise: FileIdentity | None) -> Placed:
        why, place = self.found.why_refused(path), plain(storage.join(self.uri, path))
        if why:
            return place, None, why
        return place, self.found.files.get(path) or otherwise or self._near(path), ABSENT

    def _near(self, path: str) -> FileIdentity | None:
        """The only file that lies at this path below another folder (`video/` for `videos/`, say)."""
        if self._below is None:
            self._below = {}
            for own, identity in self.found.files.items():
                tail = own.partition("/")[2]
                self._below[tail] = None if tail in self._below else identity
        found = self._below.get(path.partition("/")[2])
        if found is not None and path.partition("/")[2]:
            actual = found.uri.removeprefix(self.uri).strip("/").partition("/")[0]
            self.elsewhere.add((path.partition("/")[0], actual))
        return found

    def _fill(self, key: str, row: Mapping[str, Any], chunk: Any, file: Any, **names: str) -> str:
        """A path template with its numbers; no format string of Python's: those can reach into objects, or be of any
        width. Raises SourceError."""
        index, template = int(row["episode_index"]), self.info.get(key)
        if self.v3:
            places = {"episode_index": index, "chunk_index": chunk, "file_index": file, **names}
        else:
            places = {
                "episode_index": index,
                **dict.fromkeys(("episode_chunk", "chunk_index"), index // self.size),
                **names,
            }

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


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()


def _splits(info: Mapping[str, Any]) -> tuple[tuple[str, int, int], ...]:
    """(name, first episode, one past the last) of the splits of info.json; none where it has a single one."""
    found = []
    given = info.get("splits")
    for name, span in given.items() if isinstance(given, Mapping) else ():
        match = re.fullmatch(r"\s*(\d{1,9})\s*:\s*(\d{1,9})\s*", str(span))
        if match:
            found.append((plain(name, NAME), int(match[1]), int(match[2])))
    return tuple(found) if len(found) > 1 else ()
