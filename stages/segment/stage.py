"""segment: one episode in, its `events` rows out, at four nested levels, for both arms together and for each.

In: signals, the `alignments` row, people's labels. Out: rows of L3 (task), L2 (subtask), L1 (action) and L0 (segment),
and the labels that could not be used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TypedDict

import numpy as np

from schemas.alignments import ALIGNMENTS, AlignmentRow
from schemas.episodes import EPISODES, Label
from schemas.events import EVENTS, PRIMITIVES, EventRow, EvidenceRow
from schemas.ids import event_id
from schemas.observations import OBSERVATIONS, ObservationRow
from schemas.reasons import Quarantined, Reason
from schemas.signals import SIGNALS
from stages.episode import Signal, both_arms, signals_of
from stages.segment import SegmentWork
from stages.segment.config import SegmentConfig
from stages.segment.evidence.candidates import ARMS, KINDS
from stages.segment.evidence.candidates import SIGNALS as SEEN_IN
from stages.segment.labelling.primitives import RECOVERIES
from stages.segment.labels import Placed, accept, labels_from, place
from stages.segment.tracks import Timebase, Track, tracks_of
from stages.work import Outcome, Unit, Workspace

Refused = tuple[Label, str]


class Reasoned(TypedDict):
    """Why there is a boundary: schemas.events.EvidenceRow, of either edge."""

    kind: str
    arm: str
    signal: str
    time_s: float
    strength: float


_END_OF_EPISODE: Reasoned = {"kind": "episode", "arm": "all", "signal": "none", "strength": 1.0, "time_s": 0.0}
_BY_HAND: Reasoned = {"kind": "human", "arm": "all", "signal": "label", "strength": 1.0, "time_s": 0.0}


def segment(unit: Unit[SegmentWork], work: Workspace, config: SegmentConfig) -> Outcome:
    """Events of a unit's episodes; a label that cannot be used is set aside, its episode is not."""
    outcome = Outcome()

    def one(name: str) -> None:
        (episode,), (alignment,) = work.rows(EPISODES, name), work.rows(ALIGNMENTS, name)
        labels = [*unit.payload.labels.get(name, ()), *labels_from(episode["labels"])]
        seen = work.rows(OBSERVATIONS, name)
        rows, refused = segmented(name, signals_of(work.rows(SIGNALS, name)), alignment, labels, config, seen)
        outcome.add(EVENTS, rows)
        for number, (label, why) in enumerate(refused):
            span = f"{label.level} {label.start:g} to {label.end:g} {label.unit} ({label.text!r})"
            error = Quarantined(
                Reason.LABEL_REFUSED,
                f"{label.said_by}: {span}: {why}",
                event_id=f"{name}/{label.level}/label-{number}",
            )
            outcome.events_refused.append((name, error))
        for row in both_arms(rows):
            outcome.count(name, **{row["level"]: 1})

    return outcome.each(unit.names, one)


def timebase(alignment: AlignmentRow, observations: Sequence[ObservationRow] = ()) -> Timebase:
    """The frames of an `alignments` row, with how much the cameras' pictures change."""
    times = np.asarray(alignment["time_s"], dtype=np.float64)
    log = np.asarray(alignment["signal_time_s"], dtype=np.float64)
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    shown = {c["name"]: np.asarray(c["frame_index"], dtype=np.int64) for c in alignment.get("cameras") or ()}
    pictures = [
        np.asarray(o["motion"], dtype=np.float64)[shown[o["camera"]]] for o in observations if o["camera"] in shown
    ]
    return Timebase(times, log, float(times[-1]) + step, pictures)


def event_rows(
    episode_id: str, signals: Mapping[str, Signal], alignment: AlignmentRow, config: SegmentConfig
) -> list[EventRow]:
    """All events of an episode that nobody has labelled."""
    return segmented(episode_id, signals, alignment, (), config)[0]


def segmented(
    episode_id: str,
    signals: Mapping[str, Signal],
    alignment: AlignmentRow,
    labels: Sequence[Label],
    config: SegmentConfig,
    observations: Sequence[ObservationRow] = (),
) -> tuple[list[EventRow], list[Refused]]:
    """(all events of an episode, on every track; labels that could not be used, each with why)."""
    clock = timebase(alignment, observations)
    given, refused = _by_track(labels, alignment, clock)
    rows = [row for track in tracks_of(signals, clock, config, given) for row in _rows(episode_id, track, clock)]
    known = {row["track"] for row in rows}
    refused += [
        (p.label, f"the robot has no track {p.label.track}, only {sorted(known)}")
        for track, levels in given.items()
        if track not in known
        for own in levels.values()
        for p in own
    ]
    return rows, refused


