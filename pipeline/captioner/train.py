"""Training of a captioner on questions and their answers: the network whole, or LoRA adapters where it is large.

In: processor and model in the format of transformers, examples. Out: the model, trained. Only the answer's tokens are
learned from. Pictures are shifted, brightened and dimmed at
random, never recoloured: colour is what is asked about.
"""

from __future__ import annotations

import io
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from pipeline.captioner.examples import Example
from stages.caption.backends import BackendError
from stages.caption.backends.messages import content
from stages.caption.vlm.requests import Picture

LORA_FROM = 200_000_000  # weights from which adapters are trained instead of all of them
IGNORED = -100


@dataclass(frozen=True, slots=True)
class Schedule:
    """steps of `batch` examples; rate: the highest learning rate, reached after `warm` steps, then a cosine to 0."""

    steps: int
    batch: int = 16
    rate: float = 1e-3
    warm: int = 50
    seed: int = 0

    def rate_at(self, step: int) -> float:
        rise = min(1.0, (step + 1) / self.warm)
        return self.rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))


def train(
    processor: Any,
    model: Any,
    examples: Sequence[Example],
    schedule: Schedule,
    device: str = "cpu",
    told: Callable[[str], None] = print,
) -> Any:
    """The model, trained on examples drawn at random."""
    import torch

    rng = np.random.default_rng(schedule.seed)
    torch.manual_seed(schedule.seed)
    model = adapted(model).to(device).train()
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=schedule.rate, weight_decay=0.05, betas=(0.9, 0.98))
    started, losses = time.perf_counter(), []
    for step, (_, inputs) in enumerate(batches(processor, examples, schedule, rng)):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate_at(step)
        loss = model(**{k: v.to(device) for k, v in inputs.items()}).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            passed = time.perf_counter() - started
            told(f"step {step + 1} of {schedule.steps}: loss {np.mean(losses[-50:]):.3f}, {passed:.0f} s")
    return merged(model).eval()


def adapted(model: Any) -> Any:
    """The model itself, or with LoRA adapters where it is large. Raises BackendError where those need `peft`."""
    if model.num_parameters() < LORA_FROM:
        return model
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise BackendError(
            "a model of this size", "is tuned by LoRA, which needs peft: pip install 'event-corpus[tune]'"
        ) from error

    return get_peft_model(model, LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules="all-linear"))


def merged(model: Any) -> Any:
    """Adapters folded into the weights."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def batches(
    processor: Any, examples: Sequence[Example], schedule: Schedule, rng: np.random.Generator
) -> Iterator[tuple[list[int], dict[str, Any]]]:
    """(numbers of examples, model inputs), one a step; what the processor makes of an example is kept."""
    ready: dict[int, Prepared] = {}
    for some in drawn(len(examples), schedule, rng):
        for number in some:
            if number not in ready:
                ready[number] = prepared(processor, examples[number])
        yield some, collated([ready[n] for n in some], processor.tokenizer.pad_token_id, rng)


def drawn(count: int, schedule: Schedule, rng: np.random.Generator) -> Iterator[list[int]]:
    """Numbers of examples in batches, each once before any twice."""
    left: list[int] = []
    for _ in range(schedule.steps):
        while len(left) < schedule.batch:
            left += rng.permutation(count).tolist()
        yield left[: schedule.batch]
        del left[: schedule.batch]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An example as tensors: ids of question and answer, how many are the answer's, inputs of its pictures."""

    ids: Any
    answer: int
    pictures: dict[str, Any]


def prepared(processor: Any, example: Example) -> Prepared:
    """What the processor makes of an example."""
    import torch

    tokens = processor.tokenizer
    answer = tokens(f"{example.text}{tokens.eos_token}", add_special_tokens=False)["input_ids"]
    shown = [opened(p) for p in example.request.pictures]
    made = processor(text=prompted(processor, example), images=shown or None, return_tensors="pt")
    ids = torch.cat([made.pop("input_ids")[0], torch.tensor(answer)])
    made.pop("attention_mask", None)
    kept = {k: v.half() if v.is_floating_point() else v.to(torch.uint8) for k, v in made.items() if v.ndim > 2}
    return Prepared(ids, len(answer), kept)


def collated(some: Sequence[Prepared], pad: int, rng: np.random.Generator | None) -> dict[str, Any]:
    """Model inputs with `labels`, padded on the left; rng: pictures are shifted and brightened by it."""
    import torch

    width = max(len(p.ids) for p in some)
    ids = torch.full((len(some), width), pad)
    seen, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for row, one in enumerate(some):
        ids[row, -len(one.ids) :] = one.ids
        seen[row, -len(one.ids) :] = 1
        labels[row, -one.answer :] = one.ids[-one.answer :]
    inputs = {"input_ids": ids, "attention_mask": seen, "labels": labels}
    for name in some[0].pictures:
        most = max(one.pictures[name].shape[1] for one in some)
        own = [one.pictures[name] for one in some]
        full = [torch.cat([v, v.new_zeros((1, most - v.shape[1], *v.shape[2:]))], dim=1) for v in own]
        whole = torch.cat(full)
        inputs[name] = _varied(whole.float(), rng) if whole.is_floating_point() else whole.bool()
    return inputs


def _varied(pixels: Any, rng: np.random.Generator | None) -> Any:
    """float[B, N, 3, H, W] in -1 to 1, shifted by some pixels, each example's pictures brighter or darker alike."""
    import torch

    if rng is None:
        return pixels
    for row in range(len(pixels)):
        drawn = pixels[row].flatten(1).abs().sum(1) > 0  # padding stays padding
        right, down = (int(v) for v in rng.integers(-6, 7, 2))
        gain, lift = float(rng.uniform(0.85, 1.15)), float(rng.uniform(-0.08, 0.08))
        moved = torch.roll(pixels[row], (down, right), dims=(2, 3)) * gain + lift
        pixels[row] = torch.where(drawn[:, None, None, None], moved.clamp(-1, 1), pixels[row])
    return pixels


def prompted(processor: Any, example: Example) -> str:
    """The question as text, up to where the answer begins."""
    messages = [{"role": "user", "content": content(example.request, lambda _: {"type": "image"})}]
    return str(processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def opened(picture: Picture) -> Image.Image:
    return Image.open(io.BytesIO(picture.jpeg)).convert("RGB")


def save(out: str, processor: Any, model: Any, told: Mapping[str, Any]) -> None:
    """Weights in half precision (half the size, and the same answers), and what they were trained on."""
    model.half().save_pretrained(out)
    processor.save_pretrained(out)
    with open(os.path.join(out, "training.json"), "w", encoding="utf-8") as file:
        json.dump(dict(told), file, indent=1)
        file.write("\n")
