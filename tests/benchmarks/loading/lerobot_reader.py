"""Random windows of a LeRobotDataset, in the environment of `make check-exports`: pictures of all cameras at a frame,
and the next actions.

In: the dataset's folder, a video backend, windows, actions a window. Out: JSON on the last line.
"""

from __future__ import annotations

import json
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset


def main(folder: str, backend: str, windows: int, horizon: int) -> None:
    torch.set_num_threads(1)
    root = Path(folder)
    data = LeRobotDataset(root.name, root=root, video_backend=backend)
    steps = [n / data.meta.fps for n in range(horizon)]
    data = LeRobotDataset(root.name, root=root, video_backend=backend, delta_timestamps={"action": steps})
    draw, cameras = random.Random(0), data.meta.camera_keys
    for number in (0, len(data) // 2):
        data[number]
    numbers = [draw.randrange(len(data)) for _ in range(windows)]
    began, worked = time.perf_counter(), time.process_time()
    for number in numbers:
        item = data[number]
        assert item["action"].shape[0] == horizon
    spent, cpu = time.perf_counter() - began, time.process_time() - worked
    print(
        json.dumps(
            {"windows": windows / cpu, "wall": windows / spent, "cameras": len(cameras), "lerobot": version("lerobot")}
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
