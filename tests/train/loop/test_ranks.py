"""Two ranks that share every batch train the model that one does alone, to rounding."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stages.train.command import STOPPED
from stages.train.config import Config, DataConfig, OptimiserConfig, RunConfig, StageConfig
from stages.train.model import ModelConfig
from stages.train.run import checkpoint, loop
from stages.train.run.distributed import valid_tokens
from stages.train.run.progress import read
from tests.load.releases import Event, write_release
from tests.train.loop.standin import StandIn, embed
from tests.train.model.batches import make_batch

ROOT = Path(__file__).parents[3]


def config(device: str = "cpu") -> Config:
    """Without noise: a rank draws its own. In each batch events differ in length, so that ranks differ in tokens."""
    return Config(
        data=DataConfig(batch=4, side=16, stride=2, bucket=False, workers=0),
        optimiser=OptimiserConfig(warmup=2),
        stages=(StageConfig("video", 4), StageConfig("action", 5)),
        run=RunConfig(seed=3, device=device, log_every=1, checkpoint_every=1000, tensorboard=False),
    )


class Stopping(StandIn):
    """In the last step of the first stage a SIGTERM comes to rank 1 alone."""

    calls = 0

    def losses(self, batch, stage, generator):
        self.calls += 1
        if self.calls == 4 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGTERM)
        return super().losses(batch, stage, generator)


def run(release: str, out: str, build: str = "StandIn") -> None:
    torch.set_num_threads(1)
    made = {"StandIn": StandIn, "Stopping": Stopping}[build]
    try:
        loop.train(release, config(), out, embed=embed, build=made, say=lambda _: None)
    except loop.Stopped:
        sys.exit(STOPPED)


def two_ranks(*given: str) -> list[int]:
    """Exit codes of two processes of this module."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.train.loop.test_ranks", *given]
    ranks = [subprocess.Popen(command, env={**told, "RANK": str(rank)}, cwd=ROOT) for rank in range(2)]
    return [own.wait(timeout=240) for own in ranks]


def release_of(folder: Path) -> str:
    return str(write_release(folder, [[Event(n, 2 + 3 * n, cameras={"left": (16, 16)}) for n in range(9)]]))


def test_two_ranks_equal_one(tmp_path):
    release = release_of(tmp_path / "r")
    run(release, str(tmp_path / "one"))
    assert two_ranks(release, str(tmp_path / "two")) == [0, 0]
    one, two = ([line for line in read(tmp_path / name) if "loss" in line] for name in ("one", "two"))
    assert [line["loss"] for line in two] == pytest.approx([line["loss"] for line in one], rel=1e-5)
    assert [line["gradient"] for line in two] == pytest.approx([line["gradient"] for line in one], rel=1e-5)
    ours, theirs = (checkpoint.latest(tmp_path / name / "checkpoints").tensors["model"] for name in ("one", "two"))
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-4, atol=1e-6)
    assert json.loads((tmp_path / "two" / "run.json").read_text())["config"]["data"]["batch"] == 4


@pytest.mark.soak
def test_ranks_stop_together_at_the_end_of_a_stage(tmp_path):
    assert two_ranks(release_of(tmp_path / "r"), str(tmp_path / "out"), "Stopping") == [STOPPED, STOPPED]
    assert checkpoint.latest(tmp_path / "out" / "checkpoints").state["place"]["stage"] == 1


def test_of_texts_those_with_a_caption_count():
    batch = make_batch(ModelConfig.tiny(), 3, 2, 1, 4)  # whatever text the towers are given
    batch.caption_text[1] = 0.0
    assert valid_tokens(batch, "text") == 2


if __name__ == "__main__":
    run(*sys.argv[1:])
