"""One small network for both regressions: features, a noised chunk and its time in, a chunk out.

Behaviour cloning gives it zeros for chunk and time, so that both have the same number of parameters: 0.18 million at a
width of 256.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):  # type: ignore[misc]
    """A residual layer: norm, linear, GELU, linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, hidden: Tensor) -> Tensor:
        added: Tensor = self.outer(functional.gelu(self.inner(self.norm(hidden))))
        return hidden + added


class ChunkNetwork(nn.Module):  # type: ignore[misc]
    """(features [B, D], chunk [B, H, A], time [B]) -> chunk [B, H, A], all normalised."""

    def __init__(self, features: int, horizon: int, actions: int, width: int, blocks: int) -> None:
        super().__init__()
        self.horizon, self.actions = horizon, actions
        self.inlet = nn.Linear(features + horizon * actions + 1, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width)
        self.outlet = nn.Linear(width, horizon * actions)

    def forward(self, features: Tensor, chunk: Tensor, time: Tensor) -> Tensor:
        hidden = self.inlet(torch.cat([features, chunk.flatten(1), time[:, None]], dim=1))
        for block in self.blocks:
            hidden = block(hidden)
        result: Tensor = self.outlet(functional.gelu(self.norm(hidden)))
        return result.unflatten(1, (self.horizon, self.actions))


def parameters(network: nn.Module) -> int:
    """How many numbers are learnt."""
    return sum(parameter.numel() for parameter in network.parameters())
