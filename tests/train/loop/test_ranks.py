"""Two ranks that share every batch train the model that one does alone, to rounding."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stages.train.config import Config, DataConfig, OptimiserConfig, RunConfig, StageConfig
from stages.train.run import checkpoint, loop
from stages.train.run.progress import read
from tests.load.releases import Event, write_release
from tests.train.loop.standin import StandIn, embed

ROOT = Path(__file__).parents[3]


def config(device: str = "cpu") -> Config:
    """Without noise: a rank draws its own. In each batch events differ in length, so that ranks differ in tokens."""
    return Config(
        data=DataConfig(batch=4, side=16, stride=2, bucket=False, workers=0),
        optimiser=OptimiserConfig(warmup=2),
        stages=(StageConfig("video", 4), StageConfig("action", 5)),
        run=RunConfig(seed=3, device=device, log_every=1, checkpoint_every=1000, tensorboard=False),
    )


def run(release: str, out: str) -> None:
    torch.set_num_threads(1)
    loop.train(release, config(), out, embed=embed, build=StandIn, say=lambda _: None)


def test_two_ranks_equal_one(tmp_path):
    release = str(write_release(tmp_path / "r", [[Event(n, 2 + 3 * n, cameras={"left": (16, 16)}) for n in range(9)]]))
    run(release, str(tmp_path / "one"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": str(ROOT)}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.train.loop.test_ranks", release, str(tmp_path / "two")],
            env={**told, "RANK": str(rank)},
            cwd=ROOT,
        )
        for rank in range(2)
    ]
    assert [own.wait(timeout=240) for own in ranks] == [0, 0]
    one, two = ([line for line in read(tmp_path / name) if "loss" in line] for name in ("one", "two"))
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], rel=1e-5)
    assert [line["gradient"] for line in two] == pytest.approx([line["gradient"] for line in one], rel=1e-5)
    ours, theirs = (checkpoint.latest(tmp_path / name / "checkpoints").tensors["model"] for name in ("one", "two"))
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-6)
    assert json.loads((tmp_path / "two" / "run.json").read_text())["config"]["data"]["batch"] == 4


if __name__ == "__main__":
    run(*sys.argv[1:])
