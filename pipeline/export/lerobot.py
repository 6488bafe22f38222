"""A corpus as LeRobot v3.0 datasets: whole episodes, cleaned and aligned, one subtask an event.

In: a corpus, a folder. Out: a dataset a source in that folder, each written under a hidden name and put in place when
all are whole. Row i of an episode is frame i of each camera's proxy, at i / fps: the times that a log really had are in
the corpus alone. State, action and other numbers are as logged, read at the instants that align found. What LeRobot
0.4 and 0.5 know of subtasks is the column `subtask_index` and `meta/subtasks.parquet`; what 0.6 knows is the column
`language_persistent` (rows of style `subtask`), at which older ones stop: both are written, or the first alone.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.tables import by_episode
from pipeline.corpus.view import Corpus
from pipeline.export import NotExportable
from pipeline.export.choice import Group, groups
from pipeline.export.episodes import Exported, episode_of, features, table_of
from pipeline.export.statistics import Collected, Figures
from pipeline.export.videos import CHUNK, FILE_MB, PATH, Joined, Place, pixels
from pipeline.export.words import Words
from schemas.alignments import ALIGNMENTS
from schemas.captions import CAPTIONS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.observations import OBSERVATIONS
from schemas.signals import SIGNALS
from stages import storage
from stages.video.encode import exact_rate

DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
LISTED = "meta/episodes/chunk-000/file-000.parquet"
DATA_MB = 100  # of a data file, about
AT_ONCE = 32  # episodes whose rows are held
READ = (EPISODES, SIGNALS, ALIGNMENTS, OBSERVATIONS, EVENTS, CAPTIONS)


@dataclass(frozen=True, slots=True)
class Written:
    """A dataset: its folder, what is in it, and the columns that only some of its episodes have and that it goes
    without."""

    folder: str
    episodes: int
    frames: int
    events: int
    subtasks: int
    cameras: int
    left_out: tuple[str, ...]


def write(corpus: Corpus, target: str, level: str, rule: str | None = None, language: bool = True) -> list[Written]:
    """Write a dataset a source below `target`. Raises NotExportable, Quarantined where a file of the corpus is damaged,
    storage.Unusable."""
    uri = storage.normalise(target)
    if not storage.is_local(uri):
        raise NotExportable(f"--to {target}: datasets are written to a folder on a disk; copy them from there")
    if os.path.lexists(uri) and (not os.path.isdir(uri) or os.listdir(uri)):
        raise NotExportable(f"--to {target} is there and not empty: give a folder that is not there yet")
    chosen = groups(corpus, level, rule)
    temporary = os.path.join(os.path.dirname(uri), f".{os.path.basename(uri)}.{os.urandom(4).hex()}.tmp")
    try:
        with storage.writing(uri):
            os.makedirs(temporary)
            made = [_dataset(corpus, group, os.path.join(temporary, group.folder), level, language) for group in chosen]
            _flush(temporary)
            os.replace(temporary, uri)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return made


def _flush(folder: str) -> None:
    """All files to the disk, before the folder gets its name."""
    for root, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(root, name), "rb+") as file:
                os.fsync(file.fileno())


def _dataset(corpus: Corpus, group: Group, root: str, level: str, language: bool) -> Written:
    tasks, subtasks, collected = Words(), Words(), Collected()
    joined = {camera.name: Joined(root, camera.feature, group.fps) for camera in group.cameras}
    data = _Data(root)
    listed: list[dict[str, Any]] = []
    frames = events = 0
    codec = ""
    for number, episode in enumerate(_episodes(corpus, group, level)):
        table = table_of(episode, group, number, frames, tasks, subtasks, language)
        row = _listed(episode, number, frames, table.num_rows)
        row |= {"data/chunk_index": data.number // CHUNK, "data/file_index": data.number % CHUNK}
        statistics = {name: collected.add(name, values) for name, values in episode.numbers(table, group).items()}
        data.add(table)
        for camera in group.cameras:
            seen = episode.observations[camera.name]
            codec = "h264"
            with corpus.ledger.intact(f"media/{seen['proxy']}", episode.hashes[camera.name]) as proxy:
                shown = episode.shown[camera.name]
                place = joined[camera.name].add(proxy, shown, seen["gop"], episode.crf)
                count, colours = pixels(proxy)
            row |= _placed(camera.feature, place, group.fps)
            statistics[camera.feature] = collected.add(camera.feature, colours, count)
        listed.append(row | _flat(statistics))
        frames, events = frames + table.num_rows, events + len(episode.events)
    data.close()
    for one in joined.values():
        one.close()
    _parquet(os.path.join(root, LISTED), _listed_table(listed))
    _parquet(os.path.join(root, "meta/tasks.parquet"), tasks.table("task"))
    _parquet(os.path.join(root, "meta/subtasks.parquet"), subtasks.table("subtask"))
    _json(os.path.join(root, "meta/info.json"), _info(group, len(listed), frames, len(tasks.texts), codec, language))
    _json(os.path.join(root, "meta/stats.json"), collected.whole())
    calibrated = {c.feature: json.loads(c.calibration) for c in group.cameras if c.calibration}
    if calibrated:  # an extension of ours
        _json(os.path.join(root, "meta/calibration.json"), {"cameras": calibrated})
    shown_as = os.path.basename(root)
    return Written(shown_as, len(listed), frames, events, len(set(subtasks.texts)), len(group.cameras), group.left_out)


def _episodes(corpus: Corpus, group: Group, level: str) -> Iterator[Exported]:
    """Each episode with its rows; those of a few are held."""
    hashes = dict(corpus.files("observe").select("path", "sha256").iter_rows())
    crf = int(corpus.manifest["config"]["observe"]["crf"])
    tables = [t for t in READ if t is not CAPTIONS or corpus.has("caption")]
    for first in range(0, len(group.episodes), AT_ONCE):
        names = list(group.episodes[first : first + AT_ONCE])
        rows = {t.name: by_episode(corpus.root, t, corpus.parts(t.name, names)) for t in tables}
        for name in names:
            own = {table: found.get(name, []) for table, found in rows.items()}
            yield episode_of(own, level, hashes, crf)


class _Data:
    """The data files of a dataset: a row group an episode."""

    def __init__(self, root: str) -> None:
        self.root, self.number = root, 0
        self._bytes = 0
        self._writer: Any = None

    def add(self, table: pa.Table) -> None:
        if self._writer is None:
            chunk, file = divmod(self.number, CHUNK)
            path = os.path.join(self.root, DATA.format(chunk_index=chunk, file_index=file))
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._writer = pq.ParquetWriter(path, table.schema, compression="zstd")
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._bytes += table.nbytes
        if self._bytes >= DATA_MB << 20:
            self.close()
            self.number += 1
            self._bytes = 0

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _listed(episode: Exported, number: int, first: int, length: int) -> dict[str, Any]:
    """An episode's entry: LeRobot's own columns, what the source says of it, and what it is called in the corpus
    (names with a slash are no marks of a source's)."""
    return {
        "episode_index": number,
        "tasks": [episode.task],
        "length": length,
        "dataset_from_index": first,
        "dataset_to_index": first + length,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
        "corpus/episode_id": episode.name,
        "corpus/split": episode.split,
        **{name: value for name, value in episode.marks.items() if "/" not in name},
    }


def _placed(feature: str, place: Place, fps: float) -> dict[str, Any]:
    rate = float(exact_rate(fps))
    return {
        f"videos/{feature}/chunk_index": place.chunk,
        f"videos/{feature}/file_index": place.file,
        f"videos/{feature}/from_timestamp": place.start / rate,
        f"videos/{feature}/to_timestamp": (place.start + place.frames) / rate,
    }


def _flat(statistics: dict[str, Figures]) -> dict[str, Any]:
    return {f"stats/{feature}/{key}": value for feature, own in statistics.items() for key, value in own.items()}


def _listed_table(rows: Sequence[dict[str, Any]]) -> pa.Table:
    """Marks that only some episodes have are null in the others; of one whose values are of several kinds all are
    text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        kinds = {type(value) for value in values if value is not None}
        if kinds == {int, float}:
            values = [None if value is None else float(value) for value in values]
        elif len(kinds) > 1:
            values = [None if value is None else str(value) for value in values]
        columns[name] = pa.array(values)
    return pa.table(columns)


def _info(group: Group, episodes: int, frames: int, tasks: int, codec: str, language: bool) -> dict[str, Any]:
    rate = exact_rate(group.fps)
    return {
        "codebase_version": "v3.0",
        "robot_type": group.robot,
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": DATA_MB,
        "video_files_size_in_mb": FILE_MB,
        "fps": int(rate) if rate.denominator == 1 else float(rate),
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA,
        "video_path": PATH if group.cameras else None,
        "features": features(group, codec, language),
    }


def _parquet(path: str, table: pa.Table) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    pq.write_table(table, path, compression="zstd")


def _json(path: str, value: Any) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2, ensure_ascii=False)
        file.write("\n")
