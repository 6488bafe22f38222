"""What becomes of each event of the shard level, and which shard it goes to.

In: events, clusters, splits, sizes. Out: `samples` rows. Train events are drawn by their inclusion probability
with the help of a hash of their id; val events are all kept with weight 1, since an evaluation wants the world as it
is. Episodes are laid out in hash order, a few neighbours at a time, and packed into tars of about equal size: a shard
then needs the tables of a few episodes, not of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np

from schemas.ids import TOGETHER, key_of, sample_key, source_of, unit_hash
from schemas.samples import SampleRow
from stages.shard.balance import inclusion, wanted_frequency
from stages.shard.config import ShardConfig

MOST, LESS = 0.5, 0.25  # share of an event in which a camera is dead; what is left of its weight


class EventSpan(TypedDict):
    """What the draw must know of an event: columns of `events`."""

    event_id: str
    episode_id: str
    level: str
    start_frame: int
    end_frame: int
    static: bool
    dead: float  # share of its frames in which the worst of its cameras shows nothing


class Declared(TypedDict):
    """And of an episode: columns of `episodes`."""

    split: str
    robot: str


def select(
    events: Sequence[EventSpan],
    clusters: Mapping[str, tuple[int, int]],
    episodes: Mapping[str, Declared],
    config: ShardConfig,
) -> list[SampleRow]:
    """One row an event; `shard` still null. clusters: {event_id: (vl, action)}; episodes: {episode_id: row}."""
    rows = [_row(event, clusters, episodes[event["episode_id"]], config) for event in events]
    pool = [r for r in rows if r["status"] == "sampled" and r["split"] == "train"]
    wanted = wanted_frequency(
        [r["vl_cluster"] for r in pool], [r["action_cluster"] for r in pool], config.alpha, config.max_weight
    )
    chance = inclusion(wanted, config.keep)
    for row, want, probability in zip(pool, wanted.tolist(), chance.tolist(), strict=True):
        row["inclusion"] = probability
        row["weight"] = want / probability
        row["status"] = "reserve"
    for row in _draw(pool, config.seed):
        row["status"] = "sampled"
    drawn = [r for r in pool if r["status"] == "sampled"]
    mean = float(np.mean([r["weight"] for r in drawn])) if drawn else 1.0
    dark = {e["event_id"] for e in events if e["dead"] > MOST}
    for row in pool:
        row["weight"] /= mean
        if row["event_id"] in dark:  # (only where the configuration lets it in)
            row["weight"] = min(row["weight"], 1.0) * (LESS if config.pictures == "weigh_down" else 1.0)
    return rows


def _draw(pool: Sequence[SampleRow], seed: int) -> list[SampleRow]:
    """Events drawn by inclusion probability: sequential Poisson sampling within each VL cluster.

    Each event has a permanent random number, a hash of its id; a cluster takes its expected number of events with the
    smallest number over probability. Sizes are then met within one event however small the corpus (independent draws
    made small ones less even than they were), and one more event hardly changes the fate of the others.
    """
    clusters: dict[int, list[SampleRow]] = {}
    for row in pool:
        clusters.setdefault(row["vl_cluster"], []).append(row)
    drawn: list[SampleRow] = []
    expected = 0.0
    for _, members in sorted(clusters.items()):
        expected += sum(r["inclusion"] for r in members)
        take = round(expected) - len(drawn)  # what one cluster is rounded off, the next one gets
        ranked = sorted(members, key=lambda r: unit_hash(f"draw:{r['event_id']}", seed) / r["inclusion"])
        drawn += ranked[:take]
    return drawn


def pack(rows: Sequence[SampleRow], sizes: Mapping[str, int], config: ShardConfig) -> dict[str, list[SampleRow]]:
    """{shard file name: its rows in order}; sets `shard` in the rows. sizes: {event_id: estimated bytes}."""
    shards: dict[str, list[SampleRow]] = {}
    for split in ("train", "val"):
        chosen = [r for r in rows if r["status"] == "sampled" and r["split"] == split]
        chosen.sort(key=lambda r: (unit_hash(f"order:{_neighbours(r['episode_id'])}", config.seed), r["event_id"]))
        total = sum(sizes[r["event_id"]] for r in chosen)
        number = max(1, round(total / config.target_bytes))
        filled = 0
        for row in chosen:
            name = f"{split}-{min(number - 1, filled * number // max(1, total)):06d}.tar"
            filled += sizes[row["event_id"]]
            row["shard"] = name
            shards.setdefault(name, []).append(row)
    for members in shards.values():
        members.sort(key=lambda r: unit_hash(f"within:{r['event_id']}", config.seed))
    return shards


def _neighbours(episode: str) -> str:
    """A name that TOGETHER episodes which follow each other in their source share: they lie in the same row groups of
    the tables, so that a tar reads a few of those, however many episodes a part holds."""
    key = key_of(episode)
    return f"{source_of(episode)}/{int(key) // TOGETHER}" if key.isdigit() else episode


def _row(
    event: EventSpan, clusters: Mapping[str, tuple[int, int]], episode: Declared, config: ShardConfig
) -> SampleRow:
    frames = event["end_frame"] - event["start_frame"]
    vl, action = clusters.get(event["event_id"], (-1, -1))
    status = "sampled"
    if event["static"]:
        status = "static"
    elif frames < config.min_frames:
        status = "too_short"
    elif config.max_frames is not None and frames > config.max_frames:
        status = "too_long"
    elif event["dead"] > MOST and config.pictures == "leave_out":
        status = "bad_pictures"
    return {
        "event_id": event["event_id"],
        "episode_id": event["episode_id"],
        "key": sample_key(event["event_id"]),
        "split": episode["split"],
        "status": status,
        "shard": None,
        "robot": episode["robot"],
        "level": event["level"],
        "n_frames": frames,
        "vl_cluster": vl,
        "action_cluster": action,
        "inclusion": 1.0 if status == "sampled" else 0.0,
        "weight": 1.0,
    }
