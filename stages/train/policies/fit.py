"""Trains a regression policy on examples: a fixed number of steps, chosen beforehand.

Closed-loop success falls with longer training while the loss still falls, so nothing here looks at a loss to stop.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from stages.train.examples import Examples
from stages.train.policies.features import Embed, Scale, Texts, geometry, hashed
from stages.train.policies.idle import without_idle
from stages.train.policies.network import ChunkNetwork
from stages.train.policies.regression import RegressionPolicy, Settings, losses


def fit(
    examples: Examples,
    settings: Settings,
    generator: torch.Generator,
    embed: Embed = hashed,
    weight: npt.NDArray[np.float64] | None = None,
) -> RegressionPolicy:
    """The generator alone decides initial weights, rows and noise. weight: float64[N], how often each row is drawn;
    None: all alike. Raises ValueError where the examples have fewer actions a row than the settings' horizon."""
    if examples.action.shape[1] < settings.horizon:
        raise ValueError(f"horizon={settings.horizon}: these examples have {examples.action.shape[1]} actions a row")
    if weight is not None and not settings.idle:
        raise ValueError("weights are of rows that all count: leave idle ones out before (idle=True)")
    own = examples if settings.idle else without_idle(examples)
    own = replace(own, action=own.action[:, : settings.horizon], action_valid=own.action_valid[:, : settings.horizon])
    texts = Texts.of(examples.texts, embed)
    seen, done = scales(own)
    geometric = torch.from_numpy(seen.normalised(geometry(own.state, own.environment)))
    told = torch.from_numpy(texts.rows(examples.texts))[torch.from_numpy(getattr(own, settings.text))]
    action = torch.from_numpy(done.normalised(own.action))
    valid = torch.from_numpy(own.action_valid.astype(np.float32))
    network = _network(geometric.shape[1] + told.shape[1], settings, generator)
    averaged = copy.deepcopy(network)
    share = None if weight is None else torch.from_numpy(weight)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.rate)
    for step in range(settings.steps):
        rows = _rows(len(own), share, settings.batch, generator)
        jitter = settings.noise * torch.randn(settings.batch, geometric.shape[1], generator=generator)
        noise = torch.randn(settings.batch, *action.shape[1:], generator=generator)
        features = torch.cat([geometric[rows] + jitter, told[rows]], dim=1)
        optimiser.zero_grad()
        losses(network, settings, features, action[rows], valid[rows], noise).backward()
        optimiser.step()
        average(averaged, network, min(settings.averaged, (1 + step) / (10 + step)))
    return RegressionPolicy(averaged, settings, seen, done, texts)


def _rows(count: int, share: torch.Tensor | None, batch: int, generator: torch.Generator) -> torch.Tensor:
    if share is None:
        return torch.randint(count, (batch,), generator=generator)
    return torch.multinomial(share, batch, replacement=True, generator=generator)


def scales(examples: Examples) -> tuple[Scale, Scale]:
    """Of geometry, and of actions."""
    return Scale.of(geometry(examples.state, examples.environment)), Scale.of(examples.action[:, 0])


def _network(features: int, settings: Settings, generator: torch.Generator) -> ChunkNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        return ChunkNetwork(features, settings.horizon, 4, settings.width, settings.blocks)


def average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """A step of the running mean of weights, in place."""
    with torch.no_grad():
        for mean, own in zip(averaged.parameters(), network.parameters(), strict=True):
            mean.lerp_(own, 1 - decay)
