"""A batch of the loader as a `Batch` of the two towers: one form for whole events, packed rows and windows.

In: the dictionary that the loader gives (events: `collate`; packed: several events a row; windows around anchors), what
its columns are. Out: tensors with masks by segment. Row 0 of every event is the one whose state and first picture are
given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from stages.load.vector import Scale
from stages.train.batch import Batch
from stages.train.data.calibration import Camera, camera, hand_poses
from stages.train.data.texts import Texts

Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What the loader's batches hold. cameras: {name: cameras of the corpus that may be it}; size: of pictures, height
    and width; stride: rows from a picture to the next; action: columns of the vector `action` that are the action;
    hand: those after them are the hand's position and quaternion; scales: {layout: of `action`}; window: rows of a
    sliding window, 0: whole events; text: `caption` or `task`; numbers: of the captions of the training set."""

    cameras: Mapping[str, tuple[str, ...]]
    size: tuple[int, int]
    stride: int
    action: int
    hand: bool
    scales: Mapping[str, Scale | None]
    window: int
    text: str
    numbers: Mapping[str, int]


def assembled(raw: Raw, columns: Columns, texts: Texts) -> Batch:
    """The whole batch, on the CPU."""
    segment, position, covered = _rows(raw)
    events = _Events(raw)
    count = events.most
    segment = segment * ~raw["row_is_pad"][:, None]
    own_rows = segment[:, None] == torch.arange(1, count + 1)[:, None]  # [B, N, T]
    exists = own_rows.any(-1)
    if "action_is_pad" in raw:  # the anchor's state, what came before it side by side with it
        state = raw["state"].flatten(1)[:, None]
    else:
        state = torch.take_along_dim(raw["state"], own_rows.int().argmax(-1)[..., None], 1)

    def vectors(name: str) -> Tensor:
        return texts([text for row in events.texts(name) for text in row]).view(len(segment), count, -1)

    def numbers(name: str) -> Tensor:
        return torch.tensor([[columns.numbers.get(text, -1) for text in row] for row in events.texts(name)])

    own = events.texts(columns.text)
    remaining = torch.tensor(events.numbers("event_remaining_s"), dtype=torch.float32)
    frames = own_rows.sum(-1)
    if not columns.window:  # of an event that was cut the rows that are not here count too
        frames = torch.maximum(frames, (remaining * torch.tensor(events.numbers("fps"))).round().long())
    return Batch(
        **_pictures(raw, columns, events, own_rows),
        state=torch.where(exists[..., None], state, 0.0),
        action=raw["action"][..., : columns.action].contiguous(),
        action_mask=_columns(raw)[..., : columns.action],
        action_segment=segment * covered,
        action_index=position,
        text=vectors(columns.text),
        text_valid=torch.tensor([[bool(text) for text in row] for row in own]) & exists,
        task_text=vectors("task"),
        caption_text=vectors("caption"),
        caption=numbers("caption"),
        next_caption=numbers("next_caption"),
        remaining=remaining,
        frames=frames,
        window=torch.tensor(events.numbers("frame"), dtype=torch.int64) // columns.window
        if columns.window
        else torch.zeros((len(own), count), dtype=torch.int64),
    )


def _rows(raw: Raw) -> tuple[Tensor, Tensor, Tensor]:
    """(segment, position, whether the log covers the row), each [B, T]."""
    if "segment" in raw:
        return raw["segment"], raw["position"], raw["valid"]
    rows, length = raw["action"].shape[:2]
    position = torch.arange(length).expand(rows, -1)
    if "action_is_pad" in raw:  # windows: what the log does not cover and the end of the recording are one mask
        return torch.ones_like(position), position, ~raw["action_is_pad"]
    return (~raw["is_pad"]).long(), position, raw["valid"]


def _columns(raw: Raw) -> Tensor:
    """bool[B, T, D]: columns of the vector `action` that a row's robot has."""
    there: Tensor = raw["action_mask"]
    return there if there.dim() == 3 else there[:, None].expand_as(raw["action"])


class _Events:
    """What is said of each event, as lists of lists: rows of a packed batch hold several."""

    def __init__(self, raw: Raw) -> None:
        self._raw, self._packed = raw, "segment" in raw
        self.most = max((len(row) for row in self.of("key")), default=0)

    def of(self, name: str) -> list[list[Any]]:
        values = self._raw[name]
        return list(values) if self._packed else [[value] for value in values]

    def texts(self, name: str) -> list[list[str]]:
        return [[*row, *[""] * (self.most - len(row))] for row in self.of(name)]

    def numbers(self, name: str) -> list[list[float]]:
        rows = [[float(value) for value in row] for row in self.of(name)]
        return [[*row, *[0.0] * (self.most - len(row))] for row in rows]


