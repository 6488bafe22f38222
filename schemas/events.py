"""`events`: nested half-open spans of an episode. Written by segment.

Laws: per (episode, level, track) spans cover the episode without overlap; each span lies in exactly one parent.
"""

from __future__ import annotations

from typing import TypedDict

import pyarrow as pa

from schemas.ids import LEVELS, TRACKS
from schemas.table import Column, Table, one_of, within

ORIGINS = ("machine", "source", "human")
PRIMITIVES = (
    "task", "approach", "transport", "handover", "retract", "reach", "align", "grasp", "lift", "move", "lower", "place",
    "push", "pull", "press", "rotate", "release", "open", "close", "hold", "idle", "unknown",
)  # fmt: skip

RECOVERIES = ("missed_grasp", "reopen", "second_approach", "regrasp", "slip", "correction", "hesitation")

EVIDENCE = pa.struct(
    [
        pa.field("edge", pa.string(), nullable=False),  # start or end
        pa.field("kind", pa.string(), nullable=False),  # of stages.segment.evidence.KINDS; episode at its ends; human
        pa.field("arm", pa.string(), nullable=False),
        pa.field("signal", pa.string(), nullable=False),  # what it was seen in
        pa.field("time_s", pa.float64(), nullable=False),  # when exactly, on the episode's clock
        pa.field("strength", pa.float32(), nullable=False),  # 0 to 1
    ]
)


def _spans_tile(table: pa.Table) -> list[str]:
    """Per (episode, level, track): sorted spans touch, start at 0 and are not empty."""
    complaints = []
    last: tuple[str, str, str] | None = None
    end = 0
    columns = ["episode_id", "level", "track", "start_frame", "end_frame"]
    ordered = table.select(columns).sort_by([(c, "ascending") for c in columns])
    for row in ordered.to_pylist():
        group = (row["episode_id"], row["level"], row["track"])
        expected = end if group == last else 0
        if row["start_frame"] != expected:
            complaints.append(f"{group}: a span starts at frame {row['start_frame']}, expected {expected}")
        if row["end_frame"] <= row["start_frame"]:
            complaints.append(f"{group}: span [{row['start_frame']}, {row['end_frame']}) is empty")
        last, end = group, row["end_frame"]
    return complaints


def _children_nest(table: pa.Table) -> list[str]:
    """A parent exists, contains its child, and only L3 has none."""
    rows = table.select(["event_id", "level", "parent_id", "start_frame", "end_frame"]).to_pylist()
    spans = {r["event_id"]: (r["start_frame"], r["end_frame"]) for r in rows}
    complaints = []
    for row in rows:
        if row["parent_id"] is None:
            if row["level"] != "L3":
                complaints.append(f"{row['event_id']} has no parent")
            continue
        span = spans.get(row["parent_id"])
        if span is None or row["start_frame"] < span[0] or row["end_frame"] > span[1]:
            complaints.append(f"{row['event_id']} does not lie in its parent {row['parent_id']}")
    return complaints


class EvidenceRow(TypedDict):
    edge: str
    kind: str
    arm: str
    signal: str
    time_s: float
    strength: float


class EventRow(TypedDict):
    """A row of `events`."""

    event_id: str
    episode_id: str
    level: str
    track: str
    origin: str
    parent_id: str | None
    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    primitive: str
    arms: list[str]
    holds: list[str]
    static: bool
    confidence: float
    recovery: str | None
    label: str | None
    said_by: str | None
    evidence: list[EvidenceRow]


EVENTS: Table[EventRow] = Table(
    name="events",
    key=("event_id",),
    columns=(
        Column("event_id", pa.string(), "source/000003/L1/0004250: start in ms on the source's clock"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("level", pa.string(), "L0 segment, L1 action, L2 subtask, L3 task"),
        Column("track", pa.string(), "all, left or right"),
        Column(
            "origin",
            pa.string(),
            "who set it: machine, source (it came with the log: a program's, or not told) or human",
        ),
        Column("parent_id", pa.string(), "the span one level up that holds this one; null for L3", nullable=True),
        Column("start_frame", pa.int64(), "first canonical frame"),
        Column("end_frame", pa.int64(), "one past the last canonical frame"),
        Column("start_s", pa.float64(), "s from the episode's first source timestamp"),
        Column("end_s", pa.float64(), "s from the episode's first source timestamp"),
        Column("primitive", pa.string(), "what is done, one of schemas.events.PRIMITIVES"),
        Column("arms", pa.list_(pa.string()), "arms that take part: where hands act theirs, else those that move"),
        Column(
            "holds", pa.list_(pa.string()), "arms whose hand holds something throughout, as far as signals prove it"
        ),
        Column("static", pa.bool_(), "quasi-static: kept here, left out of the shards"),
        Column("confidence", pa.float32(), "0 to 1: how often such a span is right in both boundaries and its label"),
        Column("recovery", pa.string(), "one of schemas.events.RECOVERIES; null in the nominal course", nullable=True),
        Column(
            "label", pa.string(), "what a person (or another program) called it; null for the machine's", nullable=True
        ),
        Column(
            "said_by",
            pa.string(),
            "who that is: a reviewer, a label file, a column of the source; null for the machine's",
            nullable=True,
        ),
        Column("evidence", pa.list_(EVIDENCE), "why it starts and ends where it does"),
    ),
    laws=(
        one_of("level", LEVELS),
        one_of("track", TRACKS),
        one_of("origin", ORIGINS),
        one_of("primitive", PRIMITIVES),
        one_of("recovery", RECOVERIES),
        within("confidence", 0.0, 1.0),
        _spans_tile,
        _children_nest,
    ),
)
