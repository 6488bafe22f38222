"""`decisions`: what people have decided about events, one row a decision, never changed and never taken out.

A decision puts spans (`after`) in the place of others (`before`) that tile the same stretch of an episode, at one level
and track. Everything that a person can do to events is of that form, so that a decision is taken back by the same row
with both exchanged: a compensating row. Spans lie on the source's clock, in ms from the episode's first timestamp, as
event ids have them, so that a decision outlives the event that it was made about.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

import pyarrow as pa

from schemas.events import PRIMITIVES
from schemas.ids import LEVELS, TRACKS
from schemas.table import Column, Table, one_of

ACTIONS = (
    "accept", "reject", "skip", "flag", "caption", "primitive", "start", "end", "split", "merge", "label", "undo",
)  # fmt: skip
STATES = ("", "accepted", "rejected", "skipped")  # empty: nobody has judged it
OWN = ("span", "primitive", "text")  # what of a span a person has set
DECISION_ID = re.compile(r"[0-9a-f]{32}")
LATEST_MS = 10**13  # in the year 2286
SPAN = pa.struct(
    [
        pa.field("start_ms", pa.int64(), nullable=False),  # from the episode's first source timestamp
        pa.field("end_ms", pa.int64(), nullable=False),
        pa.field("primitive", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),  # its caption
        pa.field("state", pa.string(), nullable=False),  # one of STATES
        pa.field("flagged", pa.bool_(), nullable=False),
        pa.field("own", pa.list_(pa.string()), nullable=False),  # of OWN; the rest is the machine's
    ]
)

MACHINE = pa.struct(
    [
        pa.field("primitive", pa.string(), nullable=False),
        pa.field("sure", pa.float64(), nullable=False),  # 0 to 1: the lower of the boundaries' and the caption's
        pa.field("said_by", pa.string(), nullable=False),  # captions.source; empty: no caption
        pa.field("doubt", pa.bool_(), nullable=False),  # caption and signals contradict each other
    ]
)


class SpanRow(TypedDict):
    start_ms: int
    end_ms: int
    primitive: str
    text: str
    state: str
    flagged: bool
    own: list[str]


class MachineRow(TypedDict):
    primitive: str
    sure: float
    said_by: str
    doubt: bool


class DecisionRow(TypedDict):
    """A row of `decisions`."""

    decision_id: str
    time_ms: int
    episode_id: str
    level: str
    track: str
    start_ms: int
    end_ms: int
    seen: str
    actor: str
    action: str
    before: list[SpanRow]
    after: list[SpanRow]
    undoes: str | None
    spent_ms: int
    comment: str
    blind: bool
    gold: bool
    machine: MachineRow | None


def _spans_change_places(table: pa.Table) -> list[str]:
    """`before` and `after` tile the same stretch, which holds the span that the decision is about."""
    complaints = []
    columns = ["decision_id", "start_ms", "end_ms", "before", "after"]
    for row in table.select(columns).to_pylist():
        for side in ("before", "after"):
            complaints += [f"{row['decision_id']}: {side}: {wrong}" for wrong in _span_complaints(row[side])]
        if not row["before"] or not row["after"]:
            continue
        stretches = {(row[side][0]["start_ms"], row[side][-1]["end_ms"]) for side in ("before", "after")}
        first, last = next(iter(stretches))
        if len(stretches) > 1:
            complaints.append(f"{row['decision_id']}: before and after cover {sorted(stretches)}")
        elif not (first <= row["start_ms"] < row["end_ms"] <= last):
            complaints.append(f"{row['decision_id']}: [{row['start_ms']}, {row['end_ms']}) lies outside its spans")
    return complaints


def _span_complaints(spans: Sequence[SpanRow]) -> list[str]:
    found = [] if spans else ["no span"]
    found += [f"[{s['start_ms']}, {s['end_ms']}) is empty" for s in spans if s["end_ms"] <= s["start_ms"]]
    found += [f"a gap at {b['start_ms']} ms" for a, b in pairwise(spans) if a["end_ms"] != b["start_ms"]]
    for span in spans:
        if span["state"] not in STATES or span["primitive"] not in PRIMITIVES or not set(span["own"]) <= set(OWN):
            found.append(f"state {span['state']!r}, primitive {span['primitive']!r}, own {span['own']}")
    return found


def _undo_names_one(table: pa.Table) -> list[str]:
    rows = table.select(["decision_id", "action", "undoes"]).to_pylist()
    return [f"{r['decision_id']}: {r['action']} undoes {r['undoes']}" for r in rows if _misnamed(r)]


def _misnamed(row: dict[str, str | None]) -> bool:
    return (row["action"] == "undo") != (row["undoes"] is not None) or row["undoes"] == row["decision_id"]


def _ids_are_ids(table: pa.Table) -> list[str]:
    names = table["decision_id"].to_pylist()
    return [f"{name!r} is no decision's id" for name in names if not DECISION_ID.fullmatch(name)]


def _numbers_can_be(table: pa.Table) -> list[str]:
    """Times have the 13 digits that a part is named and found by; what the machine was sure of is a share."""
    complaints = []
    for row in table.select(["decision_id", "time_ms", "spent_ms", "machine"]).to_pylist():
        if not 0 <= row["time_ms"] < LATEST_MS:
            complaints.append(f"{row['decision_id']}: {row['time_ms']} is no time in ms since 1970")
        if not 0 <= row["spent_ms"] < LATEST_MS:
            complaints.append(f"{row['decision_id']}: {row['spent_ms']} ms cannot have been spent")
        if row["machine"] is not None and not 0 <= row["machine"]["sure"] <= 1:  # NaN is none either
            complaints.append(f"{row['decision_id']}: sure {row['machine']['sure']} is not within 0 and 1")
    return complaints


def _gold_is_blind(table: pa.Table) -> list[str]:
    rows = table.select(["decision_id", "blind", "gold"]).to_pylist()
    return [f"{r['decision_id']}: gold, and not blind" for r in rows if r["gold"] and not r["blind"]]


DECISIONS: Table[DecisionRow] = Table(
    name="decisions",
    key=("decision_id",),
    columns=(
        Column("decision_id", pa.string(), "32 hex digits, drawn by who asks: what is sent twice is one decision"),
        Column("time_ms", pa.int64(), "ms since 1970, UTC, when it was written; rises from decision to decision"),
        Column("episode_id", pa.string(), "source/000003"),
        Column("level", pa.string(), "L0 to L3"),
        Column("track", pa.string(), "all, left or right"),
        Column("start_ms", pa.int64(), "of the span it is about, from the episode's first source timestamp"),
        Column("end_ms", pa.int64(), "its end"),
        Column("seen", pa.string(), "fingerprint of the spans that the person saw, `before`"),
        Column("actor", pa.string(), "who decided"),
        Column("action", pa.string(), "one of schemas.review.decisions.ACTIONS"),
        Column("before", pa.list_(SPAN), "spans as they were, in order"),
        Column("after", pa.list_(SPAN), "spans in their place, over the same stretch"),
        Column("undoes", pa.string(), "decision that an undo takes back; null for all others", nullable=True),
        Column(
            "spent_ms", pa.int64(), "ms that the person has looked at the event, since it was shown or last decided"
        ),
        Column("comment", pa.string(), "the reviewer's; empty: none"),
        Column(
            "blind", pa.bool_(), "of a second pass, blind to what others had decided: it measures, and changes nothing"
        ),
        Column("gold", pa.bool_(), "about an event whose right answer is known: blind as well, and no second pass"),
        Column(
            "machine",
            MACHINE,
            "what the machine had said of the span that it is about, and how sure it was; null: a person had set it",
            nullable=True,
        ),
    ),
    laws=(
        one_of("level", LEVELS),
        one_of("track", TRACKS),
        one_of("action", ACTIONS),
        _spans_change_places,
        _undo_names_one,
        _ids_are_ids,
        _gold_is_blind,
        _numbers_can_be,
    ),
)

LATER: dict[str, object] = {"gold": False, "machine": None}  # columns that came later: what older rows are read to say
