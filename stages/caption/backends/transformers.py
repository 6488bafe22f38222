"""Any image-text-to-text model of transformers, by hub name or directory, in this process.

Greedy decoding, so that a question has one answer. Requests of a call go through in batches of neighbours by length of
their pictures, padded on the left. A small model runs on one thread, as encoders do: the same answer for any number of
workers.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from stages.caption.backends import BackendError, Done, nobody
from stages.caption.backends.messages import content
from stages.caption.vlm.requests import Answer, Request
from stages.models.weights import model_hash, model_name

LEAST = 1e-6  # of a chance, so that its odds are finite


class Transformers:
    """A model on a device; `batch`: requests that go through together."""

    at_once = 1

    def __init__(self, name: str, device: str, batch: int) -> None:
        import torch

        torch.set_num_threads(1)
        self.device, self.batch = device, batch
        self.processor, self.model = loaded(name, device)
        self.processor.tokenizer.padding_side = "left"
        self.sure = calibration(name)
        self.identity = f"transformers/{model_hash(name)}/greedy"
        self.name = model_name(name)

    def ask(self, requests: Sequence[Request], done: Done = nobody) -> list[Answer]:
        answers: dict[int, Answer] = {}
        order = sorted(range(len(requests)), key=lambda i: (requests[i].fields, len(requests[i].pictures)))
        for start in range(0, len(order), self.batch):
            some = order[start : start + self.batch]
            kinds = {(requests[i].fields, len(requests[i].pictures)) for i in some}
            for kind in sorted(kinds):  # padding changes what a picture's neighbours see in some families
                own = [i for i in some if (requests[i].fields, len(requests[i].pictures)) == kind]
                for number, answer in zip(own, self._answer([requests[i] for i in own]), strict=True):
                    answers[number] = answer
                    done(number, answer)
        return [answers[i] for i in range(len(requests))]

    def _answer(self, requests: Sequence[Request]) -> list[Answer]:
        import torch
        from PIL import Image

        shown = [[Image.open(io.BytesIO(p.jpeg)).convert("RGB") for p in r.pictures] for r in requests]
        texts = [self._prompt(r) for r in requests]
        inputs = self.processor(text=texts, images=shown if any(shown) else None, padding=True, return_tensors="pt").to(
            self.device
        )
        if self.model.dtype != torch.float32:
            inputs = inputs.to(self.model.dtype)
        most = max(r.most_tokens for r in requests)
        with torch.inference_mode():
            out = self.model.generate(
                **inputs, max_new_tokens=most, do_sample=False, num_beams=1, output_scores=True,
                return_dict_in_generate=True,
            )  # fmt: skip
            chances = self.model.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
        asked = inputs["input_ids"].shape[1]
        return [self._read(ids[asked:], own, asked) for ids, own in zip(out.sequences, chances, strict=True)]

    def _prompt(self, request: Request) -> str:
        messages = [{"role": "user", "content": content(request, lambda _: {"type": "image"})}]
        return str(self.processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def _read(self, ids: Any, chances: Any, asked: int) -> Answer:
        tokens = self.processor.tokenizer
        ends = self.model.generation_config.eos_token_id
        ends = set(ends if isinstance(ends, list) else [ends])
        stop = next((k for k, token in enumerate(ids.tolist()) if token in ends), None)
        own = ids[:stop] if stop is not None else ids
        sure = chances[: len(own)].clamp(min=-50).exp().min() if len(own) else None
        text = tokens.decode(own, skip_special_tokens=True).strip()
        return Answer(
            text,
            "ok" if stop is not None else "truncated",
            float("nan") if sure is None else self.sure(float(sure)),
            (asked, len(own)),
        )


def calibration(name: str) -> Callable[[float], float]:
    """What the model's least sure token means for the whole answer: by `calibration.json` in its folder (a logistic
    curve of the token's log odds, fitted on answers known to be right or wrong), else as it is."""
    file = os.path.join(name, "calibration.json")
    if not os.path.isfile(file):
        return lambda chance: chance
    with open(file, encoding="utf-8") as opened:
        curve = json.load(opened)

    def sure(chance: float) -> float:
        odds = math.log(max(chance, LEAST)) - math.log(max(1 - chance, LEAST))
        return 1 / (1 + math.exp(-(curve["scale"] * odds + curve["shift"])))

    return sure


def loaded(name: str, device: str) -> tuple[Any, Any]:
    """(processor, model). Raises BackendError with what is missing."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    if name.startswith(("/", ".", "~")) and not os.path.isdir(name):
        raise BackendError(f"caption.model={name}", "is no folder; give the folder of a model")
    place, _, revision = name.partition("@") if not os.path.isdir(name) else (name, "", "")
    more = {"revision": revision} if revision else {}
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    try:
        processor = AutoProcessor.from_pretrained(place, **more)
        model = AutoModelForImageTextToText.from_pretrained(place, dtype=dtype, **more)
    except ImportError as error:
        raise BackendError(
            f"caption.model={name}",
            f"needs a package that is not installed: {_brief(error)}. Install it (torchvision must fit the build of "
            "torch), or take a family without it (Idefics3, SmolVLM, LLaVA)",
        ) from error
    except (OSError, ValueError) as error:
        raise BackendError(
            f"caption.model={name}",
            f"cannot be loaded: {_brief(error)}. Give a folder with an image-text-to-text model in the format of "
            "transformers, or the name of one on the Hub that can be reached from here",
        ) from error
    if not hasattr(processor, "image_processor") or not getattr(processor, "chat_template", None):
        raise BackendError(f"caption.model={name}", "takes no pictures, or has no chat template; give another")
    return processor, model.to(device).eval()


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(". ")
