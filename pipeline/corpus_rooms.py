"""The rooms that see the corpus as a whole: cluster (all embeddings), shard (one tar of samples).

In: a `Unit` and the `Context`. Out: an `Outcome`. Cluster reads part by part: what it holds at once is the sample it
fits on.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pyarrow as pa

from pipeline.ledger import Ledger, PartFile
from pipeline.parts import by_episode, read
from pipeline.work import Context, Outcome, Unit
from schemas.ids import ARMS, LEVELS, level_of, unit_hash
from schemas.reasons import Quarantined, Reason
from stages import storage
from stages.cluster import ClusterConfig
from stages.episode import signals_of

if TYPE_CHECKING:  # FAISS and scikit-learn take 1.5 s to import, and one task needs them
    from stages.cluster.kmeans import Clustering

SPACES = ("vl", "action")
T = TypeVar("T")
R = TypeVar("R")


def cluster(unit: Unit, context: Context) -> Outcome:
    """Fit both clusterings of each level on a sample (or take frozen ones) and label every event."""
    from stages.cluster.kmeans import from_bytes, to_bytes

    outcome, config = Outcome(), context.config.cluster
    parts = unit.payload["parts"]["embeddings"]
    model = from_bytes(storage.read_bytes(storage.normalise(config.centroids))) if config.centroids else None
    if model is None:
        model = _fit(context.root, parts, config)
    outcome.blobs["model"] = (f"models/clusters-{unit.items[0][1]}.npz", to_bytes(model))
    for path, items in sorted(parts.items()):
        for level, table in _by_level(read(context.root, "embeddings", {path: items})):
            outcome.add("clusters", _labels(table, level, model))
    figures = {name.replace("/", "_"): len(one.centroids) for name, one in model.items()}
    outcome.count(unit.items[0][0], events=len(outcome.rows.get("clusters", [])), **figures)
    return outcome


def _labels(table: pa.Table, level: str, model: Mapping[str, Clustering]) -> Iterator[dict[str, Any]]:
    """`clusters` rows of embeddings of one level. Raises Quarantined where frozen centroids do not know the level."""
    unknown = [s for s in SPACES if f"{s}/{level}" not in model]
    if unknown:
        raise Quarantined(
            Reason.INTERNAL_ERROR, f"cluster.centroids holds {sorted(model)}, nothing for {level}", retryable=True
        )
    columns = [table["event_id"].to_pylist(), table["episode_id"].to_pylist(), [level] * table.num_rows]
    for space in SPACES:
        labels, distances = model[f"{space}/{level}"].assign(_matrix(table[space]))
        columns += [labels.tolist(), distances.tolist()]
    names = ("event_id", "episode_id", "level", "vl_cluster", "vl_distance", "action_cluster", "action_distance")
    return (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))


def shard(unit: Unit, context: Context) -> Outcome:
    """Write one tar. An event whose sample cannot be made is quarantined; its shard goes on without it. A damaged part
    or proxy fails the tar: a release must not lack events, or hold spoiled ones, because of a bad disk.

    Each proxy is fetched and hashed once. Samples are made by `threads` threads and written in order: a small release
    has fewer tars than there are workers, and most of a sample's cost is in codecs, which run side by side.
    """
    from stages.shard.stats import FIELDS, RobotStats, to_bytes
    from stages.shard.tar import write_tar

    outcome, ledger = Outcome(), Ledger(context.root)
    release, name, rows, threads = (unit.payload[k] for k in ("release", "name", "rows", "threads"))
    tables = {t: by_episode(context.root, t, p) for t, p in unit.payload["parts"].items()}
    stats: dict[tuple[str, str], RobotStats] = {}
    frames = 0

    def sample(row: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]] | Quarantined:
        try:
            return _sample(row, tables, proxies, context)
        except (OSError, ValueError) as error:
            return Quarantined(Reason.SAMPLE_FAILED, f"{type(error).__name__}: {error}", event_id=row["event_id"])

    def samples() -> Iterator[tuple[str, Mapping[str, bytes]]]:
        nonlocal frames
        for row, made in zip(rows, in_order(sample, rows, min(threads, os.cpu_count() or 1)), strict=True):
            if isinstance(made, Quarantined):
                outcome.events_refused.append((row["episode_id"], made))
                continue
            files, arrays = made
            for field in FIELDS:
                if field in arrays and arrays[field].shape[1]:
                    stats.setdefault((_source(row), field), RobotStats()).add(arrays[field][arrays["valid"]])
            frames += row["n_frames"]
            yield row["key"], files

    path = f"shards/{release}/{name}"
    with ExitStack() as stack, storage.staged(ledger.path(path)) as target:
        proxies = {p: stack.enter_context(ledger.intact(p, sha)) for p, sha in unit.payload["media"].items()}
        digest, count = write_tar(target, samples())
    size = storage.size(ledger.path(path))
    outcome.written["shard"] = PartFile(path, 0, size, digest)
    partial = {f"{source}/{field}": s.summary() for (source, field), s in sorted(stats.items()) if s.rows}
    outcome.blobs["stats"] = (f"tables/shard_stats/{unit.items[0][1]}.npz", to_bytes(partial))
    outcome.count(unit.items[0][0], samples=count, bytes=size, frames=frames)
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


def _source(row: Mapping[str, Any]) -> str:
    """Source of a samples row: the first part of its episode's name."""
    return str(row["episode_id"]).split("/")[0]


