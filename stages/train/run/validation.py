"""What a model is worth on events it has not seen, beside what needs no model.

In: the model, batches of the val split. Out: errors of valid tokens alone. Video: mean squared error of the pictures
after the first, beside copying the last picture that is given. Action: the same of normalised actions, beside the mean
action of the training set. Noise is drawn from a fixed seed, so that two validations differ by the weights alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stages.train.batch import Batch

SEED = 20_261_127


@dataclass(frozen=True, slots=True)
class Score:
    """what: video or action; error, baseline: mean squared; values: numbers that it is the mean of."""

    what: str
    error: float
    baseline: float
    values: int

    @property
    def beats(self) -> bool:
        return self.error < self.baseline

    def summary(self) -> str:
        name = {"video": "copying the last picture", "action": "the mean action"}[self.what]
        if not self.values:
            return f"{self.what}: the val split has nothing to hold it to"
        worth = f"{1 - self.error / self.baseline:.0%} less" if self.beats else "NOT better"
        peak = f" ({psnr(self.error):.1f} dB against {psnr(self.baseline):.1f})" if self.what == "video" else ""
        return f"{self.what}: squared error {self.error:.4g}, {name} {self.baseline:.4g}: {worth}{peak}"


def psnr(error: float) -> float:
    """dB of pictures from 0 to 1."""
    return -10 * math.log10(max(error, 1e-12))


def predicted_pixels(batch: Batch) -> Tensor:
    """bool[B, F, V]: pictures of a video that are to be predicted."""
    index = (batch.picture_segment - 1).clamp(min=0)
    valid = torch.take_along_dim(batch.view_valid, index[..., None], 1)
    return valid & ((batch.picture_segment > 0) & (batch.picture_index > 0))[..., None]


def copied(batch: Batch) -> Tensor:
    """float32[B, F, V, 3, H, W]: the first picture of each event in place of all of it."""
    result = batch.pictures.clone()
    for row in range(len(result)):
        for segment in batch.picture_segment[row].unique().tolist():
            own = (batch.picture_segment[row] == segment).nonzero()[:, 0]
            if segment and len(own):
                result[row, own] = batch.pictures[row, own[0]]
    return result


@torch.no_grad()  # type: ignore[untyped-decorator]
def scored(model: Any, batches: Sequence[Batch], what: str, steps: int, mean_action: Sequence[float]) -> Score:
    """what: video or action; steps: of Euler; mean_action: float[Da], normalised."""
    error = baseline = 0.0
    values = 0
    training = model.training
    model.eval()
    for number, batch in enumerate(batches):
        generator = torch.Generator(device=batch.action.device).manual_seed(SEED + number)
        if what == "video":
            mask = predicted_pixels(batch)
            if not mask.any():
                continue
            truth, found, other = batch.pictures, model.predict_video(batch, steps, generator), copied(batch)
        else:
            mask = batch.action_valid
            truth, found = batch.action, model.predict_action(batch, steps, generator)
            other = torch.tensor(mean_action, device=truth.device, dtype=truth.dtype).expand_as(truth)
        own = truth[mask]
        error += float((found[mask].float() - own).square().sum())
        baseline += float((other[mask] - own).square().sum())
        values += own.numel()
    model.train(training)
    return Score(what, error / max(1, values), baseline / max(1, values), values)
