"""What the two towers take: tensors of several events a row, which masks keep apart.

In the loader's batches rows are events or windows, or hold several of them (`pack=`); here all are one form, so that a
packed batch goes through the same code as a plain one. Segment 0 is padding; the events of a row are numbered from 1.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Batch:
    """B rows of at most N events each; V cameras, F pictures and T actions a row.

    Picture f of an event is that of its row f * stride, action k that of its row k, so that action k lies beside latent
    frame floor(k / stride) + 1 (state: 0). The first picture of each event is given; the others are to be predicted.
    """

    pictures: Tensor
    """float32[B, F, V, 3, H, W], 0 to 1."""
    picture_segment: Tensor
    """int64[B, F]: which event of the row; 0: padding."""
    picture_index: Tensor
    """int64[B, F]: number of the picture within its event."""
    view_valid: Tensor
    """bool[B, N, V]: the event has this camera."""
    intrinsics: Tensor
    """float32[B, N, V, 3, 3]: of pictures H x W, pixel centres at integers."""
    pose: Tensor
    """float32[B, F, V, 4, 4]: T_base_camera (OpenCV axes, m) at each picture; those after an event's first are read by
    the sight-cone mask alone, while training."""
    calibrated: Tensor
    """bool[B, N, V]: intrinsics and pose are known."""
    state: Tensor
    """float32[B, N, Ds]: normalised, at the event's first row."""
    action: Tensor
    """float32[B, T, Da]: normalised."""
    action_mask: Tensor
    """bool[B, T, Da]: the robot has this column; robots of a batch may be of several layouts."""
    action_segment: Tensor
    """int64[B, T]: which event of the row; 0: padding, or an instant that the log does not cover."""
    action_index: Tensor
    """int64[B, T]: number of the action within its event."""
    text: Tensor
    """float32[B, N, Dt]: of the caption (event mode) or the task (unified mode), by a frozen text encoder."""
    text_valid: Tensor
    """bool[B, N]: false where the caption is dropped, or the row holds fewer events."""
    task_text: Tensor
    """float32[B, N, Dt]: of the task."""
    caption_text: Tensor
    """float32[B, N, Dt]: of the event's caption."""
    caption: Tensor
    """int64[B, N]: the same as a number among the captions of the training set; -1: unknown."""
    next_caption: Tensor
    """int64[B, N]: likewise, of the event after it."""
    remaining: Tensor
    """float32[B, N]: seconds from the event's first row to its end."""
    frames: Tensor
    """int64[B, N]: rows of the log that the event spans, of which the batch has the first ones where it was cut."""
    window: Tensor
    """int64[B, N]: number of the sliding window in its recording (unified mode); 0 in event mode."""

    @property
    def action_valid(self) -> Tensor:
        """bool[B, T, Da]: numbers of actions that count in a loss and a score."""
        return (self.action_segment > 0)[..., None] & self.action_mask

    def to(self, device: torch.device | str) -> Batch:
        return replace(self, **{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})
