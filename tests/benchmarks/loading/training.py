"""What the loader costs a training: steps of the two towers fed by it, beside the same steps on batches in memory.

`python -m tests.benchmarks.loading.training --shards URL` alone, or with the rest by `make bench-load`. One worker
process reads and decodes. Steps of one kind and the other come in turn, on the same batches.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from itertools import islice

import torch

from stages.train.batch import Batch
from stages.train.config import DataConfig, OptimiserConfig
from stages.train.data import Source
from stages.train.ema import Ema
from stages.train.optimiser import Optimiser
from stages.train.run.build import build

PAIRS, STEPS, ROWS, TEXT = 5, 8, 8, 512


class Steps:
    """Steps of one stage; a batch's time is all that passes from one step's end to the next one's."""

    def __init__(self, source: Source, stage: str) -> None:
        torch.manual_seed(0)
        self.stage = stage
        self.model = build({}, source.facts)
        named = self.model.trainable(stage)
        self.optimiser, self.ema = Optimiser(named, OptimiserConfig(), 10_000), Ema(named, 0.9999)
        self.done = 0

    def run(self, batches: Iterator[Batch]) -> tuple[list[float], list[Batch]]:
        """Seconds of each step, the wait for its batch included, and the batches."""
        took, seen = [], []
        last = time.perf_counter()
        for batch in batches:
            self.model.losses(batch, self.stage, torch.Generator().manual_seed(self.done))["loss"].backward()
            self.optimiser.step(self.done)
            self.ema.update()
            self.done += 1
            now = time.perf_counter()
            took.append(now - last)
            seen.append(batch)
            last = now
        return took, seen


def texts(given: list[str]) -> torch.Tensor:
    """Stand for the text encoder, whose vectors are remembered anyway."""
    return torch.stack([torch.full((TEXT,), len(text) / 1000) for text in given])


def overhead(release: str, stage: str, threads: int) -> tuple[float, float, float]:
    """(ms a step from the loader, ms a step from memory, median over pairs of their ratio less 1)."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    source = Source(release, DataConfig(batch=ROWS, cap=64), texts)
    steps, loader = Steps(source, stage), source.loader(1)

    def feed() -> Iterator[Batch]:
        while True:
            yield from source.batches(loader)

    endless = feed()
    steps.run(islice(endless, 3))  # the worker has started, buffers are there
    fed, held, ratios = [], [], []
    for _ in range(PAIRS):
        own, seen = steps.run(islice(endless, STEPS))
        again, _ = steps.run(iter(seen))
        fed, held = fed + own, held + again
        ratios.append(sum(own) / sum(again) - 1)
    torch.set_num_threads(before)
    return 1000 * statistics.fmean(fed), 1000 * statistics.fmean(held), statistics.median(ratios)


def lines(release: str) -> Iterator[str]:
    yield "## In training"
    yield ""
    yield f"Steps of the reference trainer (batches of {ROWS} whole events of like length, three cameras, 64 px), fed"
    yield "by the loader with one worker, and the same steps on the same batches in memory; in turn, "
    yield f"{PAIRS} times {STEPS} steps; the overhead is the median of the pairs'."
    yield ""
    yield "| | ms a step, from the loader | from memory | overhead |"
    yield "| --- | --- | --- | --- |"
    for stage in ("video", "action"):
        for threads in sorted({1, torch.multiprocessing.cpu_count()}):
            fed, held, more = overhead(release, stage, threads)
            thread = f"{threads} thread{'s' * (threads > 1)}"
            yield f"| stage {stage}, {thread} | {fed:,.0f} | {held:,.0f} | **{100 * more:+.1f} %** |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", required=True)
    for line in lines(parser.parse_args().shards):
        print(line, flush=True)


if __name__ == "__main__":
    main()
