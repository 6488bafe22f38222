"""Small releases made by hand, without a build: tars, plan.npz, manifest.json, stats.json."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from schemas import plan as plans
from schemas.ids import event_id, sample_key
from stages.shard.members import plan_of, plan_row
from stages.shard.tar import write_tar

FPS = 10.0


@dataclass(frozen=True)
class Event:
    """An event of so many frames. Its state and action in row r are number + r / 1000 (action negative), with `width`
    columns; frame r of its clip shows r * 8 as grey. With a hand, that is at (r, number, 0.5) m in row r, turned about
    z by r quarter turns; calibration: {camera: entry of KEY.calib.json}."""

    number: int
    frames: int
    width: int = 2
    before: int = 0
    after: int = 0
    robot: str = "arm"
    task: str = "lift the cup"
    split: str = "train"
    weight: float = 1.0
    cameras: dict[str, tuple[int, int]] = field(default_factory=dict)  # height, width
    clusters: tuple[int, int] = (0, 0)
    spans: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    level: str = "L1"
    extras: tuple[str, ...] = ()  # further arrays [T, 3], whose row r is number + r
    hand: bool = False
    calibration: dict[str, Any] = field(default_factory=dict)

    @property
    def layout(self) -> str:
        return "-".join([f"w{self.width}", *self.extras, *["hand"] * self.hand])

    @property
    def event_id(self) -> str:
        return event_id(f"lab/{self.number:06d}", self.level, 1.0)

    @property
    def key(self) -> str:
        return sample_key(self.event_id)

    @property
    def rows(self) -> int:
        return self.before + self.frames + self.after


@dataclass(frozen=True)
class Clip:
    name: str
    size: tuple[int, int]  # width, height


def grey(frames: int, height: int, width: int, fps: float = FPS, gop: int = 5) -> bytes:
    """MP4 bytes whose frame r is grey of 8 r."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "1", "g": str(gop), "bf": "0"}
        for number in range(frames):
            picture = np.full((height, width, 3), min(255, 8 * number), dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return sink.getvalue()


def layout(event: Event) -> dict[str, Any]:
    found = {"state": _array("j", "joints", "rad", event.width), "action": _array("j", "joints", "rad", event.width)}
    if event.hand:
        found["position.single"] = _array("p", "position", "m", 3)
        found["orientation.single"] = _array("q", "orientation", "quaternion xyzw", 4)
    return found | {name: _array("v", "extra", "", 3) for name in event.extras}


def _array(name: str, kind: str, unit: str, width: int) -> dict[str, Any]:
    values = [{"name": f"{name}{n}", "arm": "single", "kind": kind, "unit": unit} for n in range(width)]
    return {"origin": "", "values": values, "frame": "", "forward": "", "mode": ""}


def meta(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.event_id, "episode_id": f"lab/{event.number:06d}", "source": "lab", "robot": event.robot,
        "split": event.split, "task": event.task, "level": event.level, "primitive": "lift", "arms": ["single"],
        "captions": {event.level: f"event {event.number}", "L3": "the task"}, "children": [], "spans": event.spans,
        "described": {"next": "then", "remaining_s": 9.0}, "vl_cluster": event.clusters[0],
        "action_cluster": event.clusters[1], "vl_path": [0, event.clusters[0]], "action_path": [0, event.clusters[1]],
        "weight": event.weight, "fps": FPS, "n_frames": event.rows,
        "context": {"before": event.before, "after": event.after}, "start_s": 1.0, "end_s": 1.0 + event.frames / FPS,
        "confidence": 0.9, "layout": event.layout,
    }  # fmt: skip


def files(event: Event) -> dict[str, bytes]:
    rows = np.arange(event.rows)[:, None] / 1000 + event.number + np.zeros(event.width)
    own = np.zeros(event.rows, dtype=bool)
    own[event.before : event.before + event.frames] = True
    arrays = {"state": rows.astype(np.float32), "action": -rows.astype(np.float32)}
    arrays |= {
        name: np.repeat(event.number + np.arange(event.rows, dtype=np.float32)[:, None], 3, axis=1)
        for name in event.extras
    }
    arrays |= {f"valid.{name}": np.ones(event.rows, dtype=bool) for name in event.extras}
    if event.hand:
        row = np.arange(event.rows)
        turn = row * np.pi / 4  # half the angle
        place = np.stack([row, np.full(event.rows, event.number), np.full(event.rows, 0.5)], 1)
        arrays["position.single"] = place.astype(np.float32)
        arrays["orientation.single"] = np.stack([0 * turn, 0 * turn, np.sin(turn), np.cos(turn)], 1).astype(np.float32)
    flags = {"event": own, **dict.fromkeys(("valid", "valid.state", "valid.action"), np.ones(event.rows, dtype=bool))}
    sink = io.BytesIO()
    np.savez(sink, **arrays, **flags)
    clips = {f"{name}.mp4": grey(event.rows, *size) for name, size in event.cameras.items()}
    calibration = json.dumps(dict.fromkeys(event.cameras) | event.calibration).encode()
    return {"json": json.dumps(meta(event)).encode(), "lowdim.npz": sink.getvalue(), "calib.json": calibration, **clips}


def write_release(folder: Path, tars: Sequence[Sequence[Event]], kinds: Sequence[str] = ()) -> Path:
    """A corpus's folder with one release in shards/, latest pointing at it; the release's folder."""
    own = folder / "shards" / "0123456789abcdef"
    own.mkdir(parents=True)
    parts, shards = [], {}
    for number, events in enumerate(tars):
        kind = kinds[number] if kinds else "train"
        name = f"{kind}-{number:06d}.tar"
        write_tar(str(own / name), [(event.key, files(event)) for event in events])
        rows = [
            plan_row(meta(e), 10 - e.before, None, [Clip(n, (w, h)) for n, (h, w) in e.cameras.items()]) for e in events
        ]
        part = plan_of(str(own / name), rows)
        parts.append(plans.Plan(part.numbers, {**part.names, "tar": [name]}))
        shards[name] = {"path": f"shards/tars/{name}", "count": len(events)}
    (own / "plan.npz").write_bytes(plans.to_bytes(plans.concatenate(parts)))
    layouts = {event.layout: layout(event) for events in tars for event in events}
    (own / "stats.json").write_text(json.dumps({"layouts": {key: statistics(own) for key, own in layouts.items()}}))
    manifest = {"release": own.name, "shards": shards, "layouts": layouts}
    (own / "manifest.json").write_text(json.dumps(manifest))
    (folder / "manifest.json").write_text(json.dumps({"release": own.name}))
    (folder / "shards" / "latest").symlink_to(own.name)
    return own


def statistics(own: dict[str, Any]) -> dict[str, Any]:
    """Mean 10 times the width, deviation 2, from -4 to 4, quantiles at half of these."""
    found = {}
    for name, array in own.items():
        width = len(array["values"])
        values = {"mean": 10.0 * width, "std": 2.0, "min": -4.0, "max": 4.0, "q01": -2.0, "q99": 2.0}
        found[name] = {"count": 100} | {key: [value] * width for key, value in values.items()}
    return found
