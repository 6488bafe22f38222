"""Spans that a source brings along: AgiBot's `action_config` of an episode, LeRobot's column `subtask_index`.

In: an episode's metadata and rows. Out: `Label`s in frames, of the level that `ingest.labels` says. Formats after
https://huggingface.co/datasets/agibot-world/AgiBotWorld-Alpha and https://huggingface.co/docs/lerobot
(dataset_subtask).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from schemas.episodes import Label
from schemas.reasons import Quarantined, Reason
from stages.sources.columns import runs, values_of
from stages.text import plain

SUBTASKS = "subtask_index"


def action_spans(row: Mapping[str, Any]) -> tuple[tuple[int, int, str], ...]:
    """(start frame, end frame, text) of an episode's `action_config`; an entry that cannot be read has no frames, so
    that it is refused as a label and the episode is not."""
    info = row.get("label_info") or row.get("lable_info") or {}  # the second as AgiBot's first release has it
    actions = row.get("action_config") or (info.get("action_config") if isinstance(info, Mapping) else None) or []
    return tuple(_action(a) for a in actions) if isinstance(actions, list) else (_action(actions),)


def _action(action: Any) -> tuple[int, int, str]:
    try:
        start, end = int(action["start_frame"]), int(action["end_frame"])
        if not 0 <= start <= end < 10**12:
            raise ValueError("no frames of an episode")
        return start, end, plain(action.get("action_text") or "")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return 0, 0, plain(f"unreadable: {action!r}", 120)


def labels_of(
    spans: tuple[tuple[int, int, str], ...], table: pa.Table, subtasks: Mapping[int, str], level: str, where: str
) -> list[Label]:
    """Labels of an episode; table: its rows. Raises Quarantined for a subtask index that the metadata does not hold."""
    found = [Label(level, a, b, text, "frames", said_by="action_config") for a, b, text in spans]
    if SUBTASKS in table.column_names and subtasks:
        found += _runs(table, subtasks, level, where)
    return found


def _runs(table: pa.Table, subtasks: Mapping[int, str], level: str, where: str) -> Iterator[Label]:
    """A label for each run of rows of one subtask; rows without one (null or negative) have none."""
    index = np.nan_to_num(values_of(table, SUBTASKS, 1, where)[:, 0], nan=-1.0, posinf=-1.0, neginf=-1.0).astype(
        np.int64
    )
    for start, end in runs(index):
        number = int(index[start])
        if number < 0:
            continue
        if number not in subtasks:
            raise Quarantined(
                Reason.UNKNOWN_TASK,
                f"{where}: {SUBTASKS} is {number} at row {start}, meta/subtasks.parquet holds {sorted(subtasks)[:10]}",
            )
        yield Label(level, start, end, subtasks[number], "frames", said_by=SUBTASKS)
