"""What a loop needs of a model and an encoder, as small as can be: predictions linear in what is given."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stages.train.batch import Batch
from stages.train.data import Facts
from stages.train.run.validation import predicted_pixels

WIDTH = 6


def embed(texts: Sequence[str]) -> np.ndarray:
    """float32[N, WIDTH], by the texts' hashes."""
    seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little") for text in texts]
    return np.stack([np.random.default_rng(seed).normal(size=WIDTH) for seed in seeds]).astype(np.float32)


class StandIn(nn.Module):
    """The brightness of each picture from the event's text and the number of the picture; actions from state and text.
    noise: what is added to the targets, from the generator, and by dropout, from torch's own."""

    def __init__(self, sizes: Mapping[str, Any], facts: Facts) -> None:
        super().__init__()
        self.noise = float(sizes.get("noise", 0.0))
        self.video = nn.Linear(facts.text_width + 1, 1)
        self.hidden = nn.Linear(facts.state_width + facts.text_width, 8)
        self.action_out = nn.Linear(8, facts.action_width)
        self.dropout = nn.Dropout(0.1 if self.noise else 0.0)

    def trainable(self, stage: str) -> list[tuple[str, nn.Parameter]]:
        parts = {"video": ("video",), "action": ("hidden", "action_out"), "text": (), "joint": ("",)}[stage]
        return [(name, p) for name, p in self.named_parameters() if name.startswith(parts)]

    def losses(self, batch: Batch, stage: str, generator: torch.Generator | None) -> dict[str, Tensor]:
        found = {}
        if stage in ("video", "joint"):
            mask = predicted_pixels(batch)
            found["video"] = self._error(self.predict_video(batch, 1, None), batch.pictures, mask, generator)
        if stage in ("action", "joint"):
            mask = batch.action_segment > 0
            found["action"] = self._error(self.predict_action(batch, 1, None), batch.action, mask, generator)
        return {"loss": torch.stack(list(found.values())).sum(), **found}

    def _error(self, guess: Tensor, truth: Tensor, mask: Tensor, generator: torch.Generator | None) -> Tensor:
        noise = torch.randn(truth.shape, generator=generator) * self.noise
        return ((self.dropout(guess) - truth - noise).square()[mask].sum() / max(1, truth[mask].numel())).float()

    def predict_video(self, batch: Batch, steps: int, generator: torch.Generator | None) -> Tensor:
        of = (batch.picture_segment - 1).clamp(min=0)
        text = torch.take_along_dim(batch.text, of[..., None], 1)
        grey = self.video(torch.cat([text, batch.picture_index[..., None] / 8.0], -1))
        return grey[..., None, None, None].expand(batch.pictures.shape).contiguous()

    def predict_action(self, batch: Batch, steps: int, generator: torch.Generator | None) -> Tensor:
        of = (batch.action_segment - 1).clamp(min=0)
        given = torch.cat([batch.state, batch.text], -1)
        return self.action_out(torch.relu(self.hidden(torch.take_along_dim(given, of[..., None], 1))))
