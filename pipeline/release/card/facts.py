"""What a release is, in figures: counted over the tables that it was made from, in narrow columns.

In: the plan, the fates of events, the balance. Out: `Facts`, the same for the same tables; and `sources`, which
manifest.json has as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from pipeline.corpus.commit import OK
from pipeline.corpus.tables import frame
from pipeline.plan import Plan
from schemas.alignments import ALIGNMENTS
from schemas.captions import CAPTIONS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.ids import EPISODE_OF, OF_ONE_ARM, SOURCE_OF
from schemas.quarantine import QUARANTINE
from stages.cluster import CLUSTER
from stages.shard import SHARD
from stages.sources.rights import Rights

Counts = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Facts:
    """episodes and hours of the events that could be drawn; listed: episodes of the sources; events: {level: (all,
    static, seconds of their median)}; primitives, recoveries, review (machine, human): of the shard level, most first;
    captions: (source, status, model, how many) of all levels; aside: (stage, reason, episodes); lost: sources that
    could not be used; flags: (flag, episodes); accepted: events that people have found right."""

    level: str
    listed: int
    episodes: int
    hours: float
    robots: Counts
    cameras: Counts
    rates: Counts
    splits: Counts
    events: Mapping[str, tuple[int, int, float]]
    primitives: Counts
    recoveries: Counts
    review: Counts
    fates: Counts
    captions: list[tuple[str, str, str, int]]
    aside: list[tuple[str, str, int]]
    lost: int
    flags: Counts
    sources: Mapping[str, Mapping[str, Any]]
    accepted: int = 0


def sources(plan: Plan, rows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """{source: licence, attribution, url, said_by, episodes (that could be used), events (of the shard level), samples
    (events that are drawn)}, of all sources of the build; rows: fates of the events."""
    used = plan.alive(CLUSTER).group_by("source").len()
    episodes = dict(used.iter_rows())
    fates = rows.group_by(source=pl.col("episode_id").str.extract(SOURCE_OF, 1)).agg(
        events=pl.len(), samples=(pl.col("status") == "sampled").sum()
    )
    drawn = {r["source"]: r for r in fates.to_dicts()}
    return {
        name: {
            **_rights(plan.survey.rights.get(name, Rights())),
            "episodes": episodes.get(name, 0),
            "events": drawn.get(name, {}).get("events", 0),
            "samples": drawn.get(name, {}).get("samples", 0),
        }
        for name in sorted(plan.survey.datasets)
    }


def gathered(plan: Plan, rows: pl.DataFrame) -> Facts:
    """rows: fates of the events of the shard level."""
    level = plan.config(SHARD).level
    alive = plan.alive(CLUSTER).select("episode_id")
    columns = ["episode_id", "robot", "t0", "t1", "split", "fps", "cameras"]
    about = plan.rows(EPISODES, columns).join(alive, on="episode_id", how="semi")
    narrow = ["episode_id", "level", "track", "origin", "start_s", "end_s", "primitive", "static", "recovery"]
    events = plan.rows(EVENTS, narrow).filter(track="all").join(alive, on="episode_id", how="semi")
    own = events.filter(level=level)
    flags = plan.rows(ALIGNMENTS, ["episode_id", "flags"]).join(alive, on="episode_id", how="semi")
    cameras = about.select(pl.col("cameras").list.eval(pl.element().struct["name"])).explode("cameras")["cameras"]
    return Facts(
        level,
        plan.survey.episodes.height,
        about.height,
        float((about["t1"] - about["t0"]).sum()) / 3600,
        _counts(about["robot"]),
        _counts(cameras.drop_nulls()),
        _counts(about["fps"].map_elements(lambda v: f"{v:g}", pl.String)),
        _counts(about["split"]),
        {lv: _level(events.filter(level=lv)) for lv in sorted(events["level"].unique(), reverse=True)},
        _counts(own["primitive"]),
        _counts(own["recovery"].drop_nulls()),
        _counts(own["origin"]),
        _counts(rows["status"]),
        _captions(plan, alive),
        _aside(plan),
        len(plan.survey.lost),
        _counts(flags["flags"].explode().drop_nulls()),
        sources(plan, rows),
        sum(v.state == "accepted" for o in plan.review.values() for v in o.verdicts if v.level == level),
    )


def _rights(rights: Rights) -> dict[str, str]:
    return {
        "licence": rights.licence,
        "attribution": rights.attribution,
        "url": rights.url,
        "said_by": rights.said_by,
    }


def _counts(values: pl.Series) -> Counts:
    """Most first, then by name."""
    return sorted(Counter(map(str, values.to_list())).items(), key=lambda pair: (-pair[1], pair[0]))


def _level(own: pl.DataFrame) -> tuple[int, int, float]:
    moving = own.filter(~pl.col("static"))
    median = (moving["end_s"] - moving["start_s"]).median()
    return own.height, own.height - moving.height, float(median or 0.0)  # type: ignore[arg-type]


def _captions(plan: Plan, alive: pl.DataFrame) -> list[tuple[str, str, str, int]]:
    columns = ["event_id", "episode_id", "source", "status", "model"]
    said = plan.rows(CAPTIONS, columns).join(alive, on="episode_id", how="semi")
    said = said.filter(~pl.col("event_id").str.contains(OF_ONE_ARM))
    counts = said.group_by("source", "status", "model").len()
    return sorted(counts.iter_rows(), key=lambda row: (-row[3], row))


def _aside(plan: Plan) -> list[tuple[str, str, int]]:
    """(stage, reason, how many episodes), of what the survey and each stage have set aside; most first."""
    found: set[tuple[str, str, str]] = set()
    for lost in (found for found in plan.survey.refused if found.error.event_id is None):
        found |= {("survey", lost.error.reason.value, item) for item, _ in lost.items()}
    for stage in plan.stages:
        if stage is not SHARD and stage.name in plan.wanted and stage.name in plan.states:
            found |= {(stage.name, *pair) for pair in _refused(plan, stage.name)}
    counts = Counter((stage, reason) for stage, reason, _ in found)
    return sorted(((s, r, n) for (s, r), n in counts.items()), key=lambda row: (-row[2], row))


def _refused(plan: Plan, stage: str) -> Iterable[tuple[str, str]]:
    """(reason, episode) of a stage's wanted items that are in quarantine."""
    state = plan.states[stage]
    bad = state.of(plan.wanted[stage]).filter(pl.col("status") != OK)
    files = state.files_named(QUARANTINE.name).join(bad, on="unit", how="semi")
    for unit, path in files.iter_rows():
        items = bad.filter(unit=unit)["item"].to_list()
        rows = frame(plan.ledger.root, QUARANTINE, {path: ["*"]}, ["item", "episode_id", "event_id", "reason"])
        rows = rows.filter(pl.col("event_id").is_null() & pl.col("item").is_in(items))
        named = pl.col("episode_id").fill_null(pl.col("item").str.extract(EPISODE_OF, 1)).fill_null(pl.col("item"))
        yield from rows.select("reason", named).iter_rows()
