"""The truths at hand: the sample's contact boundaries, half of its tasks held out, and CR5's gripper flips.

Held out are the seven tasks whose names have the smallest SHA-256: chosen before the segmenter was written, and looked
at only to be scored.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl

from tests.benchmarks.segmentation.baselines import Episode
from tests.benchmarks.segmentation.scores import Span

SAMPLE = Path("pipeline/sample/truth.parquet")
HELD_OUT_TASKS = 7


def sample_tasks(held_out: bool) -> list[str]:
    """Tasks of one half of the sample."""
    tasks = pl.read_parquet(SAMPLE).filter(kind="episode")["task"].unique().to_list()
    ranked = sorted(tasks, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    return ranked[:HELD_OUT_TASKS] if held_out else ranked[HELD_OUT_TASKS:]


def sample_spans(held_out: bool) -> dict[str, list[tuple[int, int, str]]]:
    """{episode_id: (start frame, end frame, phase)} of one half of the sample, on the video's frames."""
    truth = pl.read_parquet(SAMPLE)
    key = ["dataset", "episode_index"]
    chosen = truth.filter((pl.col("kind") == "episode") & pl.col("task").is_in(sample_tasks(held_out))).select(key)
    spans: dict[str, list[tuple[int, int, str]]] = {}
    for row in truth.filter(kind="event").join(chosen, on=key).sort(*key, "start_frame").to_dicts():
        name = f"{row['dataset']}/{row['episode_index']:06d}"
        spans.setdefault(name, []).append((row["start_frame"], row["end_frame"], row["phase"]))
    return spans


def in_seconds(spans: list[tuple[int, int, str]], episode: Episode) -> list[Span]:
    """Frame spans on the episode's clock, as far as it reaches."""
    times = np.append(episode.times, episode.end)
    last = len(episode.times)
    return [(float(times[min(a, last)]), float(times[min(b, last)])) for a, b, _ in spans if a < last]


def flips(episode: Episode) -> list[float]:
    """Times at which a binary gripper has changed."""
    closed = episode.opening < 0.5
    return episode.times[np.flatnonzero(np.any(closed[1:] != closed[:-1], axis=1)) + 1].tolist()
