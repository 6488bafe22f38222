"""KEY.json of a sample.

In: the event with those that hold it and those in it, captions, its episode, its `samples` row. Out: `Sample`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.alignments import AlignmentRow
from schemas.captions import CaptionRow
from schemas.episodes import EpisodeRow
from schemas.events import EventRow
from schemas.ids import LEVELS
from schemas.sample import Child, Described, Pictures, Provenance, Sample, Span
from schemas.samples import SampleRow
from stages.shard.layout import layout_key
from stages.sources.rights import Rights


@dataclass(frozen=True, slots=True)
class Cut:
    """What the release adds to an event: frames of history and future, the coarser cluster of each VL and action
    cluster, the inputs of the release that it is written for, the sha256 of each camera's proxy, and whose the source
    is."""

    before: int
    after: int
    groups: tuple[Sequence[int], Sequence[int]]
    plan: str
    proxies: Mapping[str, str]
    rights: Rights
    accepted: bool = False  # by a person


def sample_meta(
    row: SampleRow,
    episode: EpisodeRow,
    event: EventRow,
    events: Mapping[str, EventRow],
    captions: Mapping[str, CaptionRow],
    alignment: AlignmentRow,
    grippers: Sequence[str],
    cut: Cut,
) -> Sample:
    """What a trainer wants to know of the sample without our code; captions: by event_id."""
    chain, current = {}, event
    while True:
        chain[current["level"]] = captions[current["event_id"]]["text"]
        if current["parent_id"] is None:
            break
        current = events[current["parent_id"]]
    start, end = event["start_frame"] - cut.before, event["end_frame"] + cut.after
    inside = [e for e in events.values() if e["parent_id"] == event["event_id"]]
    inside.sort(key=lambda e: int(e["start_frame"]))
    finer = LEVELS[: LEVELS.index(event["level"])][::-1]
    return {
        "event_id": event["event_id"],
        "episode_id": event["episode_id"],
        "source": episode["source"],
        "robot": episode["robot"],
        "split": row["split"],
        "task": episode["task"],
        "level": event["level"],
        "primitive": event["primitive"],
        "arms": list(event["arms"]),
        "gripper_arms": list(grippers),
        "captions": chain,
        "described": _described(captions[event["event_id"]]),
        "children": [_child(e, start, captions) for e in inside],
        "spans": {level: _spans(event, level, events, start, captions) for level in finer},
        "pictures": _pictures(alignment, start, end),
        "vl_cluster": row["vl_cluster"],
        "action_cluster": row["action_cluster"],
        "vl_path": [cut.groups[0][row["vl_cluster"]], row["vl_cluster"]],
        "action_path": [cut.groups[1][row["action_cluster"]], row["action_cluster"]],
        "weight": row["weight"],
        "plan": cut.plan,
        "fps": alignment["fps"],
        "n_frames": end - start,
        "context": {"before": cut.before, "after": cut.after},
        "start_s": event["start_s"],
        "end_s": event["end_s"],
        "static": event["static"],
        "confidence": round(event["confidence"], 4),
        "flags": list(alignment["flags"]),
        "review": event["origin"],
        "accepted": cut.accepted,
        "provenance": _provenance(episode, event, cut),
        "marks": json.loads(episode["marks"]),
        "layout": layout_key(episode["layout"]),
    }


def _pictures(alignment: AlignmentRow, start: int, end: int) -> list[Pictures]:
    """Stretches of frames [start, end) in which a camera shows nothing, counted from their start."""
    return [
        {
            "camera": p["camera"],
            "kind": p["kind"],
            "start": max(0, p["start_frame"] - start),
            "end": min(end, p["end_frame"]) - start,
        }
        for p in alignment["pictures"]
        if p["start_frame"] < end and p["end_frame"] > start
    ]


def _provenance(episode: EpisodeRow, event: EventRow, cut: Cut) -> Provenance:
    inside = f"{episode['dataset_uri'].rstrip('/')}/"
    return {
        "format": episode["format"],
        "episode_key": episode["episode_key"],
        "recording_id": episode["recording_id"],
        "from_s": round(episode["t0"] + event["start_s"], 6),
        "to_s": round(episode["t0"] + event["end_s"], 6),
        "cameras": {
            c["name"]: {
                "file": c["uri"].removeprefix(inside),
                "from_s": round(c["from_s"] + event["start_s"], 6),
                "to_s": round(c["from_s"] + event["end_s"], 6),
                "sha256": cut.proxies[c["name"]],
            }
            for c in episode["cameras"]
            if c["name"] in cut.proxies
        },
        "licence": cut.rights.licence,
        "attribution": cut.rights.attribution,
        "url": cut.rights.url,
    }


def _child(event: EventRow, start: int, captions: Mapping[str, CaptionRow]) -> Child:
    caption = captions[event["event_id"]]["text"]
    return {"start": event["start_frame"] - start, "end": event["end_frame"] - start, "caption": caption}


def _spans(
    event: EventRow, level: str, events: Mapping[str, EventRow], start: int, captions: Mapping[str, CaptionRow]
) -> list[Span]:
    """Events of a finer level inside an event; those of a level lie in one each."""
    inside = [
        e
        for e in events.values()
        if (e["level"], e["track"]) == (level, "all")
        and event["start_frame"] <= e["start_frame"]
        and e["end_frame"] <= event["end_frame"]
    ]
    inside.sort(key=lambda e: int(e["start_frame"]))
    return [{**_child(e, start, captions), "primitive": e["primitive"]} for e in inside]


def _described(said: CaptionRow) -> Described:
    return {
        "source": said["source"],
        "status": said["status"],
        "verb": said["verb"],
        "object": said["object"],
        "from_place": said["from_place"],
        "to_place": said["to_place"],
        "arm": said["arm"],
        "outcome": said["outcome"],
        "confidence": None if said["confidence"] is None else round(said["confidence"], 4),
        "phrasings": {p["style"]: p["text"] for p in said["phrasings"]},
        "next": said["next_text"],
        "remaining_s": round(said["remaining_s"], 6),
    }
