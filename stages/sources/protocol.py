"""What a log format must tell: which episodes there are, and, of one episode, its streams and its pictures.

A `Format` finds datasets and surveys them: a `Dataset` (small, travels with every task) and its episodes. Episodes are
described without opening a data or video file; `Dataset.reader` and `Dataset.frames` open them, in a worker. Streams
have clocks of their own; a camera is pictures with presentation times, from a video file or from stills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.datatypes import DataTypeClass

from schemas.episodes import Label
from schemas.ids import episode_id
from schemas.reasons import Flag
from stages.storage import FileIdentity

if TYPE_CHECKING:
    from stages.video.pictures import Pictures

Float = npt.NDArray[np.float64]
ABSENT = "is absent"


class SourceError(ValueError):
    """A source that cannot be used as given; the message says what to type instead."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of an episode: its file, and where in it the episode lies, s from the file's first frame; `start_s`:
    when that is on the source's clock. Without a file `why` says what is wrong with `expected`, where it should be.
    `feature` is the source's own name for it; `fps` its declared rate, where that is not the dataset's; `calibration`
    JSON (pipeline/sample/README.md has its form); `frames`: pictures that the episode should have, as the source counts
    them; `column`: of a table that holds its pictures, where the file is one."""

    name: str
    feature: str
    expected: str
    file: FileIdentity | None
    from_s: float = 0.0
    to_s: float | None = None
    calibration: str | None = None
    why: str = ABSENT
    fps: float | None = None
    start_s: float = 0.0
    frames: int | None = None
    column: str = ""


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode as the source declares it. `key` is unique in its source and the source's own choice; episodes of one
    `recording` are never parted between train and val; `place` is what the adapter needs to read it."""

    source: str
    key: str
    recording: str
    task: str | None
    cameras: tuple[Camera, ...]
    place: Any
    marks: Mapping[str, str | float | bool] = field(default_factory=dict)  # success, operator, ...

    @property
    def episode_id(self) -> str:
        return episode_id(self.source, self.key)


@dataclass(frozen=True, slots=True)
class Feature:
    """A column of the log: its width, the names of its values (empty if the source gives none), its unit (empty if
    the source gives none). `held`: it is published only when it changes, and a value stands until the next."""

    column: str
    width: int
    names: tuple[str, ...] = ()
    unit: str = ""
    held: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """time_s float64[N] on the source's clock, as logged, from the column `clock`; values float64[N, D], NaN where
    there is none. Streams of one clock share the array."""

    time_s: Float
    values: Float
    clock: str = "timestamp"


class Log(Protocol):
    """One episode's log, read as it is asked for. Methods raise Quarantined."""

    @property
    def where(self) -> str:
        """The file, for messages."""

    @property
    def rows(self) -> int:
        """Rows of the stream that has most."""

    def stream(self, column: str) -> Stream:
        """A column with its times."""

    def task(self) -> str | None:
        """The instruction; None where neither metadata nor rows give one."""

    def labels(self, level: str) -> list[Label]:
        """Spans that the source brings along, such as instructions over time."""

    def marks(self) -> Mapping[str, str | float | bool]:
        """What its rows say of the episode as a whole, such as success."""


class Reader(Protocol):
    """Reads episodes of one dataset one after another; what neighbours share is read once."""

    def read(self, episode: Episode) -> Log:
        """Raises Quarantined."""


