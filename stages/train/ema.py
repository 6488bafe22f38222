"""Averaged weights: what validation, predictions and rollouts use.

In: the parameters that a stage trains, after each step. Out: their exponential mean. Its decay is warmed up, min(decay,
(1 + n) / (10 + n)) after n steps: a mean of 0.9999 alone would still hold two thirds of the first weights after 4,000
steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """decay 0: none is kept, and the weights stand for their mean. `averages`: float32 by name."""

    def __init__(self, named: Sequence[tuple[str, nn.Parameter]], decay: float) -> None:
        self.decay, self.steps = decay, 0
        self._named = list(named)
        self.averages = {name: p.detach().to(torch.float32, copy=True) for name, p in named} if decay else {}

    def rate(self) -> float:
        """Of the next update."""
        return min(self.decay, (1 + self.steps) / (10 + self.steps))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def update(self) -> None:
        if not self.averages:
            return
        own = list(self.averages.values())
        torch._foreach_lerp_(own, [p.detach().float() for _, p in self._named], 1.0 - self.rate())
        self.steps += 1

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def load(self, averages: Mapping[str, Tensor], steps: int) -> None:
        """Raises KeyError where a name is missing."""
        for name, own in self.averages.items():
            own.copy_(averages[name])
        self.steps = steps

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def settle(self) -> None:
        """The weights become their mean: what the next stage builds on is what is used in the end."""
        for name, parameter in self._named:
            if name in self.averages:
                parameter.copy_(self.averages[name])

    @contextmanager
    def swapped(self) -> Iterator[None]:
        """In the block the model has the mean of its weights."""
        held = {name: p.detach().clone() for name, p in self._named if name in self.averages}
        self.settle()
        try:
            yield
        finally:
            with torch.no_grad():
                for name, parameter in self._named:
                    if name in held:
                        parameter.copy_(held[name])
