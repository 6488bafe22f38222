"""Small builds for the fault tests: a dataset, a command, the same build in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.datasets import Episode, write_dataset
from tests.faults.crash import Point

SMALL = ("shard.target_bytes=100000", "shard.keep=1.0", "run.episodes_per_part=2")


def dataset(root: Path, number: int = 6, length: int = 90) -> Path:
    """Episodes of two cameras, two of them in a file."""
    episodes = [Episode(length + 3 * i, 150 * i) for i in range(number)]
    return write_dataset(root, episodes, version="v3.0", per_file=2, cameras=("front", "wrist"))


def arguments(source: Path | str, corpus: Path | str, *overrides: str) -> list[str]:
    words = [word for value in (*SMALL, *overrides) for word in ("--set", value)]
    return ["build", "--source", str(source), "--corpus", str(corpus), *words]


def start(words: list[str], point: Point | None = None) -> subprocess.Popen[str]:
    """`corpus WORDS` in a process group of its own, with a point to die at."""
    command = point.arguments() if point else [sys.executable, "-m", "pipeline"]
    environment = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"}
    return subprocess.Popen(
        [*command, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env=environment,
    )  # fmt: skip


def killed_at(point: Point, words: list[str], seconds: float = 120) -> bool:
    """Run to the point; whether it died there (False: the build came to its end without passing it)."""
    process = start(words, point)
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode == -signal.SIGKILL


def killed_after(seconds: float, words: list[str]) -> bool:
    """kill -9 of the process group after so long; False: the build was over before."""
    process = start(words)
    time.sleep(seconds)
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return True
