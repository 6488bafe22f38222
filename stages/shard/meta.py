"""KEY.json of a sample.

In: the event with those that hold it and those in it, captions, its episode, its `samples` row. Out: `Sample`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from schemas.alignments import AlignmentRow
from schemas.captions import CaptionRow
from schemas.episodes import EpisodeRow
from schemas.events import EventRow
from schemas.sample import Child, Described, Sample
from schemas.samples import SampleRow
from stages.shard.layout import layout_key


def sample_meta(
    row: SampleRow,
    episode: EpisodeRow,
    event: EventRow,
    events: Mapping[str, EventRow],
    captions: Mapping[str, CaptionRow],
    alignment: AlignmentRow,
    grippers: Sequence[str],
) -> Sample:
    """What a trainer wants to know of the sample without our code; captions: by event_id."""
    chain, current = {}, event
    while True:
        chain[current["level"]] = captions[current["event_id"]]["text"]
        if current["parent_id"] is None:
            break
        current = events[current["parent_id"]]
    start = event["start_frame"]
    inside = [e for e in events.values() if e["parent_id"] == event["event_id"]]
    inside.sort(key=lambda e: int(e["start_frame"]))
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
        "pictures": [
            {
                "camera": p["camera"],
                "kind": p["kind"],
                "start": max(0, p["start_frame"] - start),
                "end": min(row["n_frames"], p["end_frame"] - start),
            }
            for p in alignment["pictures"]
            if p["start_frame"] < event["end_frame"] and p["end_frame"] > start
        ],
        "vl_cluster": row["vl_cluster"],
        "action_cluster": row["action_cluster"],
        "weight": row["weight"],
        "fps": alignment["fps"],
        "n_frames": row["n_frames"],
        "start_s": event["start_s"],
        "end_s": event["end_s"],
        "static": event["static"],
        "confidence": round(event["confidence"], 4),
        "flags": list(alignment["flags"]),
        "marks": json.loads(episode["marks"]),
        "layout": layout_key(episode["layout"]),
    }


def _child(event: EventRow, start: int, captions: Mapping[str, CaptionRow]) -> Child:
    caption = captions[event["event_id"]]["text"]
    return {"start": event["start_frame"] - start, "end": event["end_frame"] - start, "caption": caption}


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
