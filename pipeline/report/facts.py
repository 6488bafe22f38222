"""What the report says in figures: the whole in one line, sources, levels, fates of events, time and memory.

In: a corpus. Out: plain values, bounded in number. Only narrow columns are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.corpus.view import Corpus, StageRow
from pipeline.report.refusals import clipped
from schemas.alignments import LAG_VOTES, LagVoteRow
from schemas.ids import LEVELS, SOURCE_OF
from schemas.samples import STATUSES
from stages import storage

SOURCES = 40  # rows of the table of sources
PRIMITIVES = 8  # bars of a level
LOST = 10
TEXT = 200


class Totals(TypedDict):
    """The top of the page. unreached: stages that have nothing to show for themselves; lost: sources that cannot be
    used, and why; aside: episodes; decoded: frames, some more than once; frames: of the sources."""

    name: str
    release: str | None
    complete: bool
    unreached: list[str]
    episodes: int
    sources: int
    lost: list[tuple[str, str]]
    lost_more: int
    lost_all: int
    hours: float
    level: str
    events: dict[str, int]
    samples: int
    shards: int
    megabytes: float
    aside: int
    events_aside: int
    decoded: int
    frames: int


class SourceRow(TypedDict):
    """A source: episodes that it lists, hours that are in the corpus, episodes set aside; robot, profile and cameras
    (the most of an episode) are None where no episode could be read."""

    source: str
    episodes: int
    hours: float
    robot: str | None
    profile: str | None
    cameras: int | None
    aside: int
    lag: str
    flags: str
    licence: str
    attribution: str


class LevelRow(TypedDict):
    """A level: events, those at rest, s of each that moves, primitives by how often."""

    level: str
    events: int
    static: int
    seconds: npt.NDArray[np.float64]
    primitives: list[tuple[str, int]]


class SplitRow(TypedDict):
    """Events of a split by status, in the order of the statuses."""

    split: str
    numbers: list[int]


class WorkRow(StageRow):
    """A stage with its share of all work, 0 to 1."""

    share: float


def overview(corpus: Corpus, status: Sequence[StageRow], quarantine: pl.DataFrame) -> Totals:
    """Totals for the top of the page."""
    release, observe, shard = corpus.manifest["release"], corpus.counts("observe"), corpus.counts("shard")
    segment = corpus.counts("segment")
    whole = quarantine.filter(pl.col("event_id").is_null())
    lost = sorted(corpus.manifest["lost"].items())
    episodes = corpus.wanted("ingest")["item"].to_list()
    return {
        "name": storage.name_of(corpus.root),
        "release": release,
        "complete": corpus.manifest["complete"],
        "unreached": [row["stage"] for row in status if not row["items"]],
        "episodes": len(episodes),
        "sources": len(corpus.manifest["sources"]),
        "lost": [(source, clipped(message, TEXT)) for source, message in lost[:LOST]],
        "lost_more": max(0, len(lost) - LOST),
        "lost_all": len(lost),
        "hours": float(corpus.counts("ingest").get("hours", 0.0)),
        "level": corpus.manifest["config"]["shard"]["level"],
        "events": {level: int(segment.get(level, 0)) for level in LEVELS},
        "samples": int(shard.get("samples", 0)) if release else 0,
        "shards": corpus.wanted("shard").height if release else 0,
        "megabytes": shard.get("bytes", 0) / 1e6 if release else 0.0,
        "aside": whole.filter(pl.col("episode_id").is_in(episodes))["episode_id"].n_unique(),
        "events_aside": quarantine.height - whole.height,
        "decoded": int(observe.get("decoded_frames", 0)),
        "frames": int(observe.get("source_frames", 0)),
    }


def sources(corpus: Corpus, quarantine: pl.DataFrame) -> tuple[list[SourceRow], dict[str, float]]:
    """(one row a source, the longest first, and what is not shown: {"sources", "episodes", "hours"})."""
    columns = ["episode_id", "source", "robot", "profile", "t0", "t1", "cameras"]
    read = corpus.table("episodes", columns=columns).group_by("source").agg(
        hours=(pl.col("t1") - pl.col("t0")).sum() / 3600,
        robot=pl.col("robot").first(),
        profile=pl.col("profile").first(),
        cameras=pl.col("cameras").list.len().max(),
    )  # fmt: skip
    listed = corpus.wanted("ingest").select(pl.col("item").alias("episode_id"))
    listed = listed.group_by(source=pl.col("episode_id").str.extract(SOURCE_OF, 1)).agg(episodes=pl.len())
    whole = quarantine.filter(pl.col("event_id").is_null())
    aside = whole.group_by("source").agg(aside=pl.col("episode_id").n_unique())
    names = pl.DataFrame({"source": sorted(corpus.manifest["sources"])}, schema={"source": pl.String})
    for other in (listed, read, aside):
        names = names.join(other, on="source", how="left")
    table = names.with_columns(pl.col("episodes", "hours", "aside").fill_null(0)).sort(
        "hours", "source", descending=[True, False]
    )
    lags = {r["source"]: r for r in corpus.narrow(LAG_VOTES, LagVoteRow)} if corpus.has("vote") else None
    flags, rest, rights = _flags(corpus), table.slice(SOURCES), corpus.manifest.get("rights", {})
    rows: list[SourceRow] = [
        {
            "source": row["source"],
            "episodes": row["episodes"],
            "hours": row["hours"],
            "robot": row["robot"],
            "profile": row["profile"],
            "cameras": row["cameras"],
            "aside": row["aside"],
            "lag": lag_words(row["source"], row["cameras"], lags),
            "flags": flags.get(row["source"], ""),
            "licence": clipped(rights.get(row["source"], {}).get("licence", ""), TEXT),
            "attribution": clipped(rights.get(row["source"], {}).get("attribution", ""), TEXT),
        }
        for row in table.head(SOURCES).to_dicts()
    ]
    more = {"sources": rest.height, "episodes": int(rest["episodes"].sum()), "hours": float(rest["hours"].sum())}
    return rows, more


def levels(events: pl.DataFrame) -> list[LevelRow]:
    """Per level, coarse to fine: number of events, seconds of each that is not static, primitives by how often;
    events: of `cutting.load`."""
    if events.is_empty():
        return []
    rows: list[LevelRow] = []
    for level in reversed(LEVELS):
        own = events.filter(level=level)
        moving = own.filter(~pl.col("static"))
        seconds = (moving["end_s"] - moving["start_s"]).to_numpy()
        counts = own["primitive"].value_counts().sort("count", "primitive", descending=[True, False]).rows()
        rest = sum(number for _, number in counts[PRIMITIVES:])
        rows.append(
            {
                "level": level,
                "events": own.height,
                "static": own.height - moving.height,
                "seconds": seconds,
                "primitives": [*counts[:PRIMITIVES], *([("others", rest)] if rest else [])],
            }
        )
    return rows


def fates(corpus: Corpus) -> tuple[list[str], list[SplitRow]]:
    """(statuses that occur, per split the number of events of each): what became of the shard level's events."""
    if not corpus.has("samples"):
        return [], []
    counts = corpus.table("samples", columns=["event_id", "split", "status"]).group_by("split", "status").len()
    numbers = {(split, status): number for split, status, number in counts.iter_rows()}
    used = [s for s in STATUSES if any((split, s) in numbers for split in ("train", "val"))]
    splits = [s for s in ("train", "val") if any((s, status) in numbers for status in used)]
    return used, [{"split": s, "numbers": [numbers.get((s, status), 0) for status in used]} for s in splits]


