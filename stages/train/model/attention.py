"""What both towers are made of: attention under a mask, gated feed-forward, and modulation by time step and text."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """float[B, heads, S, d] on float[B, heads, S', d] under bool[B, 1, S, S']; what may see nothing gets zeros."""
    if mask is None:
        return F.scaled_dot_product_attention(q, k, v)
    sees = mask.any(dim=-1, keepdim=True)  # a row without a key would be NaN, and its gradient too
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask | ~sees) * sees


def same_segment(query: Tensor, key: Tensor) -> Tensor:
    """bool[B, 1, S, S'] of int64[B, S] and int64[B, S']: the same event; padding (0) sees padding alone."""
    return (query[:, None, :, None] == key[:, None, None, :]).contiguous()


def rotary(positions: Sequence[Tensor], columns: Sequence[int]) -> Tensor:
    """float32[..., 2, sum(columns) / 2], cosines and sines: each position turns its own columns, pairs of them, the
    fastest 1 rad a step. After RoFormer (arXiv 2104.09864), with 100 in place of 10,000: sequences are short here."""
    parts = []
    for position, width in zip(positions, columns, strict=True):
        speeds = 100.0 ** (-torch.arange(width // 2, device=position.device) / (width // 2))
        parts.append(position[..., None].float() * speeds)
    angles = torch.cat(parts, dim=-1)
    return torch.stack([angles.cos(), angles.sin()], dim=-2)


def rotate(x: Tensor, turn: Tensor, back: bool = False) -> Tensor:
    """float[..., d] by float32[..., 2, d / 2]: column j with column j + d / 2; back: the other way."""
    first, second = x.chunk(2, dim=-1)
    cos, sin = turn.to(x.dtype).unbind(-2)
    sin = -sin if back else sin
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class HeadNorm(nn.RMSNorm):  # type: ignore[misc]
    """In the precision of its input: mixed ones have no fused kernel."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight.to(x.dtype), self.eps)


class Heads(nn.Module):  # type: ignore[misc]
    """Queries, keys and values of a self-attention, normalised a head (arXiv 2302.05442), and the way out."""

    def __init__(self, width: int, heads: int, zero: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.q_norm, self.k_norm = HeadNorm(width // heads), HeadNorm(width // heads)
        if zero:
            nn.init.zeros_(self.out.weight)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """float[B, S, width] -> three of float[B, heads, S, d]."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.q_norm(q), self.k_norm(k), v

    def merge(self, x: Tensor) -> Tensor:
        return self.out(x.transpose(1, 2).flatten(-2))


class SelfAttention(Heads):
    def forward(self, x: Tensor, turn: Tensor, mask: Tensor | None) -> Tensor:
        """float[B, S, width]; turn: rotary, float32[B, S, 2, d / 2]; mask bool[B, 1, S, S]."""
        q, k, v = self.split(x)
        turn = turn[:, None]
        return self.merge(attend(rotate(q, turn), rotate(k, turn), v, mask))


class CrossAttention(nn.Module):  # type: ignore[misc]
    """Queries of one sequence on another of the same width."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.q_norm, self.k_norm = HeadNorm(width // heads), HeadNorm(width // heads)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """float[B, S, width] on float[B, S', width] under bool[B, 1, S, S']."""
        q = self.q_norm(self.q(x).unflatten(-1, (self.heads, -1)).transpose(1, 2))
        k, v = self.kv(context).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.out(attend(q, self.k_norm(k), v, mask).transpose(1, 2).flatten(-2))


class GatedFeedForward(nn.Module):  # type: ignore[misc]
    """SwiGLU (arXiv 2002.05202), as wide inside as makes it cost what two plain layers of 4 x width do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inside = 8 * math.ceil(width / 3)
        self.gate_up = nn.Linear(width, 2 * inside, bias=False)
        self.down = nn.Linear(inside, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Condition(nn.Module):  # type: ignore[misc]
    """Noise level and text of an event as one vector, and from it what modulates all blocks.

    One projection shared by all blocks, to which each adds a table of its own (PixArt-alpha, arXiv 2310.00426): one a
    block would hold more parameters than the rest of it. A text that is missing or dropped is a learned vector.
    """

    def __init__(self, width: int, text: int, parts: int) -> None:
        super().__init__()
        self.width, self.parts = width, parts
        self.time_in = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.text_in = nn.Linear(text, width)
        self.null_text = nn.Parameter(torch.zeros(width))
        self.modulation_out = nn.Linear(width, parts * width)
        nn.init.zeros_(self.modulation_out.weight)
        nn.init.zeros_(self.modulation_out.bias)

    def forward(self, time: Tensor, text: Tensor, text_valid: Tensor) -> Tensor:
        """float32[..., parts * width] of time float32[...] (0: clean, 1: noise), text float32[..., Dt], bool[...]."""
        words = torch.where(text_valid[..., None], self.text_in(text), self.null_text)
        return self.modulation_out(F.silu(self.time_in(time_code(time, self.width)) + words))


class Modulated(nn.Module):  # type: ignore[misc]
    """Layer norm, then shift and scale; a gate for what a branch adds."""

    def __init__(self, width: int, parts: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        table = torch.zeros(parts, width)
        table[2::3] = 1.0  # gates
        self.table = nn.Parameter(table)

    def forward(self, modulation: Tensor) -> list[Tensor]:
        """shift, scale, gate of each branch in turn, float[..., width] each."""
        return list((modulation.unflatten(-1, self.table.shape) + self.table).unbind(-2))

    def shifted(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        return self.norm(x) * (1 + scale) + shift


def time_code(time: Tensor, width: int) -> Tensor:
    """float32[..., width]: sines and cosines of a noise level from 0 to 1, from a quarter turn to 25 turns over it."""
    speeds = math.pi / 2 * 100.0 ** (torch.arange(width // 2, device=time.device) / (width // 2 - 1))
    phases = time[..., None].float() * speeds
    return torch.cat([phases.sin(), phases.cos()], dim=-1)


def of_segment(values: Tensor, segment: Tensor) -> Tensor:
    """float[B, N, ...] by int64[B, S] -> float[B, S, ...]: each token its event's; padding the first event's."""
    index = (segment - 1).clamp(min=0)
    shape = (*segment.shape, *values.shape[2:])
    return values.gather(1, index.view(*segment.shape, *(1,) * (values.dim() - 2)).expand(shape))
