"""A run that was stopped anywhere goes on with the losses that it would have had."""

import json
import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from stages.train.config import Config, ConfigError, DataConfig, OptimiserConfig, RunConfig, StageConfig
from stages.train.run import checkpoint, loop
from stages.train.run.checkpoint import NoCheckpoint
from stages.train.run.progress import read
from tests.load.releases import Event, write_release
from tests.train.loop.standin import StandIn, embed

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
STEPS = (7, 9)


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """21 events of 2 to 8 frames with a camera, three of them val."""
    events = [Event(n, 2 + n % 7, cameras={"left": (16, 16)}, task=f"task {n % 3}") for n in range(18)]
    held = [replace(own, number=own.number + 30, split="val") for own in events[:3]]
    return write_release(tmp_path_factory.mktemp("release"), [events, held], ["train", "val"])


def config(**data) -> Config:
    return Config(
        data=DataConfig(**({"batch": 4, "side": 16, "stride": 2, "workers": 0} | data)),
        model={"noise": 0.1},
        optimiser=OptimiserConfig(warmup=2),
        stages=(StageConfig("video", STEPS[0]), StageConfig("action", STEPS[1])),
        run=RunConfig(seed=3, device="cpu", log_every=1, validate_every=3, validate_batches=2, checkpoint_every=1000),
    )


def run(release: Path, out: Path, own: Config, stop_at: int | None = None, resume: bool = False) -> list[dict]:
    """Lines of its metrics, without what the clock says. stop_at: a step in which SIGTERM comes."""
    torch.manual_seed(random.randrange(1000))  # whatever was drawn before

    def build(sizes, facts):
        model = StandIn(sizes, facts)
        losses, calls = model.losses, [0]

        def stopping(*given):
            calls[0] += 1
            if calls[0] == stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            return losses(*given)

        model.losses = stopping
        return model

    loop.train(str(release), own, out, resume=resume, embed=embed, build=build, say=lambda _: None)
    return lines(out)


def lines(out: Path) -> list[dict]:
    return [{k: v for k, v in line.items() if k not in ("seconds", "samples_per_s")} for line in read(out)]


@pytest.fixture(scope="module")
def whole(release, tmp_path_factory):
    """A run that nobody stopped."""
    out = tmp_path_factory.mktemp("whole")
    return out, run(release, out, config())


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at", [1, *random.Random(5).sample(range(2, sum(STEPS)), 2), STEPS[0]])
def test_a_run_stopped_at_a_random_step_goes_on_with_identical_losses(release, whole, tmp_path, at, workers):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run(release, tmp_path, config(), at)
    assert signal.getsignal(signal.SIGTERM) == before
    assert checkpoint.listed(tmp_path / "checkpoints")[-1].name == f"step-{at:08d}"
    assert lines(tmp_path) == [line for line in whole[1] if line["step"] <= at]
    assert run(release, tmp_path, config(workers=workers), resume=True) == whole[1]
    ours, theirs = (checkpoint.latest(out / "checkpoints").tensors["model"] for out in (tmp_path, whole[0]))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_losses_hang_on_the_seed(release, whole, tmp_path):
    other = replace(config(), run=replace(config().run, seed=4))
    assert run(release, tmp_path, other)[0]["loss"] != whole[1][0]["loss"]


def test_two_workers_equal_one(release, whole, tmp_path):
    assert run(release, tmp_path, config(workers=2)) == whole[1]


def test_what_a_run_leaves(whole):
    out, found = whole
    assert [line["step"] for line in found if "loss" in line] == list(range(1, sum(STEPS) + 1))
    assert sorted({name for line in found for name in line if name.startswith("val/")}) == [
        "val/action", "val/action_baseline", "val/video", "val/video_baseline",
    ]  # fmt: skip
    assert len(checkpoint.listed(out / "checkpoints")) == 2
    page = (out / "page.html").read_text()
    assert page.count("<video") == len(json.loads((out / "samples" / "samples.json").read_text())) > 0
    assert {"model.safetensors", "run.json"} <= {own.name for own in out.iterdir()}


def test_a_run_is_not_begun_where_one_lies_nor_resumed_as_another(release, whole):
    out, _ = whole
    with pytest.raises(NoCheckpoint, match="--resume"):
        run(release, out, config())
    with pytest.raises(ConfigError, match=r"data\.stride is not what the run was begun with"):
        run(release, out, config(stride=3), resume=True)


def saved(step: int, value: float) -> checkpoint.Checkpoint:
    return checkpoint.Checkpoint(step, {"model": {"w": torch.full((2,), value)}}, {"step": step})


def test_the_last_two_checkpoints_are_kept_and_a_damaged_one_is_passed_over(tmp_path):
    for step in (5, 10, 100):
        checkpoint.save(tmp_path, saved(step, step))
    assert [own.name for own in checkpoint.listed(tmp_path)] == ["step-00000010", "step-00000100"]
    assert checkpoint.latest(tmp_path).tensors["model"]["w"].tolist() == [100, 100]
    (tmp_path / "step-00000100" / "model.safetensors").write_bytes(b"x" * 20)
    assert checkpoint.latest(tmp_path).step == 10
    (tmp_path / "step-00000010" / "state.json").unlink()
    with pytest.raises(NoCheckpoint, match="step-00000010 cannot be read"):
        checkpoint.latest(tmp_path)


def test_what_was_being_written_is_no_checkpoint(tmp_path):
    (tmp_path / ".step-00000007.123").mkdir()
    with pytest.raises(NoCheckpoint, match="no checkpoint lies there"):
        checkpoint.latest(tmp_path)
