"""What the balance gives back.

In: nothing. Out: `Margin` and `Balance`, read by those who draw, explain and report.
"""

from __future__ import annotations

from dataclasses import dataclass

from stages.balance.cells import Cells, Float, Labels
from stages.balance.feasibility import Cut


@dataclass(frozen=True, slots=True, eq=False)
class Margin:
    """One clustering of C clusters. recorded int64[C] events; target float64[C], what alpha, tree and repeat bound ask
    for; attainable float64[C], the nearest that both clusterings can have at once (target where that is possible);
    drawn int64[C], within one of it."""

    recorded: Labels
    target: Float
    attainable: Float
    drawn: Labels


@dataclass(frozen=True, slots=True, eq=False)
class Balance:
    """copies int64[K], wanted float64[K]: in the order of `cells`; rounds and residual of the fit (`Raked`); boost:
    factor by which recoveries are wanted more; recoveries: share of recorded, wanted and drawn; cuts: why targets
    cannot be met, empty where they can; notes: sentences for the user."""

    cells: Cells
    copies: Labels
    wanted: Float
    vl: Margin
    action: Margin
    rounds: int
    residual: float
    boost: float
    recoveries: tuple[float, float, float]
    cuts: tuple[Cut, ...]
    notes: tuple[str, ...]
