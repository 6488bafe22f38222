"""What goes over the wire, as OpenAPI tells it (`/openapi.json`)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.review.decisions import DECISION_ID

EPISODE = r"^[A-Za-z0-9_\-]{1,200}/[A-Za-z0-9_]{1,200}$"
Level = Literal["L0", "L1", "L2", "L3"]
Track = Literal["all", "left", "right"]
Action = Literal[
    "accept", "reject", "skip", "flag", "caption", "primitive", "start", "end", "split", "merge", "label", "undo"
]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Decide(Strict):
    """A decision about the span of `episode`, `level`, `track` that starts at `at_ms`."""

    decision_id: str = Field(
        pattern=f"^{DECISION_ID.pattern}$", description="drawn by you; sent twice it is one decision"
    )
    episode: str = Field(pattern=EPISODE)
    level: Level
    track: Track = "all"
    at_ms: int = Field(ge=-(2**53), le=2**53, description="where the span starts")
    action: Action
    seen: list[str] = Field(
        max_length=500, description="`seen` of each span that the action touches, in order: the neighbour's too"
    )
    to_ms: int = Field(
        0, ge=-(2**53), le=2**53, description="start, end: where the edge goes; split: where; label: from"
    )
    until_ms: int = Field(0, ge=-(2**53), le=2**53, description="label: to where")
    primitive: str = Field("", max_length=40)
    text: str = Field("", max_length=2000, description="caption")
    undoes: str | None = Field(None, pattern=f"^{DECISION_ID.pattern}$", description="undo: your decision to take back")
    spent_ms: int = Field(0, ge=0, le=2**53)
    comment: str = Field("", max_length=2000)
    blind: bool = Field(False, description="of a second pass: it measures how far people agree, and changes nothing")


class Lease(Strict):
    episode: str = Field(pattern=EPISODE)


class SignIn(Strict):
    name: str = Field(max_length=60)
    token: str = Field(max_length=500)


class Event(BaseModel):
    """A span with what is known of it. `seen` is its fingerprint."""

    model_config = ConfigDict(extra="allow")

    event_id: str = Field(description="of the machine's event; empty where a person has set its borders since")
    episode: str
    level: str
    track: str
    start_ms: int
    end_ms: int
    primitive: str
    text: str
    state: str
    flagged: bool
    own: list[str] = Field(description="what of it people have set: span, primitive, text")
    seen: str


class Queue(BaseModel):
    events: list[Event]
    total: int
    held: dict[str, str] = Field(description="episodes that others are at just now, and who")


class Decided(BaseModel):
    decision_id: str
    time_ms: int
    events: list[Event] = Field(description="spans of the level and track as they are now")


class Refused(BaseModel):
    """409: nothing was written. `kind`: changed (it is not as you saw it) or leased (somebody is at the episode)."""

    kind: str
    detail: str
    by: str
    events: list[Event]


class Progress(BaseModel):
    states: dict[str, int]
    people: list[tuple[str, int, int]] = Field(description="name, decisions, ms spent")
    version: int = Field(description="rises when the corpus was built again")
    pace_s: float | None = Field(description="seconds of your work an event, of your last decisions")
    together_s: float | None = Field(description="seconds an event of all who are at work, together")
    at_work: list[str] = Field(description="who has decided something in the last quarter of an hour")
    me: str


class Facets(BaseModel):
    facets: dict[str, list[tuple[str, int]]]
    primitives: list[str]
    levels: list[str]
    level: str
    version: int
    lead: bool = Field(description="whether you may see how people do at events whose right answer is known")
    missing: int = Field(description="events still to be judged before the order `worth` means anything")


class Shown(BaseModel):
    """An episode: `about` its cameras and frames, all its spans, and what was said of spans that have moved."""

    about: dict[str, Any]
    events: list[Event]
    stale: list[dict[str, Any]]


class Member(BaseModel):
    """An event of a cluster, with pictures of its episode."""

    event: Event
    strip: str
    length_ms: int


class Quality(BaseModel):
    """What was judged, and how far people agree (null: nobody has judged anything twice)."""

    judged: int
    unedited: float = Field(description="share of the judged that were accepted as the machine left them")
    rejected: int
    seconds: dict[str, float] = Field(description="median of each person's decisions, s")
    seconds_event: dict[str, float | None] = Field(
        description="all of each person's time over the events that they accepted or rejected, s; null before the first"
    )
    shifts_s: list[float] = Field(description="how far edges were moved, later is positive")
    shifts: list[tuple[float | None, float | None, int]] = Field(
        description="the same as a histogram: over, up to (null: open), how many"
    )
    reliability: list[tuple[float, int, float | None]] = Field(
        description="bins of the machine's confidence: lower end, events judged, share accepted as they were"
    )
    agreement: dict[str, float] | None
    twice: int = Field(description="levels of episodes that two people have judged")


class Reliability(BaseModel):
    """Of events that were judged: what is said of them beside what is."""

    bins: list[tuple[float, int, float | None, float | None]] = Field(
        description="of confidence: lower end, events, mean of what is said, share that was accepted as it was"
    )
    brier: float = Field(description="mean squared distance")
    error: float = Field(description="expected calibration error")


class Learned(BaseModel):
    """before: the machine's confidence; after: the calibrated one, on episodes that it was not fitted on. Null: too few
    events were judged, `missing` more are needed."""

    events: int
    missing: int
    before: Reliability | None
    after: Reliability | None


class Score(BaseModel):
    """Of a person at events whose right answer is known (null: they have accepted none)."""

    events: int = Field(description="of them that were judged")
    right: float = Field(
        description="share accepted with edges within 0.5 s and the right primitive, or rightly rejected"
    )
    iou: float | None
    f1: dict[float, float] = Field(description="of boundaries, by tolerance in s")
    kappa: float | None
    captions: float | None


class Gold(BaseModel):
    events: int = Field(description="whose right answer is known")
    people: dict[str, Score]
