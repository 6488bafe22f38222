"""Trains a policy from pictures on rows in memory: a fixed number of steps, chosen beforehand."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from stages.train.policies.features import Embed, Scale, Texts, hashed
from stages.train.policies.fit import average
from stages.train.policies.idle import idle, without_idle
from stages.train.policies.pictures import Seen
from stages.train.policies.pixels import PixelNetwork, PixelPolicy, PixelSettings
from stages.train.policies.regression import losses

Watch = Callable[[int, float], None]
"""Told of a step and its loss."""


def pixel_fit(
    seen: Seen,
    settings: PixelSettings,
    generator: torch.Generator,
    embed: Embed = hashed,
    watch: Watch | None = None,
) -> PixelPolicy:
    """The generator alone decides initial weights, rows, shifts and noise. The rate falls to nothing along a cosine.
    Raises ValueError where pictures or chunks are not as the settings want them."""
    own, settled = settings.regression, seen.examples
    if seen.cameras != settings.cameras or seen.pictures.shape[-1] != settings.side:
        raise ValueError(f"pictures of {seen.cameras} at {seen.pictures.shape[-1]} px are not those of the settings")
    if settled.action.shape[1] < own.horizon:
        raise ValueError(f"horizon={own.horizon}: these examples have {settled.action.shape[1]} actions a row")
    pictures = torch.from_numpy(seen.pictures)
    if not own.idle:
        pictures = torch.from_numpy(seen.pictures[~idle(settled)])
        settled = without_idle(settled)
    settled = replace(
        settled, action=settled.action[:, : own.horizon], action_valid=settled.action_valid[:, : own.horizon]
    )
    texts = Texts.of(settled.texts, embed)
    scale, done = Scale.of(settled.state), Scale.of(settled.action[:, 0])
    state = torch.from_numpy(scale.normalised(settled.state))
    told = torch.from_numpy(texts.rows(settled.texts))[torch.from_numpy(getattr(settled, own.text))]
    action = torch.from_numpy(done.normalised(settled.action))
    valid = torch.from_numpy(settled.action_valid.astype(np.float32))
    network = _network(told.shape[1], settings, generator)
    averaged = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), lr=own.rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, own.steps)
    for step in range(own.steps):
        rows = torch.randint(len(settled), (own.batch,), generator=generator)
        jitter = own.noise * torch.randn(own.batch, state.shape[1], generator=generator)
        noise = torch.randn(own.batch, *action.shape[1:], generator=generator)
        views = shifted(pictures[rows], settings.shift, generator)
        optimiser.zero_grad()
        loss = losses(
            network.head,
            own,
            network.features(views, state[rows] + jitter, told[rows]),
            action[rows],
            valid[rows],
            noise,
        )
        loss.backward()
        optimiser.step()
        falling.step()
        average(averaged, network, min(own.averaged, (1 + step) / (10 + step)))
        if watch is not None:
            watch(step, loss.item())
    return PixelPolicy(averaged, settings, scale, done, texts)


def shifted(pictures: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """uint8[B, C, 3, S, S], each row's cameras moved by up to `most` pixels either way, each on its own; the border is
    repeated."""
    if not most:
        return pictures
    side = pictures.shape[-1]
    views = pictures.flatten(0, 1)
    wide = np.pad(views.numpy(), ((0, 0), (0, 0), (most, most), (most, most)), mode="edge")
    moved = torch.empty_like(views)
    for n, (down, right) in enumerate(torch.randint(2 * most + 1, (len(views), 2), generator=generator).tolist()):
        moved[n] = torch.from_numpy(wide[n, :, down : down + side, right : right + side])
    return moved.view_as(pictures)


def _network(text: int, settings: PixelSettings, generator: torch.Generator) -> PixelNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        return PixelNetwork(settings, text)
