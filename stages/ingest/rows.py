"""Rows of an episode's data file as NumPy columns, checked against what the metadata promises.

In: a dataset, an episode reference, the file's bytes. Out: {column: float64[T, D]} and the timestamps float64[T].
Raises Quarantined with a reason code and a message that says file, field, found, expected.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.reasons import Evidence, Quarantined, Reason
from stages import bounded
from stages.ingest.columns import values_of
from stages.ingest.lerobot import Dataset, EpisodeRef
from stages.seconds import step_of

Float = npt.NDArray[np.float64]
MOST = 1e15  # no signal is larger, and the square of this one is still a float32
LEAST_STEP_S = 1e-7  # between two rows
META_COLUMNS = ("episode_index", "task_index", "timestamp", "subtask_index")


def read_file(reference: EpisodeRef, columns: Iterable[str]) -> pa.Table:
    """The wanted columns of the episode's data file, all its episodes (v3 keeps several in one)."""
    if not reference.listed:
        raise Quarantined(
            Reason.EPISODE_NOT_LISTED,
            f"{reference.dataset_uri}/meta/info.json counts episode {reference.index}, "
            f"{reference.expected} does not list it"
            + (f", nor {reference.more} others after it" if reference.more else ""),
        )
    if not reference.counted:
        raise Quarantined(
            Reason.EPISODE_NOT_COUNTED,
            f"{reference.dataset_uri}/meta/episodes lists episode {reference.index}, total_episodes of meta/info.json "
            f"counts fewer: correct the one or the other",
        )
    if reference.file is None:
        raise Quarantined(Reason.MISSING_FILE, f"{reference.expected} {reference.why}")
    uri = reference.file.uri
    most = {} if reference.most_rows is None else {"most_rows": reference.most_rows}
    try:
        return bounded.table(uri, [*META_COLUMNS, *columns], **most)
    except FileNotFoundError as error:
        raise Quarantined(Reason.MISSING_FILE, f"{uri} is absent") from error
    except bounded.Unreadable as error:
        raise Quarantined(Reason.UNREADABLE_FILE, str(error)) from error


def episode_rows(table: pa.Table, reference: EpisodeRef) -> pa.Table:
    """Rows of this episode. Raises Quarantined for none, or another number than the metadata says."""
    if "episode_index" in table.column_names:
        own = values_of(table, "episode_index", 1, reference.expected)[:, 0] == reference.index
        table = table.filter(pa.array(own))
    if table.num_rows == 0:
        raise Quarantined(Reason.EMPTY_EPISODE, f"{reference.expected}: no row of episode {reference.index}")
    if reference.length is not None and table.num_rows != reference.length:
        raise Quarantined(
            Reason.ROW_COUNT_MISMATCH,
            f"{reference.expected}: {table.num_rows} rows of episode {reference.index}, "
            f"metadata says {reference.length}",
        )
    return table


def numeric(table: pa.Table, column: str, dataset: Dataset, where: str) -> Float:
    """float64[T, D] of a column. Raises Quarantined where it is absent, ragged, of another width, or not finite."""
    width = next((f.width for f in dataset.features if f.column == column), None)
    values = values_of(table, column, width, where)
    bad = ~(np.abs(values) <= MOST)
    if bad.any():
        row, index = (int(i) for i in np.argwhere(bad)[0])
        raise Quarantined(
            Reason.NOT_FINITE,
            f"{where}: column {column}[{index}] is {values[row, index]} at row {row}, {int(bad.sum())} such values; "
            f"finite numbers are expected, at most {MOST:g}",
            evidence=Evidence.around(row, {f"{column}[{index}]": values[:, index].tolist()}),
        )
    return values


def timestamps(table: pa.Table, dataset: Dataset, max_gap_s: float, where: str) -> Float:
    """float64[T], s. Raises Quarantined where they repeat, go back, or leave a hole longer than max_gap_s."""
    time = numeric(table, "timestamp", dataset, where)[:, 0]
    steps = np.diff(time)

    def shown(row: int) -> Evidence:
        return Evidence.around(row, {"timestamp, s": time.tolist()})

    if (steps < 0).any():
        row = int(np.argmax(steps < 0)) + 1
        raise Quarantined(
            Reason.TIME_NOT_INCREASING,
            f"{where}: column timestamp is {time[row]:.4f} s at row {row} and {time[row - 1]:.4f} s at the row before "
            f"it, {int((steps < 0).sum())} steps back; it is expected to increase",
            evidence=shown(row),
        )
    if (steps < LEAST_STEP_S).any():
        row = int(np.argmax(steps < LEAST_STEP_S)) + 1
        raise Quarantined(
            Reason.TIME_REPEATS,
            f"{where}: column timestamp is {time[row]:.4f} s at rows {row - 1} and {row}, "
            f"{int((steps < LEAST_STEP_S).sum())} repeats; it is expected to increase",
            evidence=shown(row),
        )
    if steps.size and steps.max() > max_gap_s + step_of(time):
        row = int(np.argmax(steps)) + 1
        raise Quarantined(
            Reason.TIME_GAP,
            f"{where}: column timestamp jumps by {steps.max():.2f} s between rows {row - 1} and {row}, "
            f"ingest.max_gap_s allows {max_gap_s} s",
            evidence=shown(row),
        )
    return np.asarray(time)
