"""One item: a dictionary of tensors and texts, as one of several trainers wants them.

In: a sample and the window taken of it. Out: `event`, this project's own keys; `lerobot`, those of a LeRobotDataset;
`openpi`, those of openpi's model inputs. All pictures are RGB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from schemas.sample import EVENT, Sample
from stages.load.canvas import Views
from stages.load.reading.clips import Pictures
from stages.load.reading.sample import Raw
from stages.load.vector import Scale, Vector, normalised
from stages.load.window import Pad, Window

Item = dict[str, Any]
Seen = dict[str, tuple[Pictures, bool]]  # by camera: uint8[F, H, W, 3], whether the sample has one


@dataclass(frozen=True, slots=True)
class Facts:
    """What the plan says of an item: its number in the dataset; the event, its episode and task by number; the row that
    it is about (an anchor, or the first), counted from the episode's start; texts."""

    index: int
    episode: int
    task_index: int
    frame: int
    anchor: int | None
    fps: float
    key: str
    layout: str
    robot: str
    source: str
    task: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """vectors: state, action, and more; scales: {layout: one a vector}; cameras: {name in batches: cameras of the
    corpus that may be it, the first that a sample has}; size: of pictures of a camera, height and width; scaled:
    whether they are brought to it; caption: `event`, or the level whose caption is given; text: what the keys `task`
    and `prompt` hold."""

    vectors: tuple[Vector, ...]
    scales: Mapping[str, Sequence[Scale | None]]
    cameras: Mapping[str, tuple[str, ...]]
    size: Mapping[str, tuple[int, int]]
    scaled: bool
    caption: str
    text: str


def item(raw: Raw, window: Window, facts: Facts, wanted: Wanted, layout: str, into: Views | None = None) -> Item:
    """into: memory for its pictures, by camera. Raises DamagedSample."""
    pictures = _pictures(raw, window, wanted, into)
    return LAYOUTS[layout](raw, window, facts, wanted, pictures)


def _vectors(raw: Raw, window: Window, facts: Facts, wanted: Wanted) -> dict[str, tuple[Any, Any, Any, Pad]]:
    """{name: float32[T, D], bool[D], bool[T] that the log covers, bool[T] filled in}."""
    result = {}
    scales = wanted.scales.get(facts.layout, [None] * len(wanted.vectors))
    for vector, scale in zip(wanted.vectors, scales, strict=True):
        rows, pad = (window.action, window.action_pad) if vector.name == "action" else (window.state, window.state_pad)
        values, mask, valid = vector.of(raw.arrays, rows)
        result[vector.name] = (normalised(values, mask, scale), mask, valid, pad)
    return result


def _pictures(raw: Raw, window: Window, wanted: Wanted, into: Views | None) -> Seen:
    """Black where the sample has no such camera."""
    result: Seen = {}
    if not len(window.pictures):
        return result
    frames = window.pictures.tolist()
    for name, cameras in wanted.cameras.items():
        own = next((camera for camera in cameras if camera in raw.clips), None)
        place = None if into is None else into[name]
        if own is not None:
            pictures = raw.pictures(own, frames, wanted.size[name] if wanted.scaled else None, place)
        elif place is None:
            pictures = np.zeros((len(frames), *wanted.size[name], 3), dtype=np.uint8)
        else:
            place[:] = 0
            pictures = place
        result[name] = (pictures, own is not None)
    return result


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of the event that a row lies in: its caption, primitive, the next one's caption; seconds from the
    row to its end, and to the end of the task."""

    caption: str
    primitive: str
    next_caption: str
    event_remaining_s: float
    remaining_s: float


def said(meta: Sample, level: str, row: int | None) -> Said:
    """level: `event`, one that holds the sample's event, or a finer one (of its spans the one that the row lies in);
    row None: the event's first."""
    first, end = meta["context"]["before"], meta["n_frames"] - meta["context"]["after"]
    at = first if row is None else row
    remaining = meta["described"]["remaining_s"] - (at - first) / meta["fps"]
    spans = meta["spans"].get(level, [])
    inside = next((n for n, span in enumerate(spans) if span["start"] <= at < span["end"]), None)
    if inside is not None:
        span = spans[inside]
        after = spans[inside + 1]["caption"] if inside + 1 < len(spans) else ""
        return Said(span["caption"], span["primitive"], after, (span["end"] - at) / meta["fps"], remaining)
    own = level == "event" or level == meta["level"]
    caption = meta["captions"].get(meta["level"] if own else level, "")
    after = meta["described"]["next"] if own else ""
    return Said(caption, meta["primitive"], after, (end - at) / meta["fps"], remaining)


