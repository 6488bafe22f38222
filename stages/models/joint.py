"""Pictures and sentences in one space, by any model of transformers with two towers (CLIP, SigLIP, SigLIP 2 ...).

In: the model's directory or hub name (`name@revision` pins it); RGB pictures uint8[H, W, 3], sentences. Out:
float32[N, D] each, L2-normalised. The model's own processor scales, cuts and normalises pictures as it was trained
with; no torchvision is needed. One at a time on a CPU, so that a vector depends on nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.models.weights import model_name

REMEMBERED = 16_384  # texts
BATCH = {"cpu": 1, "cuda": 64}  # pictures that go through together
Vectors = npt.NDArray[np.float32]


class EncoderError(ValueError):
    """The model cannot be used; says why and what would do."""


class JointEncoder:
    """Both towers on a device, cpu or cuda. Raises EncoderError."""

    size = None  # pictures as they are: the processor scales and cuts them

    def __init__(self, name: str, device: str = "cpu") -> None:
        import torch

        torch.set_num_threads(1)
        self.device, self.name = device, model_name(name)
        self.model, self.processor, self.tokenizer = _loaded(name)
        self.model = self.model.to(device).eval()
        self._known: dict[str, Vectors] = {}
        family = str(self.model.config.model_type)
        longest = int(getattr(self.model.config.text_config, "max_position_embeddings", 64))
        # SigLIP's texts were padded to their full length when it was trained
        self._how = {
            "truncation": True,
            "max_length": longest,
            "padding": "max_length" if "siglip" in family else False,
        }
        try:
            self.width = self.pictures([np.zeros((32, 32, 3), np.uint8)]).shape[1]
            spoken = self.texts(["a"]).shape[1]
        except (TypeError, ValueError, KeyError, RuntimeError) as error:
            raise EncoderError(
                f"its towers cannot be used: {_brief(error)}; give a model like CLIP or SigLIP"
            ) from error
        if spoken != self.width:
            raise EncoderError(f"its pictures are {self.width} wide and its sentences {spoken}: not one space")

    def pictures(self, pictures: Sequence[npt.NDArray[np.uint8]]) -> Vectors:
        """One vector a picture, in the order given."""
        import torch

        if not pictures:
            return np.zeros((0, self.width), dtype=np.float32)
        found, batch = [], BATCH[self.device]
        for start in range(0, len(pictures), batch):
            given = self.processor(images=list(pictures[start : start + batch]), return_tensors="pt")
            with torch.inference_mode():
                found.append(_unit(self.model.get_image_features(**given.to(self.device))))
        return np.concatenate(found)

    def texts(self, texts: Sequence[str]) -> Vectors:
        """One vector a sentence, each encoded by itself and remembered."""
        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        return np.stack([self._text(text) for text in texts])

    def _text(self, text: str) -> Vectors:
        import torch

        if text not in self._known:
            tokens = self.tokenizer([text], return_tensors="pt", **self._how).to(self.device)
            wanted = {k: v for k, v in tokens.items() if k in ("input_ids", "attention_mask")}
            with torch.inference_mode():
                vector = _unit(self.model.get_text_features(**wanted))[0]
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text] = vector
        return self._known[text]


def _unit(features: Any) -> Vectors:
    """L2-normalised rows; some families wrap what their tower gives."""
    import torch

    pooled = features if isinstance(features, torch.Tensor) else features.pooler_output
    normal = torch.nn.functional.normalize(pooled.float(), dim=1)
    return np.asarray(normal.cpu().numpy(), dtype=np.float32)


def _loaded(name: str) -> tuple[Any, Any, Any]:
    """(model, picture processor, tokenizer)."""
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
    from transformers.utils import logging

    folder = os.path.isdir(name)
    if name.startswith(("/", ".", "~")) and not folder:
        raise EncoderError("is no directory; give the directory of a model")
    place, _, revision = (name, "", "") if folder else name.partition("@")
    more: dict[str, Any] = {"revision": revision} if revision else {}
    logging.disable_progress_bar()
    try:
        model = AutoModel.from_pretrained(place, **more)
        if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
            raise EncoderError(
                f"is a {model.config.model_type}, without a tower for pictures and one for texts in one space; give a "
                "model like CLIP or SigLIP"
            )
        return (
            model,
            AutoImageProcessor.from_pretrained(place, **more),
            AutoTokenizer.from_pretrained(place, **more),
        )
    except EncoderError:
        raise
    except Exception as error:  # what a family's own loading raises is as various as files that can be missing
        wanted = "config.json, weights, preprocessor_config.json and a tokenizer"
        what = f"a directory with {wanted}" if folder else "a directory, or the name of a model that the Hub gives here"
        raise EncoderError(f"cannot be loaded: {_brief(error)}. Give {what}") from error


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(". ")
