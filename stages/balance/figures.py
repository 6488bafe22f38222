"""How even a table is, and how it would be without the balance.

In: counts of clusters; a `Balance`. Out: figures of the recording, of the target, of the draw, and of a uniform random
draw of the same size, so that each stands beside its control. Formulas: recipe, section 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stages.balance.cells import Cells, Float, Labels, Side
from stages.balance.result import Balance

Kind = Literal["before", "target", "after", "random"]
KINDS: tuple[Kind, ...] = ("before", "target", "after", "random")


@dataclass(frozen=True, slots=True)
class Figures:
    """One row of the table: see the functions of these names; `filled` counts clusters with at least `least` samples.
    Clusters without any event count nowhere."""

    kind: Kind
    samples: float
    gini: float
    entropy: float
    effective_sample_size: float
    tail_share: float
    largest_repeat: float
    filled: int
    least: int


def gini(counts: Float | Labels) -> float:
    """0 for equal cluster sizes towards 1 for one that has all."""
    sizes = np.sort(np.asarray(counts, dtype=np.float64))
    if not len(sizes) or sizes.sum() == 0:
        return 0.0
    ranks = np.arange(1, len(sizes) + 1)
    return float((2 * (ranks * sizes).sum() / sizes.sum() - len(sizes) - 1) / len(sizes))


def entropy(counts: Float | Labels) -> float:
    """Entropy over the logarithm of the number of clusters: 1 for equal sizes."""
    sizes = np.asarray(counts, dtype=np.float64)
    if len(sizes) < 2 or sizes.sum() == 0:
        return 1.0
    shares = sizes[sizes > 0] / sizes.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(len(sizes)))


def effective_sample_size(weights: Float | Labels, n: Labels | None = None) -> float:
    """(sum w)^2 / sum w^2 over events; n: how many events have each weight, one without."""
    values = np.asarray(weights, dtype=np.float64)
    count = np.ones(len(values)) if n is None else np.asarray(n, dtype=np.float64)
    squares = float((count * values**2).sum())
    return float((count * values).sum() ** 2 / squares) if squares else 0.0


def tail_share(recorded: Labels, counts: Float | Labels) -> float:
    """Share of `counts` in the smaller half of the clusters by recorded size (C // 2 of them; of equal ones, those of
    the lower number): 0.5 - 1 / (2 C) or more only where the draw is even."""
    tail = np.argsort(recorded, kind="stable")[: len(recorded) // 2]
    total = float(np.sum(counts))
    return float(np.asarray(counts)[tail].sum() / total) if total else 0.0


def filled(counts: Float | Labels, least: int) -> int:
    """Clusters with at least `least` samples."""
    return int((np.asarray(counts) >= least).sum())


def repeats(n: Labels, copies: Labels) -> tuple[Labels, Labels]:
    """(repeats, events): how often events of cells of n are drawn where these have so many copies, and how many are."""
    each, more = np.divmod(copies, np.maximum(n, 1))
    return np.concatenate([each, each + 1]), np.concatenate([n - more, more])


def at_random(cells: Cells, samples: int, seed: int) -> Labels:
    """int64[K]: copies of each cell in a uniform draw of the events without replacement; where there are fewer events
    than samples, all of them as many times as they go into it, and such a draw of the rest."""
    events = int(cells.n.sum())
    each, rest = divmod(samples, events) if events else (0, 0)
    order = np.lexsort((cells.weight, cells.recovery, cells.action, cells.vl))  # the same for any order of the rows
    drawn = np.zeros(len(cells), dtype=np.int64)
    drawn[order] = np.random.default_rng(seed).multivariate_hypergeometric(cells.n[order], rest, method="marginals")
    return np.asarray(each * cells.n + drawn, dtype=np.int64)


def explained(balance: Balance, least: int = 10, seed: int = 0) -> dict[Side, tuple[Figures, ...]]:
    """Rows before, target, after, random of each clustering. `target` is what alpha, tree and repeat bound ask for;
    its effective sample size and largest repeat are those of the fractions that rounding started from."""
    cells = balance.cells
    samples = int(balance.copies.sum())
    random = at_random(cells, samples, seed)
    fraction = np.divide(balance.wanted, cells.n, out=np.zeros(len(cells)), where=cells.n > 0)
    events: dict[Kind, tuple[Float | Labels, Labels]] = {
        "before": (np.ones(len(cells), dtype=np.int64), cells.n),
        "target": (fraction, cells.n),
        "after": repeats(cells.n, balance.copies),
        "random": repeats(cells.n, random),
    }
    result: dict[Side, tuple[Figures, ...]] = {}
    for side, margin, labels in (("vl", balance.vl, cells.vl), ("action", balance.action, cells.action)):
        drawn = np.bincount(labels, weights=random, minlength=len(margin.recorded))
        counts: tuple[Float | Labels, ...] = (margin.recorded, margin.target, margin.drawn, drawn)
        there = margin.recorded > 0
        result["vl" if side == "vl" else "action"] = tuple(
            _figures(kind, margin.recorded[there], count[there], *events[kind], least)
            for kind, count in zip(KINDS, counts, strict=True)
        )
    return result


def _figures(
    kind: Kind, recorded: Labels, counts: Float | Labels, weights: Float | Labels, n: Labels, least: int
) -> Figures:
    return Figures(
        kind=kind,
        samples=float(np.sum(counts)),
        gini=gini(counts),
        entropy=entropy(counts),
        effective_sample_size=effective_sample_size(weights, n),
        tail_share=tail_share(recorded, counts),
        largest_repeat=float(np.max(weights[n > 0], initial=0)),
        filled=filled(counts, least),
        least=least,
    )
