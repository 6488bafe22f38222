"""Texts as vectors: each text of a corpus goes through the frozen encoder once, and captions have numbers.

In: an encoder (texts in, float[N, Dt] out), a release. Out: `Texts`, which remembers; `captions_of`, the captions of
the training set by how frequent they are, whose numbers are what the next-event head is to tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from schemas.sample import Sample
from stages.load.reading.sample import read
from stages.train.text import Embed

if TYPE_CHECKING:
    from stages.load import EventDataset

REMEMBERED = 65_536  # vectors: 134 MB of 512 numbers each
READ = 20_000  # samples whose captions are looked at
MOST_CAPTIONS = 4_096
AT_ONCE = 256  # samples that are read together


class Texts:
    """float32[N, width] of texts, an empty one all zeros."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._known: dict[str, Tensor] = {}
        self.width = int(np.shape(embed(["a"]))[1])

    def __call__(self, texts: Sequence[str]) -> Tensor:
        new = [text for text in dict.fromkeys(texts) if text and text not in self._known]
        if new:
            if len(self._known) + len(new) > REMEMBERED:
                self._known.clear()
                new = [text for text in dict.fromkeys(texts) if text]
            vectors = torch.as_tensor(self._embed(new), dtype=torch.float32).cpu()
            self._known |= zip(new, vectors, strict=True)
        none = torch.zeros(self.width)
        return torch.stack([self._known.get(text, none) for text in texts]) if texts else torch.zeros(0, self.width)


def captions_of(dataset: EventDataset) -> tuple[str, ...]:
    """At most MOST_CAPTIONS captions of a dataset's events at its level, the most frequent first, of at most READ of
    its samples, evenly spread over the plan."""
    release, level = dataset.release, dataset.wanted.caption
    rows = np.unique(np.linspace(0, len(release.plan) - 1, min(READ, len(release.plan))).astype(np.int64)).tolist()
    counts: Counter[str] = Counter()
    for first in range(0, len(rows), AT_ONCE):
        for raw in read(release, rows[first : first + AT_ONCE], (), (), True):
            assert raw.meta is not None
            counts.update(text for text in _said(raw.meta, level) if text)
    ordered = sorted(counts.items(), key=lambda own: (-own[1], own[0]))
    return tuple(text for text, _ in ordered[:MOST_CAPTIONS])


def _said(meta: Sample, level: str) -> Iterator[str]:
    spans = meta["spans"].get(level, [])
    yield from (span["caption"] for span in spans)
    if not spans:
        own = level in ("event", meta["level"])
        yield meta["captions"].get(meta["level"] if own else level, "")
        yield meta["described"]["next"] if own else ""
