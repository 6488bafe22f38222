"""Several processes that train one model, each on its part of every global batch.

torchrun says who is who (RANK, WORLD_SIZE); the loader shares batches out by the same. Gradients are weighted by what
each part's loss is a mean of, so that the sum is the gradient of the whole batch's mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

from stages.train.batch import Batch
from stages.train.run.validation import predicted_pixels


@contextmanager
def world(device: torch.device) -> Iterator[tuple[int, int]]:
    """(rank, how many there are); alone: (0, 1)."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield 0, 1
        return
    started = not distributed.is_initialized()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if started:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield distributed.get_rank(), distributed.get_world_size()
    finally:
        if started:
            distributed.destroy_process_group()


def valid_tokens(batch: Batch, stage: str) -> Tensor:
    """float32[]: of what a stage's loss is a mean over a batch. Of the stage `joint`, whose loss is a sum of two means,
    that of actions: there two ranks are one only as far as pictures and actions come in one proportion. Likewise
    `text`, by its events with a caption: some of these are the last of their episode, which no other follows."""
    if stage == "video":
        return predicted_pixels(batch).sum().float()
    return (batch.caption_text.any(dim=-1) if stage == "text" else batch.action_valid).sum().float()


def share_of(tokens: Tensor) -> Tensor:
    """float32[]: this rank's part of the whole batch's tokens."""
    whole = tokens.clone()
    distributed.all_reduce(whole)
    return tokens / whole.clamp(min=1)


def add_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Gradients of all ranks, added up in one message."""
    for p in parameters:
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    flat = torch.cat([p.grad.flatten() for p in parameters])
    distributed.all_reduce(flat)
    for p, own in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad.copy_(own.view_as(p))


def any_of(flag: bool, device: torch.device) -> bool:
    """Whether it is true of one rank or more."""
    told = torch.tensor(float(flag), device=device)
    distributed.all_reduce(told)
    return bool(told > 0)
