"""Small LeRobot datasets written from scratch, each frame of their videos carrying its number as a row of black and
white bars, so that a decoded picture says which frame it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BITS = 12
SIZE = (192, 96)  # width, height
CODECS = {
    "h264": ("libx264", {"bf": "3", "g": "12"}),
    "av1": ("libsvtav1", {"preset": "10", "g": "12", "crf": "30"}),
    "mpeg4": ("mpeg4", {"g": "12", "q": "3"}),
}


def numbered(number: int) -> np.ndarray:
    """uint8[96, 192, 3]: bit b of the number is bar b, white for 1."""
    picture = np.zeros((SIZE[1], SIZE[0], 3), dtype=np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            picture[:, bit * 16 : bit * 16 + 16] = 255
    return picture


def number_in(picture: np.ndarray) -> int:
    """The number that `numbered` drew, at any size."""
    height, width = picture.shape[:2]
    bar = width / BITS
    rows = picture[height // 4 : 3 * height // 4]
    return sum(
        1 << bit for bit in range(BITS) if rows[:, int((bit + 0.25) * bar) : int((bit + 0.75) * bar)].mean() > 128
    )


@dataclass
class Episode:
    """state float[T, 4]: x, y, z, gripper opening; frames carry `first + i`."""

    length: int
    first: int
    task: str = "put the block away"
    state: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))

    def __post_init__(self) -> None:
        if not len(self.state):
            self.state = pick_and_place(self.length)


def pick_and_place(length: int) -> np.ndarray:
    """float[T, 4]: down to an object, close, up and aside, open, away; the gripper closes at 40 % and opens at 70 %."""
    keys = np.array([[0, 0, 0.3], [0.2, 0, 0.05], [0.2, 0, 0.05], [0.2, 0.2, 0.2], [0.2, 0.2, 0.2], [0, 0.2, 0.3]])
    at = np.array([0, 0.35, 0.45, 0.65, 0.75, 1.0]) * (length - 1)
    path = np.stack([np.interp(np.arange(length), at, keys[:, axis]) for axis in range(3)], axis=1)
    share = np.arange(length) / length
    opening = np.where((share >= 0.4) & (share < 0.7), 0.0, 1.0)
    return np.column_stack([path, opening])


def write_dataset(
    root: Path,
    episodes: list[Episode],
    *,
    version: str = "v2.1",
    codec: str = "h264",
    fps: int = 20,
    cameras: tuple[str, ...] = ("front",),
    per_file: int = 3,
    robot: str = "metaworld_sawyer",
    timestamps: list[np.ndarray] | None = None,
) -> Path:
    """A dataset at `root`; v3.0 puts `per_file` episodes into one file."""
    (root / "meta").mkdir(parents=True, exist_ok=True)
    features: dict[str, Any] = {
        "observation.state": {"dtype": "float32", "shape": [4], "names": ["x", "y", "z", "gripper"]},
        "action": {"dtype": "float32", "shape": [4], "names": ["dx", "dy", "dz", "gripper"]},
    }
    for camera in cameras:
        features[f"observation.images.{camera}"] = {"dtype": "video", "shape": [SIZE[1], SIZE[0], 3]}
    v3 = version == "v3.0"
    info = {
        "codebase_version": version,
        "robot_type": robot,
        "fps": fps,
        "chunks_size": 1000,
        "features": features,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
        if v3
        else "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
        if v3
        else "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    }
    (root / "meta/info.json").write_text(json.dumps(info))
    (root / "README.md").write_text("---\nlicense: mit\n---\n")
    tables = [_rows(i, e, fps, None if timestamps is None else timestamps[i]) for i, e in enumerate(episodes)]
    (_write_v3 if v3 else _write_v2)(root, episodes, tables, codec, fps, cameras, per_file)
    return root


def _rows(index: int, episode: Episode, fps: int, time: np.ndarray | None) -> pa.Table:
    length = episode.length
    action = np.gradient(episode.state[:, :3], axis=0) * fps
    return pa.table(
        {
            "observation.state": list(episode.state.astype(np.float32)),
            "action": list(np.column_stack([action, episode.state[:, 3]]).astype(np.float32)),
            "timestamp": np.asarray(np.arange(length) / fps if time is None else time, dtype=np.float32),
            "episode_index": np.full(length, index),
            "task_index": np.zeros(length, dtype=np.int64),
        }
    )


def _write_v2(
    root: Path, episodes: list[Episode], tables: list[pa.Table], codec: str, fps: int, cameras: Any, _: int
) -> None:
    lines = []
    for index, (episode, table) in enumerate(zip(episodes, tables, strict=True)):
        _parquet(table, root / f"data/chunk-000/episode_{index:06d}.parquet")
        for camera in cameras:
            path = root / f"videos/chunk-000/observation.images.{camera}/episode_{index:06d}.mp4"
            write_video(path, [range(episode.first, episode.first + episode.length)], codec, fps)
        lines.append(json.dumps({"episode_index": index, "tasks": [episode.task], "length": episode.length}))
    (root / "meta/episodes.jsonl").write_text("\n".join(lines))
    (root / "meta/tasks.jsonl").write_text(json.dumps({"task_index": 0, "task": episodes[0].task}))


def _write_v3(
    root: Path, episodes: list[Episode], tables: list[pa.Table], codec: str, fps: int, cameras: Any, per_file: int
) -> None:
    rows: list[dict[str, Any]] = []
    for file, start in enumerate(range(0, len(episodes), per_file)):
        group = episodes[start : start + per_file]
        _parquet(pa.concat_tables(tables[start : start + per_file]), root / f"data/chunk-000/file-{file:03d}.parquet")
        offset = 0
        for index, episode in enumerate(group, start):
            row = {"episode_index": index, "tasks": [episode.task], "length": episode.length}
            row |= {"data/chunk_index": 0, "data/file_index": file}
            for camera in cameras:
                key = f"videos/observation.images.{camera}"
                row |= {f"{key}/chunk_index": 0, f"{key}/file_index": file}
                row |= {f"{key}/from_timestamp": offset / fps, f"{key}/to_timestamp": (offset + episode.length) / fps}
            rows.append(row)
            offset += episode.length
        for camera in cameras:
            path = root / f"videos/observation.images.{camera}/chunk-000/file-{file:03d}.mp4"
            write_video(path, [range(e.first, e.first + e.length) for e in group], codec, fps)
    _parquet(pa.Table.from_pylist(rows), root / "meta/episodes/chunk-000/file-000.parquet")
    _parquet(pa.table({"task_index": [0], "task": [episodes[0].task]}), root / "meta/tasks.parquet")


def write_video(path: Path, groups: list[range], codec: str, fps: int) -> None:
    """One video of all groups of frame numbers, one after the other, at a constant rate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    library, options = CODECS[codec]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(library, rate=fps, options=options)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for group in groups:
            for number in group:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(numbered(number), format="rgb24")))
        container.mux(stream.encode(None))


def _parquet(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