def _event(raw: Raw, window: Window, facts: Facts, wanted: Wanted, seen: Seen) -> Item:
    assert raw.meta is not None
    result: Item = {}
    valid = np.ones(len(window.action), dtype=bool)
    for name, (values, mask, covered, pad) in _vectors(raw, window, facts, wanted).items():
        result[name], result[f"{name}_mask"] = torch.from_numpy(values), torch.from_numpy(mask)
        if facts.anchor is not None:
            result[f"{name}_is_pad"] = torch.from_numpy(pad | ~covered)
        else:
            valid &= covered
    if facts.anchor is None:
        result["valid"], result["event"] = torch.from_numpy(valid), torch.from_numpy(raw.arrays[EVENT][window.action])
    for name, (pictures, there) in seen.items():
        result[f"video.{name}"] = torch.from_numpy(pictures).permute(0, 3, 1, 2)
        result[f"video_mask.{name}"] = torch.tensor(there)
    if len(window.pictures):
        first = facts.anchor if facts.anchor is not None else int(window.state[0])
        result["video_frame"] = torch.from_numpy(window.pictures - first)
        if facts.anchor is not None:
            result["video_is_pad"] = torch.from_numpy(window.pictures_pad)
    own = said(raw.meta, wanted.caption, facts.anchor)
    return result | {
        "calibration": raw.calibration or {},
        "caption": own.caption,
        "next_caption": own.next_caption,
        "primitive": own.primitive,
        "event_remaining_s": own.event_remaining_s,
        "remaining_s": own.remaining_s,
        "task": facts.task,
        "key": facts.key,
        "layout": facts.layout,
        "robot": facts.robot,
        "source": facts.source,
        "fps": facts.fps,
        "index": facts.index,
        "frame": facts.frame,
    }


def _lerobot(raw: Raw, window: Window, facts: Facts, wanted: Wanted, seen: Seen) -> Item:
    result: Item = {}
    for name, (values, _, covered, pad) in _vectors(raw, window, facts, wanted).items():
        key = "action" if name == "action" else f"observation.{name}"
        many = name == "action" or len(values) > 1
        result[key] = torch.from_numpy(values if many else values[0])
        if many:
            result[f"{key}_is_pad"] = torch.from_numpy(pad | (~covered if name == "action" else False))
    for name, (pictures, _) in seen.items():
        own = torch.from_numpy(pictures).permute(0, 3, 1, 2).to(torch.float32).div_(255)
        result[f"observation.images.{name}"] = own if len(own) > 1 else own[0]
        if len(own) > 1:
            result[f"observation.images.{name}_is_pad"] = torch.from_numpy(window.pictures_pad)
    return result | {
        "timestamp": torch.tensor(facts.frame / facts.fps, dtype=torch.float32),
        "frame_index": torch.tensor(facts.frame),
        "episode_index": torch.tensor(facts.episode),
        "index": torch.tensor(facts.index),
        "task_index": torch.tensor(facts.task_index),
        "task": _text(raw, facts, wanted),
    }


def _openpi(raw: Raw, window: Window, facts: Facts, wanted: Wanted, seen: Seen) -> Item:
    vectors = _vectors(raw, window, facts, wanted)
    action, _, covered, pad = vectors["action"]
    return {
        "image": {name: own[-1] for name, (own, _) in seen.items()},
        "image_mask": {name: np.bool_(there) for name, (_, there) in seen.items()},
        "state": vectors["state"][0][-1],
        "actions": action,
        "actions_is_pad": pad | ~covered,
        "prompt": _text(raw, facts, wanted),
    }


def _text(raw: Raw, facts: Facts, wanted: Wanted) -> str:
    if wanted.text == "task" or raw.meta is None:
        return facts.task
    return said(raw.meta, wanted.caption, facts.anchor).caption or facts.task


LAYOUTS: dict[str, Callable[[Raw, Window, Facts, Wanted, Seen], Item]] = {
    "event": _event,
    "lerobot": _lerobot,
    "openpi": _openpi,
}
