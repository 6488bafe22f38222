"""How many samples each cell is wanted to have, as fractions: both margins met, no cell beyond its repeat bound.

In: cells, targets of both clusterings, repeat bound, demanded share of recoveries. Out: float64 a cell, namely

    x = min(r n, s a_i b_j c^recovery w n),

which among all tables that meet the margins within the bounds is the one closest to w n in the Kullback-Leibler sense
(Deming and Stephan 1940; Csiszar 1975). Iterative proportional fitting finds it in a few rounds where there is room:
each solves the factor of every row, then of every column, exactly under the bounds. Where it does not converge, or the
margins cannot be met, `dual` goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from stages.balance.cells import Flags, Float, Labels, Pairs
from stages.balance.dual import Problem, filled, minimise, unscaled
from stages.balance.targets import water_fill

ROUNDS = 60  # of proportional fitting
TOLERANCE = 1e-6  # samples: converged where no margin is farther than this from its target
STEPS = 60  # of Newton's method for the factors of one side; each but the first fills at least one more cell of a row
MOST = 1000.0  # times as often as its neighbours a recovery is wanted, at most, for the sake of the share
TRIES = 60  # of factors for recoveries
ENOUGH = 1e-4  # recoveries: their share is met where no more are missing or too many


@dataclass(frozen=True, slots=True, eq=False)
class Raked:
    """wanted float64[K], in the order of `Pairs`; rounds of fitting and steps of Newton's method, over all tries for
    the share of recoveries; residual: largest distance of a margin from its target, samples; boost: the factor c of
    recoveries, 1 where they are enough; share: of recoveries among the wanted."""

    wanted: Float
    rounds: int
    residual: float
    boost: float
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class _Start:
    """Logarithms of factors that solved a problem like this one, and whether proportional fitting found them."""

    at: Float | None
    fits: bool


def rake(pairs: Pairs, vl: Float, action: Float, max_repeats: int, share: float, feasible: bool) -> Raked:
    """Wanted samples of each cell; vl float64[I], action float64[J]: targets, of the same sum.

    feasible: whether both can be met; where not, the margins are as near as can be in the sense of `dual`. share: least
    share of recoveries; where it would take a factor beyond MOST, the margins come first.
    """
    own = pairs.cells
    wanted = np.zeros(len(own))
    live = np.flatnonzero(own.n > 0)
    total = float(vl.sum())
    if not total > 0:
        return Raked(wanted, 0, 0.0, 1.0, 0.0)
    rows, row = np.unique(own.vl[live], return_inverse=True)
    columns, column = np.unique(own.action[live], return_inverse=True)
    prior, most = own.weight[live] * own.n[live], (max_repeats * own.n[live]).astype(np.float64)
    problem = Problem(row, column, prior, most, vl[rows], action[columns])
    recovery = own.recovery[live]
    x, start, rounds = _solved(problem, feasible, _Start(None, True))
    boost, found = 1.0, float(x[recovery].sum()) / total
    if found < share and recovery.any():
        x, boost, more = _boosted(problem, recovery, share, feasible, x, start)
        rounds, found = rounds + more, float(x[recovery].sum()) / total
    if abs(x.sum() - total) > TOLERANCE:
        x = water_fill(x + TOLERANCE * prior / prior.sum(), most, total)
    wanted[live] = x
    residual = max(
        float(np.abs(np.bincount(labels, weights=wanted, minlength=len(side)) - side).max())
        for labels, side in ((own.vl, vl), (own.action, action))
    )
    return Raked(wanted, rounds, residual, boost, found)


def _boosted(
    problem: Problem, recovery: Flags, share: float, feasible: bool, found: Float, start: _Start
) -> tuple[Float, float, int]:
    """(x, factor of recoveries, rounds): the least factor up to MOST with which recoveries have their share.

    found: x where the factor is 1. Their share grows with the factor: its logarithm is doubled until they have enough,
    then narrowed down by false position (Illinois: an end that stays where it is counts half).
    """
    total, rounds = float(problem.rows.sum()), 0
    low, below = 0.0, float(found[recovery].sum()) - share * total
    had = below + share * total
    high, above = np.inf, np.inf
    odds = share * (total - had) / max(had * (1 - share), 1e-300)
    at = min(float(np.log(MOST)), max(1e-3, float(np.log(max(odds, 1.0)))))
    for _ in range(TRIES):
        boosted = replace(problem, prior=problem.prior * np.where(recovery, np.exp(at), 1.0))
        x, start, more = _solved(boosted, feasible, start)
        rounds += more
        over = float(x[recovery].sum()) - share * total
        if abs(over) <= ENOUGH or (at >= np.log(MOST) and over < 0):
            break
        if over < 0:
            above = above / 2 if low > 0 else above
            low, below = at, over
        else:
            below = below / 2 if high < np.inf else below
            high, above = at, over
        at = min(2 * at, float(np.log(MOST))) if high == np.inf else low + (high - low) * below / (below - above)
    return x, float(np.exp(at)), rounds


def _solved(problem: Problem, feasible: bool, start: _Start) -> tuple[Float, _Start, int]:
    """(x float64[K], where the next problem may start, rounds)."""
    rounds, at = 0, start.at
    if feasible and start.fits:
        at, rounds, converged = _fitted(problem, unscaled(problem) if at is None else at)
        if converged:
            return filled(problem, at), _Start(at, True), rounds
    at, more = minimise(problem, feasible, at)
    return filled(problem, at), _Start(at, False), rounds + more


def _fitted(problem: Problem, start: Float) -> tuple[Float, int, bool]:
    """(logarithms of factors, rounds, converged): iterative proportional fitting within bounds."""
    left = len(problem.rows)
    prior = problem.prior * np.exp(start[-1])
    a, b = np.exp(start[:left]), np.exp(start[left:-1])
    converged, rounds = False, 0
    while not converged and rounds < ROUNDS:
        a = _factors(problem.row, prior * b[problem.column], problem.most, problem.rows, a)
        b = _factors(problem.column, prior * a[problem.row], problem.most, problem.columns, b)
        x = np.minimum(problem.most, prior * a[problem.row] * b[problem.column])
        rounds += 1
        converged = bool(
            np.abs(np.bincount(problem.row, weights=x) - problem.rows).max() <= TOLERANCE
            and np.abs(np.bincount(problem.column, weights=x) - problem.columns).max() <= TOLERANCE
        )
    return np.concatenate([np.log(a), np.log(b), start[-1:]]), rounds, converged


def _factors(label: Labels, prior: Float, most: Float, target: Float, start: Float) -> Float:
    """float64[I] > 0: f with sum over the cells of row i of min(most, f_i prior) = target_i, for every row at once.

    That sum is concave in f, so that Newton's method goes beyond no solution, and from below needs one step for each
    cell that gets full on the way, at most.
    """
    below = target / np.bincount(label, weights=prior)
    factor = np.maximum(start, below)
    for _ in range(STEPS):
        x = factor[label] * prior
        loose = np.bincount(label, weights=np.where(x < most, prior, 0.0))
        gap = target - np.bincount(label, weights=np.minimum(x, most))
        stuck = loose == 0  # all cells full: at its target, or beyond
        factor = np.where(stuck & (gap < 0), below, factor + np.where(stuck, 0.0, gap / np.where(stuck, 1.0, loose)))
        if (np.abs(gap) <= TOLERANCE / 1000 + 1e-13 * target)[~stuck].all() and not (stuck & (gap < 0)).any():
            break
    return np.asarray(factor)
