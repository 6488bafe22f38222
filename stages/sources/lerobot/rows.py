"""Rows of an episode's data file, held against what the metadata promises.

In: a dataset, an episode's place, the file's bytes. Out: a `Log`, whose streams share the column `timestamp`. Raises
Quarantined with a reason code and a message that says file, field, found, expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.episodes import Label
from schemas.reasons import Flag, Quarantined, Reason
from stages import bounded
from stages.sources.columns import runs, values_of
from stages.sources.lerobot.episodes import Place
from stages.sources.lerobot.labels import labels_of
from stages.sources.protocol import Episode, Stream
from stages.text import plain

if TYPE_CHECKING:
    from stages.sources.lerobot.dataset import LeRobotDataset

Float = npt.NDArray[np.float64]
META_COLUMNS = ("episode_index", "task_index", "timestamp", "subtask_index")


class LeRobotReader:
    """Reads episodes; v3 keeps many in one file, which is read once for neighbours."""

    def __init__(self, dataset: LeRobotDataset, columns: Sequence[str], optional: Sequence[str] = ()) -> None:
        told = [*dataset.mark_columns, *([dataset.language] if dataset.language else [])]
        self.dataset, self.columns, self.optional = dataset, columns, [*optional, *told]
        self._last: tuple[str, pa.Table] | None = None

    def read(self, episode: Episode) -> LeRobotLog:
        at: Place = episode.place
        uri = at.file.uri if at.file else at.expected
        if self._last is None or self._last[0] != uri:
            self._last = (uri, self._file(at))
        return LeRobotLog(self.dataset, episode, episode_rows(self._last[1], at))

    def _file(self, at: Place) -> pa.Table:
        """The file's columns; where it cannot be read with the optional ones, without them: they are then absent."""
        try:
            return read_file(self.dataset.uri, at, [*self.columns, *self.optional])
        except Quarantined as error:
            if error.reason is not Reason.UNREADABLE_FILE or not self.optional:
                raise
            return read_file(self.dataset.uri, at, self.columns)


@dataclass(slots=True)
class LeRobotLog:
    """One episode's rows."""

    dataset: LeRobotDataset
    episode: Episode
    table: pa.Table
    _time: Float | None = field(default=None, init=False)
    _said: list[tuple[int, int, str]] | None = field(default=None, init=False)

    @property
    def where(self) -> str:
        at: Place = self.episode.place
        return at.file.uri if at.file else at.expected

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    def stream(self, column: str) -> Stream:
        if self._time is None:
            self._time = self._values("timestamp")[:, 0]
        return Stream(self._time, self._time[:, None] if column == "timestamp" else self._values(column))

    def _values(self, column: str) -> Float:
        width = next((f.width for f in self.dataset.features if f.column == column), None)
        return values_of(self.table, column, width, self.where)

    def task(self) -> str | None:
        """The instruction: of the episode metadata, else of the rows; several, one after the other, where they change.
        Raises Quarantined for a task index that the table does not hold."""
        said = self._instructions()
        texts = list(dict.fromkeys(text for _, _, text in said))
        if len(texts) > 1:
            return ", then ".join(texts)
        return self.episode.task or (texts[0] if texts else None)

    def labels(self, level: str) -> list[Label]:
        at: Place = self.episode.place
        found = labels_of(at.spans, self.table, self.dataset.subtasks, level, self.where)
        said = self._instructions()
        if found or len({text for _, _, text in said}) < 2:
            return found
        return [Label(level, a, b, text, "frames", said_by="task_index") for a, b, text in said if text]

    def marks(self) -> Mapping[str, str | float | bool]:
        """success, where a column of the rows says so: once true is true."""
        found: dict[str, str | float | bool] = {}
        for column in self.dataset.mark_columns:
            if column in self.table.column_names and "success" not in self.episode.marks:
                values = values_of(self.table, column, 1, self.where)[:, 0]
                found["success"] = bool(np.nanmax(values, initial=0.0) > 0)
                break
        return found

    def _instructions(self) -> list[tuple[int, int, str]]:
        """(first row, one past the last, instruction) of the stretches of rows that one instruction is for."""
        if self._said is None:
            self._said = self._told()
        return self._said

    def _told(self) -> list[tuple[int, int, str]]:
        own, tasks, column = self.episode.task, self.dataset.tasks, self.dataset.language
        if "task_index" in self.table.column_names and tasks:
            index = values_of(self.table, "task_index", 1, self.where)[:, 0]
            if own and Flag.METADATA_REFUSED in self.dataset.flags:  # the table may have lost a line
                return []
            index = np.where(np.isfinite(index) & (index >= 0), index, -1.0)  # a row without one has no instruction
            unknown = [i for i in np.unique(index).tolist() if i >= 0 and int(i) not in tasks]
            if unknown:
                raise Quarantined(
                    Reason.UNKNOWN_TASK,
                    f"{self.where}: task_index {unknown[0]:g} is not in the task table ({len(tasks)} tasks)",
                    retryable=True,  # the table is no part of the episode's fingerprint: one more must not redo all
                )
            return [(a, b, tasks[int(index[a])]) for a, b in runs(index) if index[a] >= 0]
        if column and column in self.table.column_names:
            words = [plain(text or "") for text in self.table[column].to_pylist()]
            _, numbers = np.unique(words, return_inverse=True)
            return [(a, b, words[a]) for a, b in runs(numbers) if words[a]]
        return []


def read_file(dataset_uri: str, at: Place, columns: Sequence[str]) -> pa.Table:
    """The wanted columns of the episode's data file, all its episodes (v3 keeps several in one)."""
    if not at.listed:
        raise Quarantined(
            Reason.EPISODE_NOT_LISTED,
            f"{dataset_uri}/meta/info.json counts episode {at.index}, {at.expected} does not list it"
            + (f", nor {at.more} others after it" if at.more else ""),
        )
    if not at.counted:
        raise Quarantined(
            Reason.EPISODE_NOT_COUNTED,
            f"{dataset_uri}/meta/episodes lists episode {at.index}, total_episodes of meta/info.json "
            f"counts fewer: correct the one or the other",
        )
    if at.file is None:
        raise Quarantined(Reason.MISSING_FILE, f"{at.expected} {at.why}")
    uri = at.file.uri
    most = {} if at.most_rows is None else {"most_rows": at.most_rows}
    try:
        return bounded.table(uri, list(dict.fromkeys([*META_COLUMNS, *columns])), **most)
    except FileNotFoundError as error:
        raise Quarantined(Reason.MISSING_FILE, f"{uri} is absent") from error
    except bounded.Unreadable as error:
        raise Quarantined(Reason.UNREADABLE_FILE, str(error)) from error


def episode_rows(table: pa.Table, at: Place) -> pa.Table:
    """Rows of this episode. Raises Quarantined for none, or another number than the metadata says."""
    if "episode_index" in table.column_names:
        own = values_of(table, "episode_index", 1, at.expected)[:, 0] == at.index
        table = table.filter(pa.array(own))
    if table.num_rows == 0:
        raise Quarantined(Reason.EMPTY_EPISODE, f"{at.expected}: no row of episode {at.index}")
    if at.length is not None and table.num_rows != at.length:
        raise Quarantined(
            Reason.ROW_COUNT_MISMATCH,
            f"{at.expected}: {table.num_rows} rows of episode {at.index}, metadata says {at.length}",
        )
    return table
