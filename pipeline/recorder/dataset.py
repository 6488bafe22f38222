"""Writes the recordings of one cell as a LeRobot v3.0 dataset, with pyarrow and PyAV alone.

In: the recordings of a cell in order. Out: ``meta/``, ``data/`` and ``videos/`` as LeRobot v3.0
reads them, plus ``meta/calibration.json`` (an extension of this project). A cell whose log is late
gets the state and action of ``lag`` frames earlier in every row; nothing in the dataset says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from stages.train.simulation.environment import FPS
from stages.train.simulation.state import ACTION_NAMES, ENVIRONMENT_NAMES, STATE_NAMES

from .scene import CAMERA_KEYS, calibration
from .video import describe, join
from .worker import Recording

EPISODES_PER_FILE = 7
LAG_FRAMES = {"cell_a": 0, "cell_b": 2}
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
ENVIRONMENT = "observation.environment_state"
EPISODES_PATH = "meta/episodes/chunk-000/file-000.parquet"
INDEX_COLUMNS = ("frame_index", "episode_index", "index", "task_index")

CARD = """\
---
license: apache-2.0
authors:
- event-corpus
tags:
- LeRobot
- robotics
task_categories:
- robotics
---

# {cell}

Simulated teleoperation with a Sawyer arm (Meta-World, MuJoCo), recorded by `pipeline/recorder`: `../README.md` says
what is in it and how it was made.
"""

FloatRows = npt.NDArray[np.float32]


@dataclass
class Table:
    """All rows of a dataset: columns of length total_frames; state and action are 2-D."""

    columns: dict[str, npt.NDArray[Any]]

    def arrow(self, rows: slice) -> pa.Table:
        """Some rows as an Arrow table, 2-D columns as fixed-size lists."""
        fields = {}
        for name, values in self.columns.items():
            part = values[rows]
            if part.ndim == 2:
                flat = pa.array(part.ravel(), type=pa.float32())
                fields[name] = pa.FixedSizeListArray.from_arrays(flat, part.shape[1])
            else:
                fields[name] = pa.array(part)
        return pa.table(fields)


def delayed(rows: FloatRows, lag: int) -> FloatRows:
    """Rows [T, D] as a log that is ``lag`` frames late has them; the first row is repeated."""
    index = np.maximum(np.arange(len(rows)) - lag, 0)
    return rows[index]


def write_dataset(root: Path, cell: str, recordings: list[Recording], cameras: tuple[str, ...] = CAMERA_KEYS) -> None:
    """Write one cell's dataset under ``root``; without cameras it has signals alone."""
    write(root, recordings, cameras, calibration(cell), CARD.format(cell=cell), LAG_FRAMES[cell])


def write(
    root: Path,
    recordings: list[Recording],
    cameras: tuple[str, ...],
    calibrated: Mapping[str, Any],
    card: str,
    lag: int = 0,
) -> None:
    """Write a dataset under ``root``; with environment states where its recordings have them."""
    tasks = list(dict.fromkeys(recording.plan.text for recording in recordings))
    table = _rows_of(recordings, tasks, lag)
    lengths = [len(recording.state) for recording in recordings]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    for file_index, first in enumerate(range(0, len(recordings), EPISODES_PER_FILE)):
        last = min(first + EPISODES_PER_FILE, len(recordings))
        path = root / DATA_PATH.format(chunk_index=0, file_index=file_index)
        _write_parquet(table.arrow(slice(starts[first], starts[last])), path)
        for key in cameras:
            name = key.rsplit(".", 1)[1]
            parts = [recording.videos[name] for recording in recordings[first:last]]
            target = root / VIDEO_PATH.format(video_key=key, chunk_index=0, file_index=file_index)
            if join(parts, target) != lengths[first:last]:
                raise RuntimeError(f"frames and rows differ in {target.name} of {key}")
    _write_parquet(_episode_table(recordings, starts, cameras), root / EPISODES_PATH)
    task_table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": tasks})
    _write_parquet(task_table, root / "meta" / "tasks.parquet")
    _write_json(_info(root, table, len(recordings), len(tasks), cameras), root / "meta" / "info.json")
    _write_json(_stats(table), root / "meta" / "stats.json")
    _write_json(dict(calibrated), root / "meta" / "calibration.json")
    (root / "README.md").write_text(card, encoding="utf-8")


