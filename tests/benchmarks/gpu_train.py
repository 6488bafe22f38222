"""`make gpu-check`, the two towers: do they train on this machine's GPU as on its CPU, how fast, how busy is it?

On tensors made on the spot, of the shapes that `make train` has: a square that moves as the actions say, seen by two
cameras. Needs numpy and torch 2.9 alone: `python -m tests.benchmarks.gpu_train [--seconds N] [--compile]`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from stages.train.batch import Batch
from stages.train.config import OptimiserConfig
from stages.train.ema import Ema
from stages.train.model import ModelConfig, WorldActionModel
from stages.train.optimiser import Optimiser

PICTURES, VIEWS, SIDE, STRIDE, TEXT = 6, 2, 64, 4, 512
ROWS = {"cpu": 8, "cuda": 256}  # of a batch: of make train; of a GPU 128 left it 34 % busy (H200), the rest launches
SAME_STEPS = 5
AGREE = 0.01  # share by which the losses of two devices may differ after SAME_STEPS; both compute in float32
SECONDS = {"cpu": 20.0, "cuda": 120.0}
STAGES = ("video", "action")


def made(rows: int, seed: int) -> Batch:
    """Events of PICTURES pictures and STRIDE actions for each, in which a bright square goes where they say."""
    draw = torch.Generator().manual_seed(seed)
    actions = PICTURES * STRIDE
    speed = torch.rand(rows, 1, 2, generator=draw) * 2 - 1
    action = torch.cat([speed.expand(-1, actions, -1), torch.zeros(rows, actions, 2)], -1)
    start = torch.rand(rows, 1, 2, generator=draw)
    place = start + speed * torch.arange(PICTURES)[:, None] / PICTURES  # B, F, 2
    grid = torch.linspace(-1, 2, SIDE)
    near = (grid - place[..., None]).abs() < 0.2  # B, F, 2, SIDE
    square = (near[:, :, 0, :, None] & near[:, :, 1, None, :]).float()
    pictures = 0.2 + 0.6 * square[:, :, None, None].expand(-1, -1, VIEWS, 3, -1, -1)
    pose = torch.eye(4).repeat(rows, PICTURES, VIEWS, 1, 1)
    pose[:, :, 1, 0, 3] = 0.2
    lens = torch.tensor([[80.0, 0, 31.5], [0, 80.0, 31.5], [0, 0, 1]]).expand(rows, 1, VIEWS, 3, 3)
    text = torch.nn.functional.normalize(torch.randn(rows, 1, TEXT, generator=draw), dim=-1)
    state = torch.zeros(rows, 1, ModelConfig().state)
    state[:, 0, :2], state[:, 0, 2:4] = start[:, 0], speed[:, 0]
    one = torch.ones(rows, 1, dtype=torch.int64)
    return Batch(
        pictures=pictures.contiguous(),
        picture_segment=one.repeat(1, PICTURES),
        picture_index=torch.arange(PICTURES).repeat(rows, 1),
        view_valid=torch.ones(rows, 1, VIEWS, dtype=torch.bool),
        intrinsics=lens.contiguous(),
        pose=pose,
        calibrated=torch.ones(rows, 1, VIEWS, dtype=torch.bool),
        state=state,
        action=action.contiguous(),
        action_mask=torch.ones_like(action, dtype=torch.bool),
        action_segment=one.repeat(1, actions),
        action_index=torch.arange(actions).repeat(rows, 1),
        text=text,
        text_valid=one.bool(),
        task_text=text,
        caption_text=text,
        caption=one.clone(),
        next_caption=0 * one,
        remaining=torch.full((rows, 1), 1.2),
        frames=actions * one,
        window=0 * one,
    )


def trained(device: str) -> dict[str, float]:
    """The loss of each stage at the last of SAME_STEPS, noise drawn on the CPU for both devices."""
    torch.manual_seed(0)
    model = WorldActionModel(ModelConfig(stride=STRIDE, text=TEXT)).to(device)
    batch = made(ROWS["cpu"], 0).to(device)
    found = {}
    for stage in STAGES:
        optimiser = Optimiser(model.trainable(stage), OptimiserConfig(warmup=1), 1000)
        for step in range(SAME_STEPS):
            loss = model.losses(batch, stage, torch.Generator().manual_seed(step))["loss"]
            loss.backward()
            optimiser.step(step)
        found[stage] = loss.item()
    return found


class Busy:
    """How busy the GPU is, looked at twice a second: share of the last interval in which a kernel ran, by NVML where
    torch finds it, else by nvidia-smi, which asks the same."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.by = "NVML"
        try:
            torch.cuda.utilization()
        except Exception:
            self.by = "nvidia-smi"

    def now(self) -> float | None:
        if self.by == "NVML":
            return float(torch.cuda.utilization())
        asked = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        try:
            return float(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[0])
        except (OSError, subprocess.CalledProcessError, ValueError, IndexError):
            return None

    @contextmanager
    def watched(self) -> Iterator[None]:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.5):
                value = self.now()
                if value is not None:
                    self.seen.append(value)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def timed(device: str, seconds: float, compiled: bool) -> None:
    """Trains each stage for half of the time and says how fast it went."""
    torch.manual_seed(0)
    model = WorldActionModel(ModelConfig(stride=STRIDE, text=TEXT)).to(device)
    losses: Any = torch.compile(model.losses, dynamic=True) if compiled else model.losses
    batches = [made(ROWS[device], seed).to(device) for seed in range(4)]
    generator = torch.Generator(device=device).manual_seed(0)
    for stage in STAGES:
        named = model.trainable(stage)
        optimiser, ema = Optimiser(named, OptimiserConfig(warmup=10), 100_000), Ema(named, 0.9999)

        def step(number: int, stage: str = stage, optimiser: Optimiser = optimiser, ema: Ema = ema) -> torch.Tensor:
            with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
                loss = losses(batches[number % len(batches)], stage, generator)["loss"]
            loss.backward()
            optimiser.step(number)
            ema.update()
            return loss.detach()

        first = step(0).item()  # the first steps find out which kernels are quickest
        for number in range(1, 4):
            step(number).item()
        busy, began, number = Busy() if device == "cuda" else None, time.perf_counter(), 4
        with busy.watched() if busy is not None else threading.Lock():
            while time.perf_counter() - began < seconds / len(STAGES):
                last = step(number)
                number += 1
                if number % 10 == 0:
                    last.item()  # or the queue runs ahead of the clock
            last_value = last.item()
            took = time.perf_counter() - began
        each = took / (number - 4)
        used = f", GPU {sum(busy.seen) / len(busy.seen):.0f} % busy by {busy.by}" if busy and busy.seen else ""
        print(
            f"train, stage {stage}, {device}: {ROWS[device] / each:,.0f} samples/s in batches of {ROWS[device]}, "
            f"{1000 * each:.1f} ms a step{used}; loss {first:.3f} to {last_value:.3f} in {number} steps"
        )


def check(devices: list[str], seconds: float | None = None, compiled: bool = False) -> bool:
    """Trains on the last of the devices; whether all have the same losses after the same steps."""
    losses = {device: trained(device) for device in devices}
    right = True
    for stage in STAGES:
        shown = ", ".join(f"{device} {own[stage]:.6f}" for device, own in losses.items())
        values = [own[stage] for own in losses.values()]
        apart = max(values) / min(values) - 1
        right &= apart < AGREE
        told = f"; apart by {apart:.2e}" if len(values) > 1 else ""
        print(f"train, stage {stage}: loss after {SAME_STEPS} steps from one seed: {shown}{told}")
    device = devices[-1]
    timed(device, SECONDS[device] if seconds is None else seconds, compiled)
    return right


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    print(f"torch {torch.__version__}, GPU: {torch.cuda.get_device_name(0) if len(devices) > 1 else 'none'}")
    return 0 if check(devices, given.seconds, given.compile) else 1


if __name__ == "__main__":
    sys.exit(main())
