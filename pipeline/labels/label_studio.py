"""Label Studio's JSON: tasks of a video each, spans as ranges of its TimelineLabels tag.

In: rows of spans with the reference camera's frames. Out: tasks to import there, rows of what it gives back. A range
counts frames from 1 and holds its last one; the caption rides along as the region's note (`meta.text`). Levels and
tracks are told in the task's data, so that an episode is a task a level; so is the rate of its frames, which Label
Studio takes for 24 unless its Video tag says `frameRate="$fps"`. Label Studio 1.23.2 takes it and gives it back
(docs/review.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from pipeline.labels.spans import FrameSpan, ReadSpan

Documents = list[dict[str, Any]]  # as Label Studio has them: tasks, regions
NAMES = {"from_name": "timeline", "to_name": "video", "type": "timelinelabels"}


def tasks(
    rows: Sequence[FrameSpan],
    frames: Mapping[str, Sequence[int]],
    videos: Mapping[str, str],
    rates: Mapping[str, float],
    people: Collection[tuple[str, str, str]] = (),
) -> Documents:
    """rows: by episode, level and time; frames: source frame of each canonical one, and one past the last; videos:
    {episode: its reference camera's clip}; rates: {episode: frames a second}; people: (episode, level, track) of
    which the spans are people's."""
    found = []
    for (episode, level, track), own in groupby(rows, key=lambda r: (r["episode_id"], r["level"], r["track"])):
        shown = frames[episode]
        data: dict[str, Any] = {"video": videos.get(episode, ""), "fps": rates[episode]}
        data |= {"episode_id": episode, "level": level, "track": track}
        said = {"result": _regions(own, shown)}
        if (episode, level, track) in people:
            found.append({"data": data, "annotations": [said]})
        else:
            found.append({"data": data, "predictions": [{"model_version": "corpus", **said}]})
    return found


def _regions(rows: Iterator[FrameSpan], shown: Sequence[int]) -> Documents:
    return [
        {
            **NAMES,
            "id": row["event_id"],
            "value": {
                "ranges": [{"start": shown[row["start_frame"]] + 1, "end": shown[row["end_frame"]]}],
                "timelinelabels": [row["primitive"]],
            },
            "meta": {"text": [row["caption"]]},
        }
        for row in rows
    ]


def rows_of(task: Mapping[str, Any]) -> Iterator[ReadSpan]:
    """Rows of a task's newest annotation, as label files have them. Raises KeyError, IndexError, TypeError for what is
    no such task."""
    data = task["data"]
    episode, level, track = (data.get(k) for k in ("episode_id", "level", "track"))
    for region in task["annotations"][-1]["result"] if task["annotations"] else ():
        if region.get("type") not in ("timelinelabels", "timeserieslabels"):
            continue
        said = (region.get("meta") or {}).get("text") or [""]
        for span in region["value"]["ranges"]:
            start, end = span["start"] - 1, span["end"]
            labels = region["value"].get("timelinelabels") or [None]
            yield {
                "episode_id": episode,
                "level": level,
                "track": track,
                "start_frame": start,
                "end_frame": end,
                "primitive": labels[0],
                "caption": said if isinstance(said, str) else said[0],
            }