def _pictures(raw: Raw, columns: Columns, events: _Events, own_rows: Tensor) -> dict[str, Tensor]:
    """The fields of a Batch that are of pictures and cameras. own_rows: bool[B, N, T], rows of each event."""
    rows, views, (height, width) = len(own_rows), len(columns.cameras), columns.size
    if not views:
        return {
            "pictures": torch.zeros(rows, 0, 0, 3, height, width),
            "picture_segment": torch.zeros(rows, 0, dtype=torch.int64),
            "picture_index": torch.zeros(rows, 0, dtype=torch.int64),
            "view_valid": torch.zeros(rows, events.most, 0, dtype=torch.bool),
            "intrinsics": torch.zeros(rows, events.most, 0, 3, 3),
            "pose": torch.zeros(rows, 0, 0, 4, 4),
            "calibrated": torch.zeros(rows, events.most, 0, dtype=torch.bool),
        }
    frame = raw["video_frame"]
    own = raw["video_segment"] if "video_segment" in raw else (~raw["video_is_pad"]).long()
    own = own * ~raw["row_is_pad"][:, None]
    shown = torch.stack([raw[f"video.{name}"] for name in columns.cameras], 2)
    valid = torch.zeros(rows, events.most, views, dtype=torch.bool)
    for v, name in enumerate(columns.cameras):
        for b, row in enumerate(events.of(f"video_mask.{name}")):
            valid[b, : len(row), v] = torch.tensor([bool(there) for there in row])
    intrinsics, pose, calibrated = _cameras(raw, columns, events, own.numpy(), frame.numpy())
    first = torch.take_along_dim(own_rows.int().argmax(-1), (own - 1).clamp(min=0), 1)
    return {
        "pictures": shown.to(torch.float32).div_(255),
        "picture_segment": own,
        "picture_index": torch.where(own > 0, torch.div(frame - first, columns.stride, rounding_mode="floor"), 0),
        "view_valid": valid & own_rows.any(-1)[..., None],
        "intrinsics": torch.from_numpy(intrinsics),
        "pose": torch.from_numpy(pose),
        "calibrated": torch.from_numpy(calibrated) & valid & own_rows.any(-1)[..., None],
    }


def _cameras(
    raw: Raw, columns: Columns, events: _Events, own: npt.NDArray[np.int64], frame: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """(intrinsics [B, N, V, 3, 3], pose [B, F, V, 4, 4], calibrated [B, N, V]); identity where nothing is known."""
    shape = (len(own), events.most, len(columns.cameras))
    intrinsics = np.tile(np.eye(3, dtype=np.float32), (*shape, 1, 1))
    pose = np.tile(np.eye(4, dtype=np.float32), (*own.shape, shape[2], 1, 1))
    calibrated = np.zeros(shape, dtype=bool)
    layouts, seen = events.of("layout"), _Seen(columns)
    for b, row in enumerate(events.of("calibration")):
        for n, given in enumerate(row):
            places = np.flatnonzero(own[b] == n + 1)
            hand = None
            for v, found in enumerate(seen.of(given)):
                if found is None:
                    continue
                if found.mount == "ee":
                    hand = _hands(raw, columns, layouts[b][n], b, frame[b, places]) if hand is None else hand
                    if not len(hand):
                        continue
                    pose[b, places, v] = hand @ found.pose
                else:
                    pose[b, places, v] = found.pose
                intrinsics[b, n, v], calibrated[b, n, v] = found.intrinsics, True
    return intrinsics, pose, calibrated


class _Seen:
    """Cameras of a calibration; samples of a dataset have few."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._known: dict[str, Camera | None] = {}

    def of(self, given: Mapping[str, Any]) -> Sequence[Camera | None]:
        found: list[Camera | None] = []
        for names in self._columns.cameras.values():
            own = next((given[name] for name in names if name in given), None)
            key = repr(own)
            if key not in self._known:
                self._known[key] = camera(own, *self._columns.size)
            found.append(self._known[key])
        return found


def _hands(raw: Raw, columns: Columns, layout: str, row: int, frames: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """float64[F, 4, 4] at these rows of a row of the batch; none of them where the log has no pose."""
    there = raw["action_mask"][row]
    there = there if there.dim() == 1 else there[frames].all(0) if len(frames) else there[0]
    if not columns.hand or not bool(there[columns.action :].all()):
        return np.zeros((0, 4, 4))
    values = raw["action"][row, np.minimum(frames, raw["action"].shape[1] - 1)].numpy().astype(np.float64)
    scale = columns.scales[layout]
    values = values if scale is None else values * scale.unit + scale.shift
    return hand_poses(values[:, columns.action : columns.action + 3], values[:, columns.action + 3 :])
