"""A first lesson for an untrained vision tower: which words of the answer do the pictures show?

A language model over untrained features learns to ignore them first. Here each picture token votes for each word of the
answer, the strongest votes count, and no language model runs: some ten times the examples in the same time.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.captioner.examples import Example
from pipeline.captioner.train import Schedule, batches

OFTEN = 5  # times that a word must occur


def words(example: Example) -> set[str]:
    """Words of an answer."""
    return {w for value in example.answer.values() for w in re.findall(r"[a-z]+", value)}


def look(
    processor: Any, model: Any, examples: Sequence[Example], schedule: Schedule, told: Callable[[str], None] = print
) -> Any:
    """The model, its vision tower and connector trained."""
    import torch

    count = Counter(w for e in examples for w in words(e))
    known = sorted(w for w, n in count.items() if OFTEN <= n < 0.9 * len(examples))
    target = torch.tensor([[float(w in words(e)) for w in known] for e in examples])
    rng = np.random.default_rng(schedule.seed)
    votes = torch.nn.Linear(model.config.text_config.hidden_size, len(known))
    tower = model.model
    parts = [*tower.vision_model.parameters(), *tower.connector.parameters(), *votes.parameters()]
    optimizer = torch.optim.AdamW(parts, lr=schedule.rate, weight_decay=0.05)
    started, losses, right = time.perf_counter(), [], []
    for step, (some, inputs) in enumerate(batches(processor, examples, schedule, rng)):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step)
        inputs = {k: v for k, v in inputs.items() if k.startswith("pixel")}
        seen = tower.get_image_features(**inputs, return_dict=True).pooler_output
        strongest = torch.stack([votes(tokens).logsumexp(0) - np.log(len(tokens)) for tokens in seen])
        truth = target[some]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(strongest, truth)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parts, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        right.append(float(((strongest > 0) == (truth > 0)).all(1).float().mean()))
        if (step + 1) % 50 == 0:
            passed = time.perf_counter() - started
            told(
                f"look {step + 1} of {schedule.steps}: loss {np.mean(losses[-50:]):.4f}, all words right in "
                f"{np.mean(right[-50:]):.2f}, {passed:.0f} s"
            )
    return model
