"""The table of what really happened, for tests and benchmarks; the pipeline never reads it.

In: the recordings of all cells. Out: ``truth.parquet`` with one row per phase, per episode and per
landmark (column ``kind``); columns that a kind does not use are null. Frames are video frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .captions.truth import PLACES
from .dataset import LAG_FRAMES
from .worker import Recording, colour_rgb

SCHEMA = pa.schema(
    [
        ("dataset", pa.string()),
        ("episode_index", pa.int64()),
        ("kind", pa.string()),
        ("start_frame", pa.int64()),
        ("end_frame", pa.int64()),
        ("phase", pa.string()),
        ("task", pa.string()),
        ("task_text", pa.string()),
        ("object", pa.string()),
        ("colour", pa.string()),
        ("rgb", pa.list_(pa.float64())),
        ("named_in_text", pa.bool_()),
        ("from_place", pa.string()),
        ("to_place", pa.string()),
        ("lag_frames", pa.int64()),
        ("n_missed_grasps", pa.int64()),
        ("success", pa.bool_()),
        ("camera", pa.string()),
        ("frame", pa.int64()),
        ("x", pa.float64()),
        ("y", pa.float64()),
        ("z", pa.float64()),
        ("u", pa.float64()),
        ("v", pa.float64()),
    ]
)


def write_truth(path: Path, cells: Mapping[str, list[Recording]]) -> None:
    """Write the truth of all cells' recordings to ``path``."""
    rows: list[dict[str, Any]] = []
    for cell, recordings in cells.items():
        for index, recording in enumerate(recordings):
            head = {"dataset": cell, "episode_index": index}
            rows.extend(head | row for row in _rows(cell, recording))
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    pq.write_table(table, path, compression="zstd", compression_level=15)


def _rows(cell: str, recording: Recording) -> Iterator[dict[str, Any]]:
    """The rows of one episode, without dataset and index."""
    plan = recording.plan
    yield {
        "kind": "episode",
        "task": plan.task,
        "task_text": plan.text,
        "object": plan.spec.noun,
        "colour": plan.colour,
        "rgb": colour_rgb(plan.colour),
        "named_in_text": plan.named_in_text,
        "from_place": PLACES.get(plan.task, ("", ""))[0],
        "to_place": PLACES.get(plan.task, ("", ""))[1],
        "lag_frames": LAG_FRAMES[cell],
        "n_missed_grasps": sum(phase.name == "missed_grasp" for phase in recording.phases),
        "success": True,
    }
    for phase in recording.phases:
        yield {
            "kind": "event",
            "start_frame": phase.start,
            "end_frame": phase.end,
            "phase": phase.name,
        }
    for mark in recording.landmarks:
        x, y, z = mark.point
        u, v = mark.pixel
        yield {
            "kind": "landmark",
            "camera": mark.camera,
            "frame": mark.frame,
            "x": x,
            "y": y,
            "z": z,
            "u": u,
            "v": v,
        }
