"""Muon for hidden 2-D weights, AdamW for embeddings, heads, norms and biases.

In: the parameters that a stage trains. Out: `Optimiser`: clipping, a step at a rate that rises in a warm-up and falls
with a cosine, state by the name of the parameter. Muon (momentum 0.95, Nesterov, 5 Newton-Schulz steps) orthogonalises
the update of a matrix; `match_rms_adamw` scales it by 0.2 sqrt(max(rows, columns)), so that one rate fits both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from stages.train.config import OptimiserConfig
from stages.train.model import hidden_weights

Named = Sequence[tuple[str, nn.Parameter]]


def rate(step: int, steps: int, warmup: int, floor: float) -> float:
    """Share of the rate at a step of `steps`, counted from 0: linear up to 1, then a cosine down to `floor`."""
    warmup = min(warmup, steps // 2)
    if step < warmup:
        return (step + 1) / warmup
    along = (step - warmup) / max(1, steps - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, along)))


class Optimiser:
    """named: what is trained, nothing else moves. steps: of the stage. lr: instead of the configuration's."""

    def __init__(self, named: Named, config: OptimiserConfig, steps: int, lr: float | None = None) -> None:
        self.config, self.steps = config, steps
        self.lr = config.lr if lr is None else lr
        self.named = list(named)
        matrices = hidden_weights(self.named) if config.muon else []
        rest = [(n, p) for n, p in named if not any(p is own for _, own in matrices)]
        decayed = [p for _, p in rest if p.ndim >= 2]
        others = [p for _, p in rest if p.ndim < 2]
        groups = [
            {"params": own, "weight_decay": decay}
            for own, decay in ((decayed, config.weight_decay), (others, 0.0))
            if own
        ]
        self.split = {"muon": [n for n, _ in matrices], "adamw": [n for n, _ in rest]}
        self.parts: list[torch.optim.Optimizer] = []
        if matrices:
            muon = getattr(torch.optim, "Muon", None)
            if muon is None:
                raise RuntimeError(
                    f"torch {torch.__version__} has no Muon, 2.9 has: update it, or optimiser.muon=false"
                )
            self.parts.append(
                muon(
                    [p for _, p in matrices],
                    lr=self.lr,
                    weight_decay=config.weight_decay,
                    momentum=config.momentum,
                    nesterov=True,
                    ns_steps=5,
                    adjust_lr_fn="match_rms_adamw",
                )
            )
        if groups:
            self.parts.append(torch.optim.AdamW(groups, lr=self.lr, betas=config.betas))

    def step(self, number: int) -> Tensor:
        """Cut the gradient, move the weights at the rate of step `number` (from 0) of the stage, drop the gradient.
        Returns the gradient's norm before it was cut, float[]: whoever reads it waits for the device."""
        own = [p for _, p in self.named if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in own])
        if self.config.clip:
            torch.nn.utils.clip_grads_with_norm_(own, self.config.clip, norm)
        share = rate(number, self.steps, self.config.warmup, self.config.floor)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.lr * share
            part.step()
            part.zero_grad(set_to_none=True)
        return norm

    def tensors(self) -> dict[str, Tensor]:
        """State by `parameter:key`."""
        found: dict[str, Tensor] = {}
        for name, parameter in self.named:
            for part in self.parts:
                own = part.state.get(parameter, {})
                found |= {f"{name}:{key}": torch.as_tensor(value) for key, value in own.items() if value is not None}
        return found

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """State as `tensors` gave it."""
        names = {name: parameter for name, parameter in self.named}
        owner = {id(p): part for part in self.parts for group in part.param_groups for p in group["params"]}
        for key, value in tensors.items():
            name, _, of = key.rpartition(":")
            parameter = names[name]
            moved = value if of == "step" else value.to(parameter.device)
            owner[id(parameter)].state[parameter][of] = moved.clone()