def _by_track(
    labels: Sequence[Label], alignment: AlignmentRow, clock: Timebase
) -> tuple[dict[str, dict[str, list[Placed]]], list[Refused]]:
    cameras = alignment.get("cameras") or []
    shown = [c["frame_index"] for c in cameras if c["name"] == alignment["reference_camera"]]
    frames = np.asarray(shown[0], dtype=np.int64) if shown else None
    given: dict[str, dict[str, list[Placed]]] = {}
    refused: list[Refused] = []
    for track in dict.fromkeys(label.track for label in labels):
        own = [place(label, clock.start, clock.end, frames) for label in labels if label.track == track]
        given[track], out = accept(own, len(clock.start))
        refused += out
    return given, refused


def _rows(episode_id: str, track: Track, clock: Timebase) -> list[EventRow]:
    why, starts = _reasons(track, clock), np.append(clock.start, clock.end)
    rows: list[EventRow] = []
    parents: list[str] = []
    for level, spans in track.levels.items():
        names = [event_id(episode_id, level, float(clock.start[f]), track.name) for f in spans.frames[:-1]]
        by_hand = {(p.start, p.end): p.label for p in track.accepted.get(level, ())}
        found = spans.labels
        for i, (start, end) in enumerate(pairwise(spans.frames.tolist())):
            label = by_hand.get((start, end))
            primitive = (label.primitive if label else None) or PRIMITIVES[found.primitive[i]]
            rows.append(
                {
                    "event_id": names[i],
                    "episode_id": episode_id,
                    "level": level,
                    "track": track.name,
                    "origin": label.origin if label else "machine",
                    "parent_id": parents[int(spans.parent[i])] if parents else None,
                    "start_frame": start,
                    "end_frame": end,
                    "start_s": float(starts[start]),
                    "end_s": float(starts[end]),
                    "primitive": primitive,
                    "arms": [arm for bit, arm in enumerate(track.arms) if int(found.arms[i]) >> bit & 1],
                    "holds": [arm for bit, arm in enumerate(track.arms) if int(found.holds[i]) >> bit & 1],
                    "static": primitive == "idle" if label else bool(found.static[i]),
                    "confidence": 1.0 if label else float(spans.confidence[i]),
                    "recovery": RECOVERIES[found.recovery[i]] or None,
                    "label": (label.text or None) if label else None,
                    "said_by": (label.said_by or None) if label else None,
                    "evidence": [
                        _of_edge(edge, reason)
                        for edge, frame in (("start", start), ("end", end))
                        for reason in why.get(frame, [{**_END_OF_EPISODE, "time_s": float(starts[frame])}])
                    ],
                }
            )
        parents = names
    return rows


def _of_edge(edge: str, why: Reasoned) -> EvidenceRow:
    return {
        "edge": edge,
        "kind": why["kind"],
        "arm": why["arm"],
        "signal": why["signal"],
        "time_s": why["time_s"],
        "strength": why["strength"],
    }


def _reasons(track: Track, clock: Timebase) -> dict[int, list[Reasoned]]:
    """{frame: why there is a boundary, strongest first} of the track's finest level; people's edges before all else."""
    found: dict[int, list[Reasoned]] = {}
    evidence, nodes = track.evidence, track.nodes
    lead = float(clock.start[0] - clock.log[0])  # from the log's clock to the canonical one
    edges = np.append(clock.start, clock.end)
    inner = track.levels["L0"].frames[1:-1].tolist()
    for frame in {e for own in track.accepted.values() for p in own for e in (p.start, p.end)}.intersection(inner):
        found[frame] = [{**_BY_HAND, "time_s": float(edges[frame])}]
    chosen = set(inner)
    for number, frame in enumerate(nodes.frame.tolist()):
        if frame in chosen:
            own = range(int(nodes.first[number]), int(nodes.first[number + 1]))
            found.setdefault(frame, []).extend(
                {
                    "kind": KINDS[evidence.kind[i]],
                    "arm": ARMS[evidence.arm[i]],
                    "signal": SEEN_IN.get(KINDS[evidence.kind[i]], "gripper"),
                    "time_s": float(evidence.time[i]) + lead,
                    "strength": float(evidence.strength[i]),
                }
                for i in sorted(own, key=lambda i: (-evidence.strength[i], evidence.time[i]))
            )
    return found
