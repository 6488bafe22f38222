"""One episode of a corpus as rows of a LeRobot dataset.

In: its rows in the corpus's tables. Out: an Arrow table, one row a canonical frame, and what of it is counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.export.choice import Group
from pipeline.export.words import Words
from schemas.alignments import AlignmentRow
from schemas.episodes import EpisodeRow
from schemas.events import EventRow
from schemas.observations import ObservationRow
from stages.episode import Signal, signals_of
from stages.video.encode import exact_rate

INTEGERS = ("frame_index", "episode_index", "index", "task_index", "subtask_index")
LANGUAGE = "language_persistent"  # as lerobot 0.6 has it: an episode's rows, in each of its frames
SAID = pa.struct(
    [
        pa.field("role", pa.string(), nullable=False),
        pa.field("content", pa.string()),
        pa.field("style", pa.string()),
        pa.field("timestamp", pa.float32(), nullable=False),
        pa.field("camera", pa.string()),
        pa.field("tool_calls", pa.list_(pa.json_())),
    ]
)


@dataclass(frozen=True, slots=True)
class Exported:
    """An episode with its events of one level in order, as (first frame, one past the last, words); shown: the proxy
    frame of each row, by camera; hashes: sha256 of the proxies."""

    name: str
    task: str
    split: str
    marks: Mapping[str, Any]
    frames: int
    times: npt.NDArray[np.float64]
    signals: Mapping[str, Signal]
    events: tuple[tuple[int, int, str], ...]
    observations: Mapping[str, ObservationRow]
    shown: Mapping[str, Sequence[int]]
    hashes: Mapping[str, str]
    crf: int

    def numbers(self, table: pa.Table, group: Group) -> dict[str, npt.NDArray[Any]]:
        """{feature: float or int [T, D]} of which statistics are made."""
        found = {}
        for name in (*(c.name for c in group.columns), "timestamp", *INTEGERS):
            column = table[name].combine_chunks()
            flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
            found[name] = flat.to_numpy(zero_copy_only=False).reshape(table.num_rows, -1)
        return found


def episode_of(rows: Mapping[str, Sequence[Any]], level: str, hashes: Mapping[str, str], crf: int) -> Exported:
    """An episode of its rows by table; hashes: of all proxies, by path in the corpus."""
    (episode,), (alignment,) = rows["episodes"], rows["alignments"]
    about: EpisodeRow = episode
    aligned: AlignmentRow = alignment
    texts = {row["event_id"]: row["text"] for row in rows.get("captions", ())}
    own: list[EventRow] = [e for e in rows["events"] if e["level"] == level and e["track"] == "all"]
    own.sort(key=lambda e: int(e["start_frame"]))
    seen: dict[str, ObservationRow] = {row["camera"]: row for row in rows["observations"]}
    return Exported(
        name=about["episode_id"],
        task=about["task"],
        split=about["split"],
        marks=json.loads(about["marks"]),
        frames=int(aligned["n_frames"]),
        times=np.asarray(aligned["signal_time_s"], dtype=np.float64),
        signals=signals_of(rows["signals"]),
        events=tuple((int(e["start_frame"]), int(e["end_frame"]), _words(e, texts)) for e in own),
        observations=seen,
        shown={c["name"]: c["frame_index"] for c in aligned["cameras"]},
        hashes={camera: hashes[f"media/{row['proxy']}"] for camera, row in seen.items()},
        crf=crf,
    )


def _words(event: EventRow, texts: Mapping[str, str]) -> str:
    """What people have said of an event, else its caption, else what is done in it."""
    return event["label"] or texts.get(event["event_id"]) or event["primitive"]


def table_of(
    episode: Exported, group: Group, number: int, first: int, tasks: Words, subtasks: Words, language: bool
) -> pa.Table:
    """The episode's rows; number: its index; first: of the dataset's rows, its own first one."""
    count = episode.frames
    columns: dict[str, pa.Array] = {}
    for column in group.columns:
        values = episode.signals[column.stream].at(episode.times).astype(np.float32)
        flat = pa.array(values.ravel(), pa.float32())
        one = column.width == 1
        columns[column.name] = flat if one else pa.FixedSizeListArray.from_arrays(flat, column.width)
    frame = np.arange(count, dtype=np.int64)
    rate = float(exact_rate(group.fps))
    columns["timestamp"] = pa.array((frame / rate).astype(np.float32))
    columns["frame_index"] = pa.array(frame)
    columns["episode_index"] = pa.array(np.full(count, number, dtype=np.int64))
    columns["index"] = pa.array(first + frame)
    columns["task_index"] = pa.array(np.full(count, tasks.number(episode.task), dtype=np.int64))
    columns["subtask_index"] = pa.array(_subtasks(episode, subtasks))
    if language:
        columns[LANGUAGE] = _language(episode, rate)
    return pa.table(columns)


def _subtasks(episode: Exported, subtasks: Words) -> npt.NDArray[np.int64]:
    """int64[T]: which words each frame is under. Events of a level tile their episode."""
    index = np.full(episode.frames, -1, dtype=np.int64)
    before: int | None = None
    for start, end, text in episode.events:
        before = subtasks.number(text, other_than=before)
        index[start:end] = before
    return index


def _language(episode: Exported, rate: float) -> pa.ListArray:
    """The episode's events as rows of style subtask, in force from their time on; all of them in each frame."""
    number, frames = len(episode.events), episode.frames
    total = number * frames
    fields = {
        "role": pa.repeat("assistant", total),
        "content": pa.array([text for _, _, text in episode.events] * frames, pa.string()),
        "style": pa.repeat("subtask", total),
        "timestamp": pa.array(np.tile([start / rate for start, _, _ in episode.events], frames), pa.float32()),
        "camera": pa.nulls(total, pa.string()),
        "tool_calls": pa.nulls(total, SAID.field("tool_calls").type),
    }
    rows = pa.StructArray.from_arrays([fields[field.name] for field in SAID], fields=list(SAID))
    return pa.ListArray.from_arrays(pa.array(np.arange(frames + 1, dtype=np.int32) * number), rows)


def features(group: Group, codec: str, language: bool) -> dict[str, Any]:
    """`features` of info.json."""
    rate = exact_rate(group.fps)
    found: dict[str, Any] = {
        column.name: {
            "dtype": "float32",
            "shape": [column.width],
            "names": list(column.names) if column.names else None,
        }
        for column in group.columns
    }
    for camera in group.cameras:
        found[camera.feature] = {
            "dtype": "video",
            "shape": [camera.height, camera.width, 3],
            "names": ["height", "width", "channels"],
            "info": {
                "video.height": camera.height,
                "video.width": camera.width,
                "video.codec": codec,
                "video.pix_fmt": "yuv420p",
                "video.is_depth_map": False,
                "video.fps": int(rate) if rate.denominator == 1 else float(rate),
                "video.channels": 3,
                "has_audio": False,
            },
        }
    found["timestamp"] = {"dtype": "float32", "shape": [1], "names": None}
    found |= {name: {"dtype": "int64", "shape": [1], "names": None} for name in INTEGERS}
    if language:
        found[LANGUAGE] = {"dtype": "language", "shape": [1], "names": None}
    return found