def _by_level(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """(level, its rows) of an embeddings table, levels in order."""
    levels = np.array([level_of(e) for e in table["event_id"].to_pylist()], dtype=object)
    for level in LEVELS:
        own = np.flatnonzero(levels == level)
        if len(own):
            yield level, table.take(own)


def _fit(root: str, parts: Mapping[str, list[str]], config: ClusterConfig) -> dict[str, Clustering]:
    """{space/level: clustering}, fitted on the events of smallest hash: the same ones whatever the parts."""
    from stages.cluster.kmeans import count_for, fit

    events = dict.fromkeys(LEVELS, 0)
    for path, items in parts.items():
        for level, table in _by_level(read(root, "embeddings", {path: items}, ["event_id", "episode_id"])):
            events[level] += table.num_rows
    kept: dict[str, list[np.ndarray]] = {f"{s}/{level}": [] for s in SPACES for level in LEVELS}
    ids: dict[str, list[str]] = {level: [] for level in LEVELS}
    for path, items in sorted(parts.items()):
        for level, table in _by_level(read(root, "embeddings", {path: items})):
            threshold = min(1.0, config.fit_sample / events[level])
            names = table["event_id"].to_pylist()
            chosen = np.array([unit_hash(f"fit:{e}", config.seed) < threshold for e in names], dtype=bool)
            ids[level] += [e for e, c in zip(names, chosen.tolist(), strict=True) if c]
            for space in SPACES:
                kept[f"{space}/{level}"].append(_matrix(table[space])[chosen])
    model = {}
    for level in (level for level in LEVELS if ids[level]):
        order = np.argsort(np.array(ids[level]))  # parts may be grouped differently from run to run
        for space, wanted in (("vl", config.vl_clusters), ("action", config.action_clusters)):
            vectors = np.concatenate(kept[f"{space}/{level}"])[order]
            model[f"{space}/{level}"] = fit(vectors, count_for(len(order), wanted), config)
    return model


def _matrix(column: Any) -> np.ndarray:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(flat.reshape(len(column), -1), dtype=np.float32)


def _sample(
    row: Mapping[str, Any],
    tables: Mapping[str, Mapping[str, list[dict[str, Any]]]],
    proxies: Mapping[str, str],
    context: Context,
) -> tuple[dict[str, bytes], dict[str, Any]]:
    from stages.shard.sample import Clip, sample_files

    episode_id = row["episode_id"]
    episode = tables["episodes"][episode_id][0]
    alignment = tables["alignments"][episode_id][0]
    events = {e["event_id"]: e for e in tables["events"][episode_id]}
    captions = {c["event_id"]: c for c in tables["captions"][episode_id]}
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
        for o in tables["observations"].get(episode_id, [])
    ]
    signals = signals_of(tables["signals"][episode_id])
    grippers = [arm for arm in ARMS if f"gripper/{arm}" in signals]
    meta = sample_meta(row, episode, event, events, captions, alignment, grippers)
    span = (event["start_frame"], event["end_frame"])
    return sample_files(meta, span, signals, alignment, clips, context.config.observe.crf)


def sample_meta(
    row: Mapping[str, Any],
    episode: Mapping[str, Any],
    event: Mapping[str, Any],
    events: Mapping[str, Mapping[str, Any]],
    captions: Mapping[str, Mapping[str, Any]],
    alignment: Mapping[str, Any],
    grippers: list[str],
) -> dict[str, Any]:
    """KEY.json: what a trainer wants to know of the sample without our code."""
    chain, current = {}, event
    while True:
        chain[current["level"]] = captions[current["event_id"]]["text"]
        if current["parent_id"] is None:
            break
        current = events[current["parent_id"]]
    start = event["start_frame"]
    inside = [e for e in events.values() if e["parent_id"] == event["event_id"]]
    inside.sort(key=lambda e: int(e["start_frame"]))
    return {
        "event_id": event["event_id"],
        "episode_id": event["episode_id"],
        "source": episode["source"],
        "robot": episode["robot"],
        "split": row["split"],
        "task": episode["task"],
        "level": event["level"],
        "primitive": event["primitive"],
        "arms": list(event["arms"]),
        "gripper_arms": grippers,
        "captions": chain,
        "children": [
            {
                "start": e["start_frame"] - start,
                "end": e["end_frame"] - start,
                "caption": captions[e["event_id"]]["text"],
            }
            for e in inside
        ],
        "vl_cluster": row["vl_cluster"],
        "action_cluster": row["action_cluster"],
        "weight": row["weight"],
        "fps": alignment["fps"],
        "n_frames": row["n_frames"],
        "start_s": event["start_s"],
        "end_s": event["end_s"],
        "static": event["static"],
        "confidence": round(event["confidence"], 4),
        "flags": list(alignment["flags"]),
    }