def stages(status: Sequence[StageRow]) -> list[WorkRow]:
    """Per stage that has done something: seconds of work, their share of all, most memory of a worker."""
    total = sum(row["work_s"] for row in status) or 1.0
    return [{**row, "share": row["work_s"] / total} for row in status if row["items"]]


def lag_words(source: str, cameras: int | None, lags: Mapping[str, LagVoteRow] | None) -> str:
    """What was decided about a source's lag; lags: {source: `lag_votes` row}, None before the vote."""
    lag = (lags or {}).get(source)
    if cameras == 0:
        return "no video"
    if lag is None:
        return "not estimated"
    if not lag["voters"]:
        return f"unknown: none of {lag['estimates']} estimates is good enough to vote"
    votes = f"{lag['votes']} of {lag['voters']} votes"
    if lag["weak"]:
        return f"unknown: {lag['voters']} vote{'s' if lag['voters'] > 1 else ''}, too few"
    if lag["disagrees"]:
        return f"not applied: {lag['voted_frames']:+d} has only {votes}"
    said = f"{votes}, score {lag['score']:.2f}"
    if lag["voted_frames"] and not lag["lag_frames"]:
        return f"not applied: {lag['voted_frames']:+d} is too small to tell ({said})"
    return f"{lag['lag_frames']:+d} frames ({said})" if lag["lag_frames"] else f"0 frames ({said})"


def _flags(corpus: Corpus) -> dict[str, str]:
    """{source: its flags, each with how many episodes carry it}."""
    if not corpus.has("align"):
        return {}
    table = corpus.table("alignments", columns=["episode_id", "flags"])
    table = table.select(source=pl.col("episode_id").str.extract(SOURCE_OF, 1), flag="flags")
    counted = table.explode("flag").drop_nulls().group_by("source", "flag").len().sort("source", "flag")
    words: dict[str, list[str]] = {}
    for source, flag, number in counted.iter_rows():
        words.setdefault(source, []).append(f"{flag} ({number})")
    return {source: ", ".join(w) for source, w in words.items()}
