"""The text conditioner: what is to be done now, and for how long, from an observation and the task.

In: features of an observation [B, F], the task's text vector [B, Dt]. Out: a feature in the text encoder's space that
stands for the event's caption, which caption of the training set that is, which comes next, and the seconds that the
event still takes. After WALL-WM (arXiv 2606.01955, section 3): next-event caption by cross-entropy, remaining time by a
Huber loss, features aligned to the text encoder's by a mean square.

It is not shown what it said last: a classifier of the current event that sees its own last label stays with it (0.7 %
success in a pilot).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from stages.train.batch import Batch

HIDDEN = 256
HUBER_S = 0.5  # beyond which an error of the remaining time counts by its size


@dataclass(frozen=True, slots=True)
class Said:
    """text: float32[B, Dt]; event, after: logits over captions [B, C], of the event now and of the one after it;
    remaining: seconds, float32[B]."""

    text: Tensor
    event: Tensor
    after: Tensor
    remaining: Tensor


class Conditioner(nn.Module):  # type: ignore[misc]
    def __init__(self, features: int, text: int, captions: int) -> None:
        super().__init__()
        self.task_in = nn.Linear(text, HIDDEN)
        self.seen_in = nn.Linear(features, HIDDEN)
        self.trunk = nn.Sequential(
            nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU()
        )
        self.text_out = nn.Linear(HIDDEN, text)
        self.event_out = nn.Linear(HIDDEN, captions)
        self.after_out = nn.Linear(HIDDEN, captions)
        self.remaining_out = nn.Linear(HIDDEN, 1)

    def forward(self, features: Tensor, task: Tensor) -> Said:
        hidden = self.trunk(self.task_in(task) + self.seen_in(features))
        remaining = F.softplus(self.remaining_out(hidden)[..., 0])
        return Said(self.text_out(hidden), self.event_out(hidden), self.after_out(hidden), remaining)

    def batch_losses(self, batch: Batch) -> dict[str, Tensor]:
        """Of the events of a batch, at their first rows."""
        valid = batch.caption_text.any(dim=-1)
        events = (batch.state, batch.task_text, batch.caption, batch.next_caption, batch.remaining, batch.caption_text)
        state, task, caption, following, remaining, text = (own.flatten(0, 1) for own in events)
        return self.losses(self(state, task), caption, following, remaining, text, valid.flatten())

    def losses(
        self, said: Said, event: Tensor, after: Tensor, remaining: Tensor, text: Tensor, valid: Tensor
    ) -> dict[str, Tensor]:
        """event, after: int64[B], -1 unknown; remaining: s; text: of the event's caption [B, Dt]; valid: bool[B]."""
        known = valid & (event >= 0)
        result = {
            "event": _mean(F.cross_entropy(said.event, event.clamp(min=0), reduction="none"), known),
            "after": _mean(F.cross_entropy(said.after, after.clamp(min=0), reduction="none"), valid & (after >= 0)),
            "remaining": _mean(F.huber_loss(said.remaining, remaining, reduction="none", delta=HUBER_S), valid),
            # a mean over columns of unit vectors is small: the sum has the scale of the other terms
            "aligned": _mean((said.text - text).square().sum(dim=-1), known),
        }
        return result | {"loss": torch.stack(list(result.values())).sum()}


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Over what is valid; 0 where nothing is."""
    return (values * valid).sum() / valid.sum().clamp(min=1)
