"""The choice of a release: which events go into which tar.

In: the plan after cluster. Out: a `Release`, and one unit of shard a tar. A release is immutable: its name is the
fingerprint of all that went into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import polars as pl

from pipeline.plan import Plan
from schemas.alignments import ALIGNMENTS
from schemas.clusters import CLUSTERS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.observations import OBSERVATIONS
from schemas.samples import SampleRow
from stages import shard, storage
from stages.cluster import CLUSTER
from stages.embed import EMBED
from stages.fingerprint import fingerprint
from stages.observe import OBSERVE
from stages.shard import SHARD, ShardWork
from stages.shard.pictures import dead_shares
from stages.shard.select import EventSpan, pack, select
from stages.work import Inputs, Unit

LOWDIM_BYTES = 4096  # npz, json and tar headers of a sample, about


@dataclass(slots=True)
class Release:
    """The choice of one build: its name, all rows of the shard level, and the rows of each tar."""

    name: str
    rows: list[SampleRow]
    shards: dict[str, list[SampleRow]]

    def folder(self, root: str) -> str:
        return storage.join(root, "shards", self.name)


def release_name(plan: Plan) -> str:
    """Fingerprint of the shard stage: its config, the clusters, and every episode that it draws from."""
    episodes = plan.alive(EMBED)["fingerprint"].sort().to_list()
    clusters = plan.wanted[CLUSTER.name].select("item", "fingerprint").rows()
    return fingerprint("shard", shard.VERSION, plan.config(SHARD), clusters, episodes)


def item_of(release: str, tar: str) -> str:
    """Ledger item of a tar: it is its own fingerprint, since the release's name is one."""
    return f"{release}-{tar.removesuffix('.tar')}"


def choose(plan: Plan, name: str) -> Release:
    """Draw and pack the events of `shard.level`. Holds one narrow row an event of that level."""
    config, alive = plan.config(SHARD), plan.alive(EMBED).select("episode_id")
    narrow = ["event_id", "episode_id", "level", "track", "start_frame", "end_frame", "static"]
    events = plan.rows(EVENTS, narrow).filter(level=config.level, track="all").join(alive, on="episode_id", how="semi")
    clusters = plan.rows(CLUSTERS, ["event_id", "vl_cluster", "action_cluster"])
    episodes = plan.rows(EPISODES, ["episode_id", "split", "robot"])
    sizes = _bytes_per_frame(plan)
    dead = dead_shares(events, plan.rows(ALIGNMENTS, ["episode_id", "pictures"]))
    spans = [{**e, "dead": dead.get(e["event_id"], 0.0)} for e in events.to_dicts()]
    rows = select(
        cast("list[EventSpan]", spans),
        {e: (v, a) for e, v, a in clusters.iter_rows()},
        {e: {"split": split, "robot": robot} for e, split, robot in episodes.iter_rows()},
        config,
    )
    estimated = {r["event_id"]: int(r["n_frames"] * sizes.get(r["episode_id"], 0.0)) + LOWDIM_BYTES for r in rows}
    return Release(name, rows, pack(rows, estimated, config))


def units(plan: Plan, release: Release, workers: int) -> list[Unit[ShardWork]]:
    """One unit a tar, with as many threads as its share of all samples is of the workers; the largest comes first."""
    tars = sorted(release.shards.items(), key=lambda tar: (-len(tar[1]), tar[0]))
    number, crf = sum(map(len, release.shards.values())), plan.config(OBSERVE).crf
    pairs = [(e, n) for n, (_, rows) in enumerate(tars) for e in sorted({r["episode_id"] for r in rows})]
    split = pl.DataFrame(pairs, schema={"episode_id": pl.String, "number": pl.Int64}, orient="row")
    sources = dict(plan.alive(EMBED).select("episode_id", "source").iter_rows())
    inputs = plan.inputs(SHARD, split.with_columns(source=pl.lit(None, pl.String)))
    result = []
    for n, (name, rows) in enumerate(tars):
        own, item = inputs.get(n, Inputs()), item_of(release.name, name)
        path = f"shards/{release.name}/{name}"
        work = ShardWork(own.parts, own.media, path, rows, -(-workers * len(rows) // number), crf)
        result.append(Unit(SHARD.name, ((item, item),), work, {e: sources[e] for e in {r["episode_id"] for r in rows}}))
    return result


def _bytes_per_frame(plan: Plan) -> dict[str, float]:
    """{episode: bytes of all its proxies per frame}."""
    table = plan.rows(OBSERVATIONS, ["episode_id", "camera", "proxy_bytes", "motion"])
    grouped = table.group_by("episode_id").agg(
        (pl.col("proxy_bytes") / pl.col("motion").list.len()).sum().alias("bytes")
    )
    return dict(grouped.iter_rows())
