"""Which events have the words of a query, and how much that says: BM25 over what a corpus says of each.

In: a query; texts in Polars columns. Out: `Term`s; how often each occurs in each text; scores. Formula: Robertson and
Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with fields by weight (BM25F): what is said
of the event itself counts OWN, the task that all events of its episode share TASK.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from stages.text import SENTENCE

K1, B = 1.2, 0.75  # how soon another occurrence adds nothing, how much a long text is held against it: the usual values
OWN, TASK = 1.0, 0.5
MOST = 32  # terms of a query
SHORTEST = 3  # letters that a stem keeps
_STOP = """a an and are as at be by do for from has have he her his in into is it its of off on onto or out over she so
than that the their then there this those to was were where which while who with"""
STOP = frozenset(_STOP.split())
# scripts without spaces between words: a run of them is taken by pairs of characters
UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_RUNS = re.compile(rf"[{UNSPACED}]+|[^\W_{UNSPACED}]+")
_ENDINGS = ("ing", "ed", "es", "s", "e")
Float = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a query as it was typed (of a script without spaces, the run of characters that a pair is of), and a
    regular expression that finds it in lower-case text: English endings aside, so that `grasped cups` finds `grasp` and
    `cup`."""

    word: str
    pattern: str


def terms(query: str) -> list[Term]:
    """Of a query, each once, at most MOST; words that say nothing are left out unless there are no others."""
    runs = _RUNS.findall(folded(query[:SENTENCE]))
    wanted = [r for r in runs if r not in STOP] or runs
    found = [t for run in wanted for t in (_pairs(run) if re.match(f"[{UNSPACED}]", run) else [_word(run)])]
    return list({t.pattern: t for t in found}.values())[:MOST]


def folded(text: str) -> str:
    """In one form of Unicode and lower case."""
    return unicodedata.normalize("NFKC", text).lower()


def counts(texts: pl.Expr, wanted: Sequence[Term]) -> list[pl.Expr]:
    """UInt16 columns t0, t1, ...: how often each term occurs in a text; 0 where there is none."""
    lower = texts.str.to_lowercase()
    return [
        lower.str.count_matches(t.pattern).fill_null(0).cast(pl.UInt16).alias(f"t{n}") for n, t in enumerate(wanted)
    ]


def length(texts: pl.Expr) -> pl.Expr:
    """UInt16: words of a text."""
    return texts.str.count_matches(r"\w+").fill_null(0).clip(upper_bound=65_535).cast(pl.UInt16)


def bm25(frequency: Float, lengths: Float) -> Float:
    """float64[N] of frequency[N, T], how often each term is in each text, weighted by field, and the texts' lengths."""
    if not frequency.size:
        return np.zeros(len(frequency))
    number, having = len(frequency), (frequency > 0).sum(axis=0)
    worth = np.log1p((number - having + 0.5) / (having + 0.5))
    mean = max(float(lengths.mean()), 1e-9)
    dampened = frequency + K1 * (1 - B + B * lengths / mean)[:, None]
    return np.asarray((frequency * (K1 + 1) / dampened) @ worth)


def _pairs(run: str) -> list[Term]:
    pairs = [run[i : i + 2] for i in range(len(run) - 1)] or [run]
    return [Term(run, re.escape(pair)) for pair in pairs]


def _word(word: str) -> Term:
    stem = word
    if word.isascii() and word.isalpha():
        stem = next((word[: -len(e)] for e in _ENDINGS if _ends(word, e)), word)
        if len(stem) > SHORTEST and stem[-1] == stem[-2] and stem[-1] not in "sle" and stem != word:
            stem = stem[:-1]  # slipped, slipping: slip
        return Term(word, rf"\b{stem}(?:{stem[-1]})?(?:e|s|es|ed|ing)?\b")
    return Term(word, rf"\b{re.escape(word)}\b")


def _ends(word: str, ending: str) -> bool:
    return word.endswith(ending) and len(word) - len(ending) >= SHORTEST and not word.endswith("ss")
