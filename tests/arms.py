"""Logs of an arm that picks something up and puts it elsewhere, in the columns, units and names of a test's choosing.

The arm rests with its gripper closed, opens it before it leaves, closes it on the thing and opens it where it goes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SO = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
SHUT, HELD, OPEN = 2.0, 9.0, 70.0  # percent of the gripper's range: empty, on the thing, open
FPS = 20.0


def picking(seed: int, rows: int = 160) -> np.ndarray:
    """float64[rows, 6]: five joints in degrees, the gripper in percent, 0 closed."""
    random = np.random.default_rng(seed)
    rest = np.array([0.0, -50, 55, 25, 5])
    pick = np.array([35.0, 20, 25, 55, 15]) + random.normal(0, 6, 5)
    put = np.array([-30.0, 22, 28, 50, 40]) + random.normal(0, 6, 5)
    lifted = (pick + put) / 2 - np.array([0, 30, 0, 0, 0])
    keys = [(0, rest, SHUT), (6, rest, SHUT), (10, rest, OPEN), (45, pick, OPEN), (50, pick, OPEN), (56, pick, HELD)]
    keys += [(60, pick, HELD), (80, lifted, HELD), (105, put, HELD), (110, put, HELD), (116, put, OPEN)]
    keys += [(120, put, OPEN), (150, rest, OPEN), (152, rest, OPEN), (157, rest, SHUT), (160, rest, SHUT)]
    at = np.array([k[0] for k in keys]) * (rows - 1) / 160
    values = np.array([[*pose, grip] for _, pose, grip in keys])
    path = np.stack([np.interp(np.arange(rows), at, column) for column in values.T], axis=1)
    smooth = np.stack([np.convolve(np.pad(c, 3, "edge"), np.ones(7) / 7, "valid") for c in path.T], axis=1)
    return smooth + random.normal(0, 0.03, smooth.shape)


def write_log(
    root: Path,
    episodes: Sequence[Mapping[str, np.ndarray]],
    names: Mapping[str, Sequence[str] | None],
    *,
    robot: str = "somebodys_arm",
    more: Mapping[str, Any] | None = None,
    rows: Sequence[Mapping[str, Any]] | None = None,
    tasks: Sequence[str] = ("put the cube in the box",),
    features: Mapping[str, Any] | None = None,
) -> Path:
    """A v2.1 dataset without cameras and without statistics. episodes: {column: float64[T, D]}; names: of the values of
    each column; more: of info.json; rows: added to each episode's line."""
    (root / "meta").mkdir(parents=True, exist_ok=True)
    specs: dict[str, Any] = {}
    for column, values in episodes[0].items():
        if column in names:
            specs[column] = {
                "dtype": "float32",
                "shape": [values.shape[1]],
                "names": names[column] and list(names[column]),
            }
    info = {
        "codebase_version": "v2.1",
        "robot_type": robot,
        "fps": FPS,
        "features": {**specs, **(features or {})},
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        **(more or {}),
    }
    (root / "meta/info.json").write_text(json.dumps(info))
    (root / "meta/tasks.jsonl").write_text(
        "\n".join(json.dumps({"task_index": i, "task": t}) for i, t in enumerate(tasks))
    )
    lines = []
    for index, columns in enumerate(episodes):
        length = len(next(iter(columns.values())))
        table = {
            "timestamp": (np.arange(length) / FPS).astype(np.float32),
            "episode_index": np.full(length, index),
            "task_index": np.zeros(length, dtype=np.int64),
        }
        for column, values in columns.items():
            flat = values.ndim == 1 or (column in names and values.shape[1] == 1)
            table[column] = values.ravel() if flat else pa.array(list(values.astype(np.float32)))
        path = root / f"data/chunk-000/episode_{index:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(table), path)
        own = dict(rows[index]) if rows else {}
        lines.append(json.dumps({"episode_index": index, "tasks": [tasks[0]], "length": length, **own}))
    (root / "meta/episodes.jsonl").write_text("\n".join(lines))
    return root


def so_log(root: Path, number: int = 5, robot: str = "so101_follower", suffix: str = ".pos", **options: Any) -> Path:
    """As LeRobot records an SO-101."""
    names = [f"{joint}{suffix}" for joint in SO]
    own = [picking(i) for i in range(number)]
    episodes = [{"observation.state": s, "action": s} for s in own]
    return write_log(root, episodes, {"observation.state": names, "action": names}, robot=robot, **options)
