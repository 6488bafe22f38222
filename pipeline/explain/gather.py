"""What there is to say about an episode's boundaries: all candidates, which became boundaries, of which level.

In: a corpus, an episode's id. Out: an `Explanation`. Spans are those of the `events` table; candidates are found again
from the signals, by the configuration of the last build.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import polars as pl

from pipeline.corpus.view import Corpus
from pipeline.explain import UnknownEpisode
from pipeline.report.episodes import Mark, Timeline, captioned, timeline_of
from schemas.alignments import ALIGNMENTS
from schemas.events import EVENTS, EventRow, EvidenceRow
from schemas.signals import SIGNALS
from stages.episode import signals_of
from stages.segment import SegmentConfig
from stages.segment.evidence.candidates import ARMS, KINDS
from stages.segment.evidence.candidates import SIGNALS as SEEN_IN
from stages.segment.stage import timebase
from stages.segment.tracks import tracks_of

COARSE_FIRST = ("L2", "L1", "L0")


@dataclass(frozen=True, slots=True)
class Boundary:
    """One boundary of the timeline of both arms: time, s; its coarsest level; what begins there on each level; why."""

    time_s: float
    level: str
    begins: Mapping[str, str]
    origin: str
    evidence: list[EvidenceRow]


@dataclass(frozen=True, slots=True)
class Explanation:
    """An episode's drawing with all candidates, and its boundaries one by one."""

    timeline: Timeline
    boundaries: list[Boundary]
    candidates: int


def explanation(corpus: Corpus, episode: str) -> Explanation:
    """Raises UnknownEpisode."""
    events = sorted(corpus.rows(EVENTS, [episode]), key=lambda e: e["start_frame"])
    if not events:
        raise UnknownEpisode(f"{episode}: {_why_none(corpus, episode)}")
    boundaries = _boundaries([e for e in events if e["track"] == "all"])
    marks = _marks(corpus, episode, boundaries)
    arms = {
        f"{track} {level}": [captioned(e, "") for e in events if e["track"] == track and e["level"] == level]
        for track in ("left", "right")
        for level in COARSE_FIRST
    }
    drawn = timeline_of(corpus, episode)
    whole = [captioned(e, drawn.task) for e in events if e["track"] == "all" and e["level"] == "L3"]
    drawn = replace(drawn, spans={"L3": whole, **drawn.spans}, marks=marks, arms={k: v for k, v in arms.items() if v})
    return Explanation(drawn, boundaries, len(marks))


def _why_none(corpus: Corpus, episode: str) -> str:
    """Why an episode has no events."""
    aside = corpus.quarantine(evidence=False).filter(pl.col("event_id").is_null(), episode_id=episode).to_dicts()
    if aside:
        return f"set aside by {aside[0]['stage']}, {aside[0]['reason']}: {aside[0]['message'].splitlines()[0]}"
    cut = corpus.done("segment").drop_nulls("status")["item"].to_list()
    if not cut:
        return "no episode is cut into events yet: the build has not come to segment"
    if episode in set(corpus.wanted("ingest")["item"]):
        return "it is not cut into events yet; the build is at it, or was stopped"
    return f"no episode of this corpus has that name; there are {len(cut)} with events, such as {cut[0]}"


def _boundaries(events: list[EventRow]) -> list[Boundary]:
    found: dict[int, list[EventRow]] = {}
    for event in events:
        if event["start_frame"] and event["level"] in COARSE_FIRST:
            found.setdefault(event["start_frame"], []).append(event)
    boundaries = []
    for _, begins in sorted(found.items()):
        begins.sort(key=lambda e: COARSE_FIRST.index(e["level"]))
        boundaries.append(
            Boundary(
                begins[0]["start_s"],
                begins[0]["level"],
                {e["level"]: _said(e) for e in begins},
                next((o for o in ("human", "source") if any(e["origin"] == o for e in begins)), "machine"),
                [reason for reason in begins[0]["evidence"] if reason["edge"] == "start"],
            )
        )
    return boundaries


def _said(event: EventRow) -> str:
    words = event["label"] or event["primitive"]
    return f"{words} ({event['recovery'].replace('_', ' ')})" if event["recovery"] else words


def _marks(corpus: Corpus, episode: str, boundaries: list[Boundary]) -> list[Mark]:
    """All candidates of the track of both arms; `level`: of the boundary that rests on one, None where none does."""
    signals = signals_of(corpus.rows(SIGNALS, [episode]))
    (alignment,) = corpus.rows(ALIGNMENTS, [episode])
    clock = timebase(alignment)
    config = SegmentConfig.model_validate(corpus.manifest["config"]["segment"])
    evidence = tracks_of(signals, clock, config)[0].evidence
    lead = float(clock.start[0] - clock.log[0])
    used = {(r["kind"], r["arm"], round(r["time_s"], 4)): b.level for b in boundaries for r in b.evidence}
    rows = zip(
        evidence.time.tolist(), evidence.kind.tolist(), evidence.arm.tolist(), evidence.strength.tolist(), strict=True
    )
    marks: list[Mark] = []
    for time, kind, arm, strength in rows:
        name, who = KINDS[kind], ARMS[arm]
        marks.append(
            {
                "time_s": time + lead,
                "kind": name,
                "arm": who,
                "signal": SEEN_IN.get(name, "gripper"),
                "strength": strength,
                "level": used.get((name, who, round(time + lead, 4))),
            }
        )
    return marks
