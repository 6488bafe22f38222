"""shard: one tar of samples.

In: `samples` rows in order, and the tables and proxies of their episodes. Out: the tar, its offsets for Energon, its
rows of plan.npz, and the statistics of its arrays. An event whose sample cannot be made is quarantined; its shard goes
on without it. A damaged part or proxy fails the tar: a release must not lack events, or hold spoiled ones, because of a
bad disk.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy.typing as npt

from schemas.alignments import ALIGNMENTS
from schemas.captions import CAPTIONS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.ids import ARMS
from schemas.observations import OBSERVATIONS
from schemas.plan import to_bytes as plan_bytes
from schemas.reasons import Quarantined, Reason
from schemas.sample import VALID
from schemas.samples import SampleRow
from schemas.signals import SIGNALS
from stages.episode import signals_of
from stages.shard import INDEX, ShardWork
from stages.shard.layout import layout_key
from stages.shard.members import index_bytes, plan_of, plan_row
from stages.shard.meta import Cut, sample_meta
from stages.shard.sample import Clip, sample_files
from stages.shard.stats import Statistics, to_bytes
from stages.shard.tar import write_tar
from stages.sources.rights import Rights
from stages.work import Outcome, Unit, Workspace

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Made:
    """A sample: its files by extension, its arrays, and its row of the tar's plan."""

    files: dict[str, bytes]
    arrays: dict[str, npt.NDArray[Any]]
    row: dict[str, Any]


def shard(unit: Unit[ShardWork], work: Workspace) -> Outcome:
    """Write one tar. Each proxy is fetched and hashed once. Samples are made by `threads` threads and written in order:
    a small release has fewer tars than there are workers, and most of a sample's cost is in codecs, which run side by
    side."""
    outcome, given, (item, _) = Outcome(), unit.payload, unit.items[0]
    statistics: dict[tuple[str, str], dict[str, Statistics]] = {}  # by (source, layout), then array
    held: list[dict[str, Any]] = []  # rows of the plan

    def sample(row: SampleRow) -> Made | Quarantined:
        try:
            return _sample(row, work, proxies, given)
        except (OSError, ValueError) as error:
            return Quarantined(Reason.SAMPLE_FAILED, f"{type(error).__name__}: {error}", event_id=row["event_id"])

    def samples() -> Iterator[tuple[str, Mapping[str, bytes]]]:
        threads = min(given.threads, os.cpu_count() or 1)
        for row, made in zip(given.rows, in_order(sample, given.rows, threads), strict=True):
            if isinstance(made, Quarantined):
                outcome.events_refused.append((row["episode_id"], made))
                continue
            (episode,) = work.rows(EPISODES, row["episode_id"])
            own = statistics.setdefault((episode["source"], layout_key(episode["layout"])), {})
            for name, values in made.arrays.items():
                if values.ndim == 2 and values.shape[1]:
                    covered = made.arrays["valid"] & made.arrays.get(f"{VALID}.{name}", True)
                    own.setdefault(name, Statistics(values.shape[1])).add(values[covered])
            held.append(made.row)
            yield row["key"], made.files

    with ExitStack() as stack:
        proxies = {path: stack.enter_context(work.media(path)) for path in given.media}
        target = stack.enter_context(work.write(given.path))
        count = write_tar(target, samples())
        plan = plan_of(target, held)
    outcome.files["shard"] = work.written(given.path)
    partial = {
        f"{source}/{key}/{name}": one.summary()
        for (source, key), own in sorted(statistics.items())
        for name, one in sorted(own.items())
        if one.count
    }
    outcome.blobs["stats"] = (f"tables/shard_stats/{item}.npz", to_bytes(partial))
    outcome.blobs["plan"] = (f"tables/shard_plan/{item}.npz", plan_bytes(plan))
    outcome.blobs["index"] = (f"{given.path}{INDEX}", index_bytes(plan))
    frames = int(plan.numbers["n_frames"].sum())
    outcome.count(item, samples=count, bytes=outcome.files["shard"].bytes, frames=frames)
    return outcome


def in_order(work: Callable[[T], R], things: Sequence[T], threads: int) -> Iterator[R]:
    """`work` of each thing, in their order, done by so many threads, each at most two things ahead."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for thing in things:
            if len(waiting) == 2 * threads:
                yield waiting.popleft().result()
            waiting.append(pool.submit(work, thing))
        while waiting:
            yield waiting.popleft().result()


def _sample(row: SampleRow, work: Workspace, proxies: Mapping[str, str], given: ShardWork) -> Made:
    name = row["episode_id"]
    (episode,), (alignment,) = work.rows(EPISODES, name), work.rows(ALIGNMENTS, name)
    events = {e["event_id"]: e for e in work.rows(EVENTS, name)}
    captions = {c["event_id"]: c for c in work.rows(CAPTIONS, name)}
    event = events[row["event_id"]]
    index = {c["name"]: c["frame_index"] for c in alignment["cameras"]}
    calibrations = {c["name"]: c["calibration"] for c in episode["cameras"]}
    clips = [
        Clip(
            o["camera"],
            proxies[f"media/{o['proxy']}"],
            o["gop"],
            index[o["camera"]],
            (o["width"], o["height"]),
            (o["source_width"], o["source_height"]),
            calibrations.get(o["camera"]),
        )
        for o in work.rows(OBSERVATIONS, name)
    ]
    signals = signals_of(work.rows(SIGNALS, name))
    grippers = [arm for arm in ARMS if f"gripper/{arm}" in signals]
    start, end = event["start_frame"], event["end_frame"]
    before = min(given.context[0], start)
    after = min(given.context[1], len(alignment["time_s"]) - end)
    hashes = {o["camera"]: given.media[f"media/{o['proxy']}"] for o in work.rows(OBSERVATIONS, name)}
    cut = Cut(before, after, given.groups, given.plan, hashes, given.rights.get(episode["source"], Rights()))
    cut = replace(cut, accepted=row["event_id"] in given.accepted)
    meta = sample_meta(row, episode, event, events, captions, alignment, grippers, cut)
    files, arrays = sample_files(meta, signals, alignment, clips, (start - before, end + after), given.crf)
    return Made(files, arrays, plan_row(meta, start - before, event["recovery"], clips))