class Dataset(Protocol):
    """One dataset, without its episodes; picklable."""

    @property
    def name(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def format(self) -> str:
        """Such as lerobot/v3.0."""

    @property
    def robot(self) -> str: ...
    @property
    def fps(self) -> float:
        """Declared rate of the canonical clock, 1/s."""

    @property
    def rows_are_frames(self) -> bool:
        """Whether each row of the log is declared to be one frame of every camera, so that their counts must agree."""

    @property
    def features(self) -> tuple[Feature, ...]: ...
    @property
    def modality(self) -> Mapping[str, Mapping[str, tuple[int, int]]]:
        """{column: {named part of it: [first, last) value}}; empty where the source names none."""

    @property
    def ranges(self) -> Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]:
        """{column: (smallest, largest) of each value over the dataset}; empty where the source does not say."""

    @property
    def flags(self) -> tuple[Flag, ...]:
        """For every episode."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What of its metadata is not used, a line each."""

    @property
    def content(self) -> str:
        """The same for copies of one dataset, wherever they lie; empty: not known."""

    @property
    def lost_entries(self) -> Mapping[str, str]:
        """{entry of its list of episodes that cannot be read: why}."""

    def identity(self, labels: bool) -> Any:
        """What of it every episode's content hangs on, JSON or dataclasses; labels: spans of the source are used."""

    def reader(self, columns: Sequence[str], optional: Sequence[str] = ()) -> Reader:
        """Of these columns; what is wrong with an optional one costs no other."""

    def has(self, episode: Episode) -> bool:
        """Whether the log of an episode is there."""

    def pictures(self, camera: Camera, local: str) -> Pictures:
        """Pictures of the camera's file, of which `local` is a local copy. Raises Quarantined."""


@dataclass(frozen=True, slots=True)
class Episodes:
    """The episodes of a dataset in order, in columns; one is made an object when it is asked for.

    table: key, recording, named (the metadata gives a task), identity (what its content hangs on: files with size and
    mtime, length, task). cameras: key, camera, uri (null: no file), size, mtime_ns, from_s, to_s, fps (null: the
    dataset's), frames, column.
    """

    table: pl.DataFrame
    cameras: pl.DataFrame
    make: Callable[[int], Episode]

    def __len__(self) -> int:
        return self.table.height

    def __iter__(self) -> Iterator[Episode]:
        return map(self.make, range(len(self)))


class Format(Protocol):
    """A log format."""

    @property
    def expects(self) -> str:
        """What a folder of this format holds, for the message where none is found."""

    def is_dataset(self, uri: str) -> bool: ...

    def load(self, name: str, uri: str, follow: bool) -> tuple[Dataset, Episodes]:
        """Raises SourceError. follow: also through links that lead out of the dataset."""


TABLE = {"key": pl.String, "recording": pl.String, "named": pl.Boolean, "identity": pl.String}
WORD = pl.Categorical()  # few values, many rows
CAMERAS: dict[str, DataTypeClass | pl.DataType] = {
    "key": pl.String, "camera": WORD, "uri": WORD, "size": pl.Int64, "mtime_ns": pl.Int64,
    "from_s": pl.Float64, "to_s": pl.Float64, "fps": pl.Float64, "frames": pl.Int64, "column": WORD,
}  # fmt: skip


AT_ONCE = 4096  # episodes that are held as objects while columns are gathered


class Columns:
    """Gathers episodes, one at a time, into the columns of `Episodes`."""

    def __init__(self) -> None:
        self._table: list[tuple[Any, ...]] = []
        self._cameras: list[tuple[Any, ...]] = []
        self._done: list[tuple[pl.DataFrame, pl.DataFrame]] = []

    def add(self, episode: Episode, identity: str) -> None:
        self._table.append((episode.key, episode.recording, bool(episode.task), identity))
        for c in episode.cameras:
            file = (c.file.uri, c.file.size, c.file.mtime_ns) if c.file else (None, None, None)
            self._cameras.append((episode.key, c.name, *file, c.from_s, c.to_s, c.fps, c.frames, c.column))
        if len(self._table) == AT_ONCE:
            self._fold()

    def _fold(self) -> None:
        table = pl.DataFrame(self._table, schema=TABLE, orient="row")
        self._done.append((table, pl.DataFrame(self._cameras, schema=CAMERAS, orient="row")))
        self._table, self._cameras = [], []

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(table, cameras) as `Episodes` has them."""
        self._fold()
        return pl.concat([t for t, _ in self._done]), pl.concat([c for _, c in self._done])


def listed(episodes: Sequence[Episode], identity: Callable[[Episode], str]) -> Episodes:
    """Episodes that are all in hand."""
    columns = Columns()
    for episode in episodes:
        columns.add(episode, identity(episode))
    return Episodes(*columns.frames(), episodes.__getitem__)
