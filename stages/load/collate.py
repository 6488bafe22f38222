"""Items into a batch.

In: items of one kind. Out: tensors with a row an item, padded to the longest; rows that hold several items, which a
mask keeps apart, when they are packed. Texts become lists.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate

from stages.load.item import Item

Batch = dict[str, Any]


def collate(items: Sequence[Item]) -> Batch:
    """Tensors [B, ...]; those whose first dimension differs are padded with zeros, and `length` int64[B] says how many
    rows of state and action are the item's own, `is_pad` bool[B, T] which are not; `video_length` likewise."""
    batch: Batch = {}
    for name, first in items[0].items():
        values = [own[name] for own in items]
        if isinstance(first, torch.Tensor):
            batch[name] = _stacked(values)
        elif isinstance(first, (str, list)) or name == "calibration":
            batch[name] = values
        else:
            batch[name] = default_collate(values)
    if "segment" in items[0]:
        batch["is_pad"] = batch["segment"] == 0
    elif "valid" in items[0]:
        batch |= _lengths([len(own["valid"]) for own in items], "")
    if "video_frame" in items[0] and "video_is_pad" not in items[0]:
        batch |= _lengths([len(own["video_frame"]) for own in items], "video_")
    return batch


def _stacked(values: Sequence[torch.Tensor]) -> torch.Tensor:
    first = values[0]
    if all(v.shape == first.shape for v in values):
        return torch.stack(list(values))
    if any(v.shape[1:] != first.shape[1:] for v in values):
        shapes = sorted({tuple(v.shape[1:]) for v in values})
        raise ValueError(f"samples of a batch differ in more than their length: {shapes}; give size=(height, width)")
    longest = max(len(v) for v in values)
    batch = torch.zeros((len(values), longest, *first.shape[1:]), dtype=first.dtype)
    for row, value in zip(batch, values, strict=True):
        row[: len(value)] = value
    return batch


def _lengths(lengths: Sequence[int], prefix: str) -> Batch:
    own = torch.tensor(lengths)
    return {f"{prefix}length": own, f"{prefix}is_pad": torch.arange(int(own.max()))[None] >= own[:, None]}


def packed(rows: Sequence[Sequence[Item]], size: int) -> Batch:
    """Rows [B, size, ...] of items one after another: `segment` int64[B, size] numbers them from 1 (0: padding),
    `position` counts from each one's first frame, so that attention within segment == segment lets none see another.
    Masks of columns become masks by frame; `video_segment` numbers pictures likewise; the rest are lists by row."""
    return collate([_joined(row, size) for row in rows])


def _joined(items: Sequence[Item], size: int) -> Item:
    lengths = [len(own["valid"]) for own in items]
    result: Item = {
        "segment": _filled(torch.repeat_interleave(torch.arange(1, len(items) + 1), torch.tensor(lengths)), size),
        "position": _filled(torch.cat([torch.arange(n) for n in lengths]), size),
    }
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    for name, first in items[0].items():
        values = [own[name] for own in items]
        if name == "video_frame":
            result[name] = torch.cat([v + start for v, start in zip(values, starts, strict=True)])
            counts = torch.tensor([len(v) for v in values])
            result["video_segment"] = torch.repeat_interleave(torch.arange(1, len(items) + 1), counts)
        elif name.endswith("_mask"):
            result[name] = _filled(
                torch.cat([v[None].expand(n, -1) for v, n in zip(values, lengths, strict=True)]), size
            )
        elif isinstance(first, torch.Tensor) and first.dim():
            result[name] = _filled(torch.cat(values), size)
        else:
            result[name] = [v.item() if isinstance(v, torch.Tensor) else v for v in values]
    return result


def _filled(values: torch.Tensor, size: int) -> torch.Tensor:
    """Padded with zeros to `size` rows."""
    whole = torch.zeros((size, *values.shape[1:]), dtype=values.dtype)
    whole[: len(values)] = values
    return whole
