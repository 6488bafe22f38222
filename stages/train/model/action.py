"""The action tower: an event's actions from its state and from what the video tower makes of its pictures.

In: noised actions, the state, the tokens after each video block. Out: the actions' velocity towards noise, or the
actions themselves (`action_head="two_step"`). Block i is self-attention over state and actions, attention to the
state, attention to video block i's tokens of all views, and gated feed-forward. Video is read, never written: nothing
here is passed back.

Both sides of the attention to video carry one learned temporal index: latent frame f has f, the state 0, action k
floor(k / stride) + 1; in unified mode also the window's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stages.train.batch import Batch
from stages.train.model.attention import (
    Condition,
    CrossAttention,
    GatedFeedForward,
    Modulated,
    SelfAttention,
    of_segment,
    rotary,
    same_segment,
)
from stages.train.model.config import ModelConfig

PARTS = 12  # shift, scale and gate of four branches


@dataclass(frozen=True, slots=True)
class Sequences:
    """Where a batch's tokens are. N state tokens and T actions a row; S = F * V * P tokens of video."""

    segment: Tensor
    """int64[B, N + T]."""
    turn: Tensor
    """float32[B, N + T, 2, d / 2]: rotary code of the place in the event."""
    alike: Tensor
    """bool[B, 1, N + T, N + T]: may attend to each other."""
    index: Tensor
    """int64[B, N + T]: temporal index of state and actions."""
    window: Tensor
    """int64[B, N + T]."""
    video_index: Tensor
    """int64[B, S]."""
    video_window: Tensor
    sees: Tensor
    """bool[B, 1, N + T, S]."""


def sequences_of(batch: Batch, video_segment: Tensor, patches: int, config: ModelConfig) -> Sequences:
    """video_segment: int64[B, F, V], 0 where an event lacks the view."""
    rows, events = batch.text_valid.shape
    state_segment = torch.arange(1, events + 1, device=batch.action.device).expand(rows, -1)
    segment = torch.cat([state_segment, batch.action_segment], dim=1)
    position = torch.cat([torch.zeros_like(state_segment), batch.action_index + 1], dim=1)
    beside = torch.cat([torch.zeros_like(state_segment), batch.action_index // config.stride + 1], dim=1)
    of_token = video_segment[..., None].expand(-1, -1, -1, patches).flatten(1)
    video_index = batch.picture_index[..., None, None].expand(*video_segment.shape, patches).flatten(1)
    head = config.action_width // config.action_heads
    return Sequences(
        segment=segment,
        turn=rotary((position,), (head,)),
        alike=same_segment(segment, segment),
        index=beside.clamp(max=config.frames - 1),
        window=of_segment(batch.window, segment).clamp(max=config.windows),
        video_index=video_index.clamp(max=config.frames - 1),
        video_window=of_segment(batch.window, of_token).clamp(max=config.windows),
        sees=same_segment(segment, of_token),
    )


class StateRead(nn.Module):  # type: ignore[misc]
    """Attention to the state token. An event has one, and what attends to a single token is given its value."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, state: Tensor, segment: Tensor) -> Tensor:
        """float[B, N, width] by int64[B, S] -> float[B, S, width]; padding reads nothing."""
        return of_segment(self.out(self.value(state)), segment) * (segment > 0)[..., None]


class ActionBlock(nn.Module):  # type: ignore[misc]
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, heads = config.action_width, config.action_heads
        self.modulated = Modulated(width, PARTS)
        self.alike = SelfAttention(width, heads)
        self.state = StateRead(width)
        self.video_norm = nn.RMSNorm(config.video_width)
        self.context = nn.Linear(config.video_width, width, bias=False)
        self.video = CrossAttention(width, heads)
        self.feed_forward = GatedFeedForward(width)

    def forward(
        self, x: Tensor, state: Tensor, video: Tensor, at: Sequences, codes: tuple[Tensor, Tensor], modulation: Tensor
    ) -> Tensor:
        """x float[B, K, N + T, width]; state [B, N, width]; video [B, S, video_width]; codes: of index and window, of
        x [B, 1, N + T, width] and of video [B, S, width]; modulation [B, K, N + T, 12 * width]."""
        draws = x.shape[1]
        shift, scale, gate, _, _, gate2, shift3, scale3, gate3, shift4, scale4, gate4 = self.modulated(modulation)
        tokens = self.modulated.shifted(x, shift, scale).flatten(0, 1)
        alike = self.alike(tokens, _each(at.turn, draws), _each(at.alike, draws))
        x = x + gate * alike.view_as(x)
        x = x + gate2 * self.state(state, at.segment)[:, None]
        if video.shape[1]:
            # draws share the video: they are so many more queries of one sequence
            query = (self.modulated.shifted(x, shift3, scale3) + codes[0]).flatten(1, 2)
            context = self.context(self.video_norm(video)) + codes[1]
            x = x + gate3 * self.video(query, context, at.sees.repeat(1, 1, draws, 1)).view_as(x)
        return x + gate4 * self.feed_forward(self.modulated.shifted(x, shift4, scale4))


class ActionTower(nn.Module):  # type: ignore[misc]
    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width = config.action_width
        self.action_in = nn.Linear(config.action, width)
        self.state_in = nn.Sequential(nn.Linear(config.state, width), nn.SiLU(), nn.Linear(width, width))
        self.condition = Condition(width, config.text, PARTS)
        self.index_embedding = nn.Embedding(config.frames, width)  # E_tau
        self.window_embedding = nn.Embedding(
            config.windows + 1, width, padding_idx=0
        )  # E_abs; event mode has window 0: none
        self.blocks = nn.ModuleList(ActionBlock(config) for _ in range(config.depth))
        self.norm = nn.RMSNorm(width)
        self.action_out = nn.Linear(width, config.action)
        for embedding in (self.index_embedding, self.window_embedding):
            nn.init.normal_(embedding.weight, std=0.5)
        nn.init.zeros_(self.window_embedding.weight[:1])
        nn.init.zeros_(self.action_out.weight)
        nn.init.zeros_(self.action_out.bias)

    def forward(
        self,
        noisy: Tensor,
        time: Tensor,
        state: Tensor,
        features: Sequence[Tensor],
        at: Sequences,
        text: Tensor,
        text_valid: Tensor,
    ) -> Tensor:
        """float32[B, K, T, Da] of noisy actions [B, K, T, Da], time float32[B, K, N], state [B, N, Ds], features of
        each video block [B, S, video_width], text [B, N, Dt]."""
        draws, events = noisy.shape[1], state.shape[1]
        known = self.state_in(state)
        x = torch.cat([known[:, None].expand(-1, draws, -1, -1), self.action_in(noisy)], dim=2)
        shape = (*time.shape, text.shape[-1])
        condition = self.condition(time, text[:, None].expand(shape), text_valid[:, None].expand_as(time))
        segment = at.segment[:, None].expand(-1, draws, -1)
        modulation = of_segment(condition.flatten(0, 1), segment.flatten(0, 1)).view(*x.shape[:3], -1)
        codes = (
            (self.index_embedding(at.index) + self.window_embedding(at.window))[:, None],
            self.index_embedding(at.video_index) + self.window_embedding(at.video_window),
        )
        for block, video in zip(self.blocks, features, strict=True):
            x = block(x, known, video, at, codes, modulation)
        return self.action_out(self.norm(x[:, :, events:]))


def _each(x: Tensor, draws: int) -> Tensor:
    return x.repeat_interleave(draws, dim=0)
