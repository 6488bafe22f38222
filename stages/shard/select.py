"""What becomes of each event of the shard level: left out and why, or how often it is drawn.

In: frames of events, labels, episodes; the trees of both clusterings. Out: a frame with the fate of each event, and the
balance behind it. Val events are all drawn once, since an evaluation wants the world as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from schemas.ids import sample_key, unit_hash
from stages.balance import Balance, Cells, Clustering, Wish, balance, draw, table
from stages.shard.config import ShardConfig

MOST, LESS = 0.5, 0.25  # share of an event in which a camera is dead; what is left of its weight
LABELS = ("vl_cluster", "action_cluster")


def fates(events: pl.DataFrame, clusters: pl.DataFrame, episodes: pl.DataFrame, config: ShardConfig) -> pl.DataFrame:
    """One row an event, by event_id: `samples` without what is drawn, and recovery bool, source, wish (its weight).

    events: event_id, episode_id, level, start_frame, end_frame, static, recovery, dead (share of its frames in which
    the worst of its cameras shows nothing), rejected (by a person); clusters: event_id and LABELS; episodes:
    episode_id, split, robot, source.
    """
    frames = pl.col("end_frame") - pl.col("start_frame")
    status = (
        pl.when(pl.col("rejected"))
        .then(pl.lit("rejected"))
        .when(pl.col("static"))
        .then(pl.lit("static"))
        .when(frames < config.min_frames)
        .then(pl.lit("too_short"))
        .when(frames > (config.max_frames or 2**62))
        .then(pl.lit("too_long"))
        .when((pl.col("dead") > MOST) & (config.pictures == "leave_out"))
        .then(pl.lit("bad_pictures"))
        .otherwise(pl.lit("reserve"))
    )
    dark = pl.when((pl.col("dead") > MOST) & (config.pictures == "weigh_down")).then(LESS).otherwise(1.0)
    found = events.join(clusters.select("event_id", *LABELS), on="event_id", how="left").join(
        episodes, on="episode_id", how="left"
    )
    found = found.sort("event_id")
    return found.select(
        "event_id",
        "episode_id",
        key=pl.Series([sample_key(e) for e in found["event_id"].to_list()], dtype=pl.String),
        split="split",
        status=status,
        robot="robot",
        level="level",
        n_frames=frames,
        vl_cluster=pl.col("vl_cluster").fill_null(-1).cast(pl.Int32),
        action_cluster=pl.col("action_cluster").fill_null(-1).cast(pl.Int32),
        source="source",
        recovery=pl.col("recovery").is_not_null(),
        wish=dark * _weights("source", config.source_weights) * _weights("robot", config.robot_weights),
    )


def _weights(column: str, weights: Mapping[str, float]) -> pl.Expr:
    return (
        pl.col(column).replace_strict(dict(weights), default=1.0, return_dtype=pl.Float64) if weights else pl.lit(1.0)
    )


def in_pool(split: str) -> pl.Expr:
    """Events that may be drawn."""
    labelled = (pl.col("vl_cluster") >= 0) & (pl.col("action_cluster") >= 0)
    return (pl.col("status") == "reserve") & (pl.col("split") == split) & labelled


def drawn(
    rows: pl.DataFrame, trees: Mapping[str, Clustering], config: ShardConfig, agreed: pl.DataFrame | None = None
) -> tuple[pl.DataFrame, Balance | None]:
    """`rows` with `repeats` int64 and `inclusion` (how many copies the balance wants of such an event, before it is
    rounded to whole ones; at most 1), and status `sampled` where it is drawn; the balance, None where there is no train
    event. trees: of `vl` and `action`; agreed: copies of cells that other corpora were asked about (`corpus budget`),
    instead of what this one would draw by itself."""
    pool = np.flatnonzero(rows.select(in_pool("train")).to_series().to_numpy())
    repeats = rows.select(in_pool("val").cast(pl.Int64)).to_series().to_numpy().copy()
    wanted = repeats.astype(np.float64)
    result = None
    if len(pool):
        own = rows[pool]
        vl, action = (own[label].to_numpy().astype(np.int64) for label in LABELS)
        cells, cell = table(vl, action, own["recovery"].to_numpy(), own["wish"].to_numpy(), config.seed)
        most = len(pool) * config.max_repeats
        asked = config.samples or max(1, round(config.keep * len(pool)))
        samples = min(most, asked)
        flat = {side: replace(one, tree=()) for side, one in trees.items()}
        vl_side, action_side = ((trees if config.grouped else flat)[side] for side in ("vl", "action"))
        wish = Wish(samples, config.alpha, config.max_repeats, config.recovery_share, vl_side, action_side)
        result = balance(cells, wish) if agreed is None else _as_agreed(cells, wish, agreed)
        told = []
        if asked > most:
            words = f"{asked} samples are asked for; {len(pool)} events, at most {config.max_repeats} times each "
            told.append(f"{words}(shard.max_repeats), give {most}")
        for column, weights in (("source", config.source_weights), ("robot", config.robot_weights)):
            unknown = sorted(set(weights) - set(own[column]))
            told += [f"shard.{column}_weights names {', '.join(unknown)}: no train event is of it"] if unknown else []
        result = replace(result, notes=(*told, *result.notes))
        u = np.array([unit_hash(f"draw:{e}", config.seed) for e in own["event_id"].to_list()])
        repeats[pool] = draw(cell, u, result.copies)
        wanted[pool] = np.divide(result.wanted, cells.n, out=np.zeros(len(cells)), where=cells.n > 0)[cell]
    status = pl.when(pl.col("repeats") > 0).then(pl.lit("sampled")).otherwise(pl.col("status"))
    return rows.with_columns(repeats=pl.Series(repeats), inclusion=pl.Series(np.minimum(wanted, 1.0))).with_columns(
        status=status
    ), result


def _as_agreed(cells: Cells, wish: Wish, agreed: pl.DataFrame) -> Balance:
    """A balance with the copies that were agreed on; a cell that has lost events since gives what it can, and one that
    nobody knew of nothing."""
    own = pl.DataFrame({"vl": cells.vl, "action": cells.action, "recovery": cells.recovery, "weight": cells.weight})
    found = own.join(agreed, on=own.columns, how="left", maintain_order="left")["copies"].fill_null(0).to_numpy()
    copies = np.minimum(found, wish.max_repeats * cells.n).astype(np.int64)
    alone = balance(cells, replace(wish, samples=int(copies.sum())))
    vl, action = (
        replace(margin, drawn=np.bincount(labels, weights=copies, minlength=len(margin.drawn)).astype(np.int64))
        for margin, labels in ((alone.vl, cells.vl), (alone.action, cells.action))
    )
    lost = int(agreed["copies"].sum()) - int(copies.sum())
    words = ["drawn as shard.budget says, which was agreed on with other corpora"]
    words += [f"{lost} samples of shard.budget are of events that are not there any more"] if lost else []
    total = max(1, int(copies.sum()))
    share = float(copies[cells.recovery].sum()) / total
    recoveries = (alone.recoveries[0], share, share)
    return replace(alone, copies=copies, vl=vl, action=action, recoveries=recoveries, notes=tuple(words))