def _rows_of(recordings: list[Recording], tasks: list[str], lag: int) -> Table:
    """All rows of a cell in LeRobot's columns."""
    frames = [np.arange(len(recording.state), dtype=np.int64) for recording in recordings]
    frame_index = np.concatenate(frames)
    counts = [len(part) for part in frames]
    task_index = [tasks.index(recording.plan.text) for recording in recordings]
    about = [delayed(r.environment, lag) for r in recordings if r.environment is not None]
    return Table(
        {
            "observation.state": np.concatenate([delayed(r.state, lag) for r in recordings]),
            **({ENVIRONMENT: np.concatenate(about)} if about else {}),
            "action": np.concatenate([delayed(r.action, lag) for r in recordings]),
            "timestamp": (frame_index / FPS).astype(np.float32),
            "frame_index": frame_index,
            "episode_index": np.repeat(np.arange(len(recordings), dtype=np.int64), counts),
            "index": np.arange(len(frame_index), dtype=np.int64),
            "task_index": np.repeat(np.array(task_index, dtype=np.int64), counts),
        }
    )


def _episode_table(recordings: list[Recording], starts: npt.NDArray[np.int64], cameras: tuple[str, ...]) -> pa.Table:
    """One row per episode: where its rows and its video frames are."""
    rows = []
    for index, recording in enumerate(recordings):
        file_index = index // EPISODES_PER_FILE
        file_start = starts[file_index * EPISODES_PER_FILE]
        row: dict[str, Any] = {
            "episode_index": index,
            "tasks": [recording.plan.text],
            "length": len(recording.state),
            "data/chunk_index": 0,
            "data/file_index": file_index,
            "dataset_from_index": int(starts[index]),
            "dataset_to_index": int(starts[index + 1]),
        }
        for key in cameras:
            row[f"videos/{key}/chunk_index"] = 0
            row[f"videos/{key}/file_index"] = file_index
            row[f"videos/{key}/from_timestamp"] = float(starts[index] - file_start) / FPS
            row[f"videos/{key}/to_timestamp"] = float(starts[index + 1] - file_start) / FPS
        row["meta/episodes/chunk_index"] = 0
        row["meta/episodes/file_index"] = 0
        rows.append(row)
    return pa.Table.from_pylist(rows)


def _info(root: Path, table: Table, episodes: int, tasks: int, cameras: tuple[str, ...]) -> dict[str, Any]:
    """The dataset's ``info.json``."""
    features: dict[str, Any] = {
        "observation.state": {"dtype": "float32", "shape": [11], "names": list(STATE_NAMES)},
        "action": {"dtype": "float32", "shape": [4], "names": list(ACTION_NAMES)},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    }
    if ENVIRONMENT in table.columns:
        features[ENVIRONMENT] = {"dtype": "float32", "shape": [17], "names": list(ENVIRONMENT_NAMES)}
    features |= {name: {"dtype": "int64", "shape": [1], "names": None} for name in INDEX_COLUMNS}
    for key in cameras:
        clip = describe(root / VIDEO_PATH.format(video_key=key, chunk_index=0, file_index=0))
        features[key] = {
            "dtype": "video",
            "shape": [clip["video.height"], clip["video.width"], 3],
            "names": ["height", "width", "channels"],
            "info": clip,
        }
    return {
        "codebase_version": "v3.0",
        "robot_type": "metaworld_sawyer",
        "total_episodes": episodes,
        "total_frames": len(table.columns["index"]),
        "total_tasks": tasks,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": FPS,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if cameras else None,
        "features": features,
    }


def _stats(table: Table) -> dict[str, Any]:
    """Mean, standard deviation, range and count of every numeric column."""
    stats = {}
    for name, column in table.columns.items():
        values = column.astype(np.float64).reshape(len(column), -1)
        stats[name] = {
            "mean": values.mean(axis=0).tolist(),
            "std": values.std(axis=0).tolist(),
            "min": values.min(axis=0).tolist(),
            "max": values.max(axis=0).tolist(),
            "count": [len(values)],
        }
    return stats


def _write_parquet(table: pa.Table, path: Path) -> None:
    """Write a table with zstd, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", compression_level=15)


def _write_json(content: dict[str, Any], path: Path) -> None:
    """Write JSON with two-space indentation, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
