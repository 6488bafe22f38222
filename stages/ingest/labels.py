"""Spans that a source brings along: AgiBot's `action_config` of an episode, LeRobot's column `subtask_index`.

In: an episode's metadata and rows. Out: `Label`s in frames, of the level that `ingest.labels` says. Formats after
https://huggingface.co/datasets/agibot-world/AgiBotWorld-Alpha and https://huggingface.co/docs/lerobot
(dataset_subtask).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.labels import Label
from schemas.reasons import Quarantined, Reason

SUBTASKS = "subtask_index"


def action_spans(row: Mapping[str, Any]) -> tuple[tuple[int, int, str], ...]:
    """(start frame, end frame, text) of an episode's `action_config`. Raises KeyError, TypeError or ValueError."""
    info = row.get("label_info") or row.get("lable_info") or {}  # the second as AgiBot's first release has it
    actions = row.get("action_config") or info.get("action_config") or []
    return tuple((int(a["start_frame"]), int(a["end_frame"]), str(a.get("action_text") or "")) for a in actions)


def labels_of(
    spans: tuple[tuple[int, int, str], ...], table: pa.Table, subtasks: Mapping[int, str], level: str, where: str
) -> list[Label]:
    """Labels of an episode; table: its rows. Raises Quarantined for a subtask index that the metadata does not hold."""
    found = [Label(level, a, b, text, "frames", said_by="action_config") for a, b, text in spans]
    if SUBTASKS in table.column_names:
        found += _runs(table, subtasks, level, where)
    return found


def _runs(table: pa.Table, subtasks: Mapping[int, str], level: str, where: str) -> Iterator[Label]:
    """A label for each run of rows of one subtask; rows without one (null or negative) have none."""
    index = np.asarray(pc.fill_null(table[SUBTASKS], -1).to_numpy(), dtype=np.int64)
    edges = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), len(index)]
    for start, end in pairwise(edges):
        number = int(index[start])
        if number < 0:
            continue
        if number not in subtasks:
            raise Quarantined(
                Reason.UNKNOWN_TASK,
                f"{where}: {SUBTASKS} is {number} at row {start}, meta/subtasks.parquet holds {sorted(subtasks)[:10]}",
            )
        yield Label(level, start, end, subtasks[number], "frames", said_by=SUBTASKS)
