"""What is measured of the loader: pictures a second of one core, memory over epochs, a plan of a million samples.

Each figure is CPU time of this process, so that other work on the machine weighs less; the peers run in turn.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import psutil
import torch
from av.video.reformatter import VideoReformatter

from schemas import plan as plans
from schemas.plan import CODED, NUMBERS, Plan
from stages.load import EventDataset
from stages.load.ordering.order import epoch_order
from stages.load.ordering.weights import balanced
from stages.load.ordering.where import rows_where
from stages.video import decord_reader


def timed(work: Callable[[], int]) -> float:
    """What `work` counts, a second of CPU."""
    began = time.process_time()
    count = work()
    return count / (time.process_time() - began)


def bare(release: str) -> Callable[[], int]:
    """All clips of the train samples, in the loader's order, decoded to RGB in turn; the bytes are at hand."""
    data = EventDataset(release)
    clips = [clip for n in data.order(0) for raw in data.fetch(data.places([n])) for clip in raw.clips.values()]

    def work() -> int:
        pictures = 0
        for clip in clips:
            with av.open(io.BytesIO(clip)) as container:
                stream, converter = container.streams.video[0], VideoReformatter()
                stream.codec_context.thread_count = 1
                found = [converter.reformat(f, format="rgb24").to_ndarray() for f in container.decode(stream)]
                pictures += len(found)
        return pictures

    return work


def by_decord(release: str) -> Callable[[], int]:
    """The same by decord, a batch of frames a clip."""
    data, decord = EventDataset(release), decord_reader.load()
    clips = [clip for n in data.order(0) for raw in data.fetch(data.places([n])) for clip in raw.clips.values()]

    def work() -> int:
        pictures = 0
        for clip in clips:
            reader = decord.VideoReader(io.BytesIO(clip), num_threads=1)
            pictures += len(reader.get_batch(range(len(reader))).asnumpy())
        return pictures

    return work


def events(release: str, batch: int = 8, **settings: object) -> Callable[[], int]:
    """Whole events with all their pictures, as batches."""
    data = EventDataset(release)

    def work() -> int:
        loader = data.loader(batch, **settings)
        return sum(int(own["video_length"].sum()) * len(data.sizes) for own in loader)

    return work


def windows(release: str, count: int, horizon: int) -> Callable[[], int]:
    """Random windows in LeRobot's layout: pictures of all cameras at a frame, and the next actions."""
    data = EventDataset(release, layout="lerobot", horizon=horizon)
    numbers = np.random.default_rng(0).integers(0, len(data), count)

    def work() -> int:
        for number in numbers:
            assert data[int(number)]["action"].shape[0] == horizon
        return count

    return work


def memory(release: str, epochs: int, workers: int) -> list[float]:
    """MB of this process and its workers after each epoch."""
    process, found = psutil.Process(), []
    loader = EventDataset(release).loader(8, workers, bucket=True)
    for _ in range(epochs):
        for batch in loader:
            del batch
        own = [process, *process.children(recursive=True)]
        found.append(sum(p.memory_full_info().uss for p in own) / 1e6)
    return found


@dataclass(frozen=True)
class Million:
    """Seconds of each step, and MB, of a plan of a million samples."""

    megabytes: float
    read: float
    order: float
    where: float
    alpha: float
    memory: float


def million(count: int = 1_000_000) -> Million:
    """A plan of samples as like the sample's as numbers can be: 20,000 episodes, 2,000 tars, 256 x 256 clusters."""
    draw = np.random.default_rng(0)
    numbers = {name: np.zeros((count, *shape), dtype=kind) for name, (kind, shape) in NUMBERS.items()}
    numbers |= {name: np.zeros(count, dtype=np.int32) for name in CODED}
    numbers["episode"] = np.sort(draw.integers(0, 20_000, count)).astype(np.int32)
    numbers["tar"] = draw.integers(0, 2_000, count).astype(np.int32)
    numbers["start_ms"] = draw.integers(0, 600_000, count)
    numbers["n_frames"] = draw.integers(2, 120, count).astype(np.int32)
    numbers["vl_cluster"], numbers["action_cluster"] = (draw.zipf(1.5, (2, count)) % 256).astype(np.int32)
    numbers["fps"], numbers["weight"] = np.full(count, 20.0), np.ones(count)
    numbers["task"] = draw.integers(0, 500, count).astype(np.int32)
    for name in ("offset", "size"):
        numbers[name] = draw.integers(0, 60_000_000, count)
    for name in ("json", "lowdim", "calib"):
        numbers[name] = draw.integers(0, 60_000_000, (count, 2))
    numbers |= {
        "clips": draw.integers(0, 60_000_000, (count, 3, 2)),
        "pictures": np.full((count, 3, 2), 256, dtype=np.int32),
    }
    names = {name: [""] for name in CODED} | {"cameras": ["left", "right", "wrist"]}
    names["episode"] = [f"source/{n:06d}" for n in range(20_000)]
    names["tar"] = [f"train-{n:06d}.tar" for n in range(2_000)]
    names["task"] = [f"task number {n} of the corpus" for n in range(500)]
    data = plans.to_bytes(Plan(numbers, names))
    del numbers
    before = psutil.Process().memory_full_info().uss
    began = time.perf_counter()
    plan = plans.from_bytes(data)
    read = time.perf_counter() - began
    held = (psutil.Process().memory_full_info().uss - before) / 1e6
    spent = [read]
    for work in (
        lambda: epoch_order(np.ones(count), plan.numbers["tar"], "digest", 0, 1),
        lambda: rows_where(plan, "task LIKE '%77%' AND n_frames > 20"),
        lambda: balanced(plan.numbers["vl_cluster"], plan.numbers["action_cluster"], 0.5, 3),
    ):
        began = time.perf_counter()
        work()
        spent.append(time.perf_counter() - began)
    return Million(len(data) / 1e6, *spent, held)


def one_thread() -> None:
    torch.set_num_threads(1)


def size_of(folder: Path) -> float:
    """MB of a folder's files."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6
