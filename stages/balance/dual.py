"""Wanted samples where proportional fitting does not get there: Newton's method on the dual.

In: a `Problem`, infeasible or hardly feasible. Out: the x within its bounds, of the demanded sum, that minimises

    KL(x || prior) + L (KL(rows of x || rows) + KL(columns of x || columns))

with a large L. Margins give way by just what they must, each by a fraction that grows with how hard it is to meet:
those that compete for the same events share what is missing (a linear program leaves it to a few of them, others each
time the table changes). The solution is unique and moves little when the table does. Soft margins: Chizat et al. 2018,
"Scaling algorithms for unbalanced optimal transport problems". The dual has a variable a cluster and is convex;
proportional fitting takes rounds in proportion to L, Newton's method with a line search some tens of steps, L raised by
tens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from stages.balance.cells import Float, Labels

FIRM = 1e9  # L where the margins can be met: they are, within 1e-9 of themselves for each e that a factor is off 1
GIVING = 1e6  # L where they cannot: logarithms of factors grow with it, and float64 tells them apart no farther
NEAR = 30  # steps from a start that should be near
STEPS = 200  # of Newton's method for each L
TOLERANCE = 1e-5  # samples, largest slope of the dual
HALVINGS = 60
FLAT = 1e-10  # curvature that is added, in margins: steps are then no longer than HALVINGS bring back


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Cells of I x J clusters: row, column int64[K]; prior, most float64[K] > 0, weight before the factors and bound;
    rows float64[I] > 0 and columns float64[J] > 0, of the same sum: the margins that are wanted."""

    row: Labels
    column: Labels
    prior: Float
    most: Float
    rows: Float
    columns: Float


def minimise(problem: Problem, feasible: bool, start: Float | None) -> tuple[Float, int]:
    """(logarithms of the factors float64[I + J + 1], Newton steps).

    feasible: whether the margins can be met; start: such logarithms, of this problem or one like it.
    """
    last = FIRM if feasible else GIVING
    steps = 0
    if start is not None:
        at, steps, done = _newton(problem, start, last, NEAR)
        if done:
            return at, steps
    at = before = unscaled(problem)
    stiff = 1.0
    while stiff <= last:
        # where margins give way, logarithms grow with L: the next ones lie on the line through the last two
        guess = at + (at - before) * 10 if stiff > 1 else at
        if _dual(problem, at, stiff)[0] < _dual(problem, guess, stiff)[0]:
            guess = at
        found, more, done = _newton(problem, guess, stiff, STEPS)
        steps += more
        if not done and stiff > 1:
            break  # margins then give way a little more than they must
        before, at = at, found
        stiff *= 10
    return at, steps


def unscaled(problem: Problem) -> Float:
    """Logarithms float64[I + J + 1] of factors that leave the prior as it is, but for its sum."""
    at = np.zeros(len(problem.rows) + len(problem.columns) + 1)
    at[-1] = np.log(problem.rows.sum() / problem.prior.sum())
    return at


def filled(problem: Problem, at: Float) -> Float:
    """x float64[K] = min(most, factors * prior)."""
    row, column = at[: len(problem.rows)], at[len(problem.rows) : -1]
    log = np.log(problem.prior) + row[problem.row] + column[problem.column] + at[-1]
    return np.asarray(np.exp(np.minimum(log, np.log(problem.most))))


def _newton(problem: Problem, at: Float, stiff: float, most: int) -> tuple[Float, int, bool]:
    """(logarithms, steps, whether they converged)."""
    value, slope, curve = _dual(problem, at, stiff)
    for step in range(most):
        if np.abs(slope).max() <= TOLERANCE:
            return at, step, True
        along = _solved(curve, -slope)
        length = 1.0
        for _ in range(HALVINGS):
            ahead = _dual(problem, at + length * along, stiff)
            flat = ahead[0] <= value + 1e-12 * abs(value) and np.abs(ahead[1]).max() <= np.abs(slope).max() / 2
            if flat or ahead[0] <= value + 1e-4 * length * float(slope @ along):
                break
            length /= 2
        else:
            return at, step, False  # as far as float64 tells values apart
        at = at + length * along
        value, slope, curve = ahead
    return at, most, False


def _dual(problem: Problem, at: Float, stiff: float) -> tuple[float, Float, Float]:
    """(value, slope float64[V], curvature float64[V, V]) of the dual, V = I + J + 1."""
    left, right = len(problem.rows), len(problem.columns)
    row, column = at[:left], at[left:-1]
    over = np.log(problem.prior) + row[problem.row] + column[problem.column] + at[-1] - np.log(problem.most)
    full = over >= 0
    x = problem.most * np.exp(np.minimum(over, 0.0))
    total = float(problem.rows.sum())
    with np.errstate(over="ignore"):  # a step too long: its value is then infinite, and the search takes less of it
        give_rows, give_columns = np.expm1(-row / stiff), np.expm1(-column / stiff)
        soft_rows, soft_columns = problem.rows * (1 + give_rows), problem.columns * (1 + give_columns)
        value = float((x + problem.most * np.maximum(over, 0.0)).sum()) - total * at[-1]
        value += stiff * float(np.dot(problem.rows, give_rows) + np.dot(problem.columns, give_columns))
    slope = np.concatenate(
        [
            np.bincount(problem.row, weights=x, minlength=left) - soft_rows,
            np.bincount(problem.column, weights=x, minlength=right) - soft_columns,
            [x.sum() - total],
        ]
    )
    loose = np.where(full, 0.0, x)
    curve = np.zeros((len(at), len(at)))
    block = np.bincount(problem.row * right + problem.column, weights=loose, minlength=left * right)
    curve[:left, left:-1] = block.reshape(left, right)
    curve[:left, -1] = np.bincount(problem.row, weights=loose, minlength=left)
    curve[left:-1, -1] = np.bincount(problem.column, weights=loose, minlength=right)
    curve += curve.T
    flat = FLAT * np.append(np.concatenate([problem.rows, problem.columns]), total)  # where all cells are full
    soft = np.append(np.concatenate([soft_rows, soft_columns]) / stiff, 0.0)
    curve[np.arange(len(at)), np.arange(len(at))] = np.append(curve[:-1, -1], loose.sum()) + soft + flat
    return value, slope, curve


def _solved(curve: Float, slope: Float) -> Float:
    """curve^-1 slope, with as much added to the diagonal as it takes to be positive definite."""
    scale = 1 / np.sqrt(np.maximum(np.diag(curve), 1e-300))
    scaled = curve * scale[:, None] * scale
    ridge = 0.0
    while True:
        try:
            factor = scipy.linalg.cho_factor(scaled + ridge * np.eye(len(scaled)), check_finite=False)
            return np.asarray(scale * scipy.linalg.cho_solve(factor, scale * slope, check_finite=False))
        except scipy.linalg.LinAlgError:
            ridge = max(1e-14, ridge * 100)
