"""Which tar holds which event: tars of the last release where they still serve, new ones for what is in none.

In: the fates of events and how often each is drawn, the tars of the last release. Out: the tars of this one. A tar's
name is a hash of its events and of all that their samples were made from, so that a tar that is there already need not
be written; what changes from night to night (weights, repeats) is in index.parquet alone.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from schemas.ids import TOGETHER, episode_of, number_of, source_of, unit_hash
from stages.fingerprint import fingerprint
from stages.shard.config import ShardConfig
from stages.shard.deal import deal, tar_count

KINDS = ("train", "val", "reserve")  # of tars
LOWDIM_BYTES = 4096  # npz, json and tar headers of a sample, about
SPRAWL = 2  # times as many tars as a fresh deal would make: they are dealt anew


@dataclass(frozen=True, slots=True)
class Tar:
    """kind: one of KINDS; name: kind-hash, the ledger's item and the file's name; events in the order of the tar, with
    the weights, and plan the inputs of the release, that it was first written with."""

    kind: str
    name: str
    events: tuple[str, ...]
    weights: tuple[float, ...]
    plan: str


@dataclass(frozen=True, slots=True)
class Made:
    """What the samples of a release are made from: a hash of what they share (version, settings, centroids), the
    fingerprint of each event's episode, about how many bytes each event takes, and a hash of the release's inputs."""

    shared: str
    prints: Mapping[str, str]
    sizes: Mapping[str, int]
    plan: str = ""

    def tar(self, kind: str, weighted: Mapping[str, float], seed: int, plan: str | None = None) -> Tar:
        """A tar of events with their weights, in which they lie in an order of their own; plan: of an earlier release
        that wrote it."""
        plan = self.plan if plan is None else plan
        ordered = sorted(weighted, key=lambda e: unit_hash(f"within:{e}", seed))
        weights = tuple(weighted[e] for e in ordered)
        content = [(e, self.prints[e], w) for e, w in zip(ordered, weights, strict=True)]
        return Tar(kind, f"{kind}-{fingerprint('tar', self.shared, plan, content)}", tuple(ordered), weights, plan)


def place(
    rows: pl.DataFrame, last: Sequence[Tar], written: Container[str], made: Made, config: ShardConfig
) -> list[Tar]:
    """The tars of a release, kept ones first. rows: of `select.drawn`; last: tars of the release before, in order;
    written: names of tars that are there."""
    reserve = rows.filter(status="reserve", split="train") if config.reserve == "tars" else rows.clear()
    wanted = {
        "train": _drawn(rows, "train", config.repeats == "materialise"),
        "val": _drawn(rows, "val", True),
        "reserve": reserve.select(*COLUMNS, copies=pl.lit(1, pl.Int64), weight=pl.lit(0.0)),
    }
    usable = rows.filter(pl.col("status").is_in(["sampled", "reserve"]))
    splits = dict(usable.select("event_id", "split").iter_rows())
    kept = [tar for tar in last if tar.name in written and _is_whole(tar, made, splits, config)]
    tars: list[Tar] = []
    for kind in KINDS:
        tars += _of_kind(kind, wanted[kind], [tar for tar in kept if tar.kind == kind], made, config)
    return tars


COLUMNS = ("event_id", "vl_cluster", "action_cluster")


def _drawn(rows: pl.DataFrame, split: str, every_copy: bool) -> pl.DataFrame:
    """COLUMNS, copies and their weight, of the events of a split that are drawn."""
    own = rows.filter(status="sampled", split=split)
    copies = pl.col("repeats") if every_copy else pl.lit(1, pl.Int64)
    return own.select(*COLUMNS, copies=copies, weight=pl.col("repeats") / copies)


def _is_whole(tar: Tar, made: Made, splits: Mapping[str, str], config: ShardConfig) -> bool:
    """Whether all samples of a tar would come out the same today, and may be used."""
    split = "val" if tar.kind == "val" else "train"
    if not all(splits.get(event) == split for event in tar.events):
        return False
    weighted = dict(zip(tar.events, tar.weights, strict=True))
    return made.tar(tar.kind, weighted, config.seed, tar.plan).name == tar.name


def _of_kind(kind: str, wanted: pl.DataFrame, kept: list[Tar], made: Made, config: ShardConfig) -> list[Tar]:
    copies = wanted.select("event_id", "copies")
    held = (
        pl.DataFrame({"event_id": [e for tar in kept for e in tar.events]}, schema={"event_id": pl.String})
        .group_by("event_id")
        .len("held")
    )
    both = copies.join(held, on="event_id", how="full", coalesce=True).fill_null(0)
    new = wanted.join(held, on="event_id", how="anti")
    off = both.filter(pl.col("held") > 0).select((pl.col("copies") - pl.col("held")).abs().sum()).item()
    all_held = both.with_columns(copies=pl.max_horizontal("copies", "held"))
    fresh, more = _count(all_held, made, config, kind, 0), _count(new, made, config, kind, len(kept))
    sprawling = len(kept) + more > SPRAWL * fresh
    counted = kind == "train" and config.repeats == "materialise"  # elsewhere weights say all
    stale = counted and off > config.repack_share * int(copies["copies"].sum())
    if stale or sprawling or wanted.is_empty():
        kept, new = [], wanted
    return [*kept, *_dealt(kind, new, made, config, len(kept))]


def _count(wanted: pl.DataFrame, made: Made, config: ShardConfig, kind: str, kept: int) -> int:
    """Tars that a deal of these events makes beside those that are kept."""
    if wanted.is_empty():
        return 0
    size = sum(made.sizes[e] * n for e, n in wanted.select("event_id", "copies").iter_rows())
    most = int(wanted["copies"].max())  # type: ignore[arg-type]  # no tar has two copies of an event
    least = max(1, config.min_shards - kept) if kind == "train" else 1
    count = tar_count(int(wanted["copies"].sum()), size, config.target_bytes, least)
    return max(count, 1 << (most - 1).bit_length())


def _dealt(kind: str, wanted: pl.DataFrame, made: Made, config: ShardConfig, kept: int) -> list[Tar]:
    if wanted.is_empty():
        return []
    near = [unit_hash(f"order:{_neighbours(episode_of(e))}", config.seed) for e in wanted["event_id"].to_list()]
    wanted = wanted.with_columns(near=pl.Series(near, dtype=pl.Float64)).sort("near", "event_id")
    each = wanted["copies"].to_numpy()
    row = np.repeat(np.arange(wanted.height), each)
    vl, action = (wanted[c].to_numpy().astype(np.int64)[row] for c in COLUMNS[1:])
    count = _count(wanted, made, config, kind, kept)
    part = deal(vl, action, row, count)
    events, weight = wanted["event_id"].to_list(), wanted["weight"].to_list()
    members: list[dict[str, float]] = [{} for _ in range(count)]
    for tar, number in zip(part.tolist(), row.tolist(), strict=True):
        members[tar][events[number]] = weight[number]
    return [made.tar(kind, own, config.seed) for own in members if own]


def _neighbours(episode: str) -> str:
    """A name that TOGETHER episodes which follow each other in their source share: they lie in the same row groups of
    the tables, so that a tar reads a few of those, however many episodes a part holds."""
    number = number_of(episode)
    return episode if number is None else f"{source_of(episode)}/{number // TOGETHER}"


def weights(rows: pl.DataFrame, tars: Sequence[tuple[str, Tar]]) -> pl.DataFrame:
    """`rows` with `shards` (file names of the tars that hold an event) and `weight`. tars: (file name, tar)."""
    places = pl.DataFrame(
        [(e, file, tar.kind != "reserve") for file, tar in tars for e in tar.events],
        schema={"event_id": pl.String, "file": pl.String, "counts": pl.Boolean},
        orient="row",
    )
    found = places.group_by("event_id").agg(shards=pl.col("file").sort(), copies=pl.col("counts").sum())
    joined = rows.join(found, on="event_id", how="left", maintain_order="left")
    weight = (pl.col("repeats") / pl.col("copies").clip(lower_bound=1)).fill_null(0.0)
    return joined.with_columns(pl.col("shards").fill_null([]), weight=weight).drop("copies")
