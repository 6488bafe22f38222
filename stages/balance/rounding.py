"""From fractions to whole samples, margins and all: controlled rounding (Cox 1987; Causey, Cox and Ernst 1985).

In: wanted samples of each cell. Out: copies of each cell, floor or ceiling of what its pair is wanted, rows and columns
floor or ceiling of theirs, the whole exactly N. Which pairs are rounded up is a linear program over the fractional ones
(a network: its vertices are whole numbers, and the fractions themselves show that there is one). A pair costs its
permanent random number less its fraction: alone, it would be rounded up where its fraction is the larger, as in Poisson
sampling, so that a table that moves little is rounded much the same; the margins shift that by a price a cluster.
"""

from __future__ import annotations

import numpy as np
import scipy

from stages.balance.cells import Float, Labels, Pairs, derived

WHOLE = 1e-5  # a pair so near a whole number is that number,
WHOLE_MARGIN = 1e-4  # and a row or column,
IN_ALL = 0.1  # all of them together by no more samples, so that a solution remains
UNITS = 10**7  # a sample, where running sums are counted in whole units
SHY = 1e-3  # recoveries: a sum that falls short of a whole number by less is that number
FAVOURS = (0.0, 0.5, 1.0, 2.0, 4.0)  # of pairs of recoveries, as long as too few of them are rounded up
SPLIT, CLASSES = 1, 2  # purposes of permanent random numbers


def rounded(pairs: Pairs, wanted: Float, max_repeats: int, samples: int) -> Labels:
    """int64[K]: copies of each cell in the order of `Pairs`, 0 <= copies <= max_repeats * n, sum `samples`.

    wanted: float64[K] of that sum, within those bounds. Recoveries come within a sample of what is wanted of them
    wherever the pairs that hold both kinds leave room; weights within a pair are met in the mean.
    """
    own = pairs.cells
    most = max_repeats * own.n
    one, other = (pairs.sums(np.where(own.recovery == kind, wanted, 0.0)) for kind in (True, False))
    room_one, room_other = (
        pairs.sums(np.where(own.recovery == kind, most, 0)).astype(np.int64) for kind in (True, False)
    )
    goal = int(np.ceil(float(one.sum()) - SHY))
    part = one / np.maximum(one + other, np.finfo(float).tiny)
    for favour in FAVOURS:
        of_pair = controlled(pairs.vl, pairs.action, one + other, samples, pairs.u - favour * part)
        recoveries = divided(one, other, room_one, room_other, of_pair, goal, derived(pairs.u, SPLIT))
        if recoveries.sum() >= goal - 1:
            break
    kind = pairs.of * 2 + own.recovery
    of_kind = np.stack([of_pair - recoveries, recoveries], axis=1).ravel()
    start = np.repeat(derived(pairs.u, CLASSES), 2)
    return systematic(kind, wanted, most, of_kind, start)


def controlled(row: Labels, column: Labels, x: Float, samples: int, u: Float) -> Labels:
    """int64[P]: floor or ceiling of each x, sums of rows and of columns floor or ceiling of theirs, `samples` in all.

    row, column: int64[P], each combination once; u: float64[P], permanent random numbers.
    """
    near = np.rint(x)
    exact = np.abs(x - near) <= min(WHOLE, IN_ALL / max(1, len(x)))
    base = np.where(exact, near, np.floor(x))
    fraction = np.where(exact, 0.0, x - base)
    loose = np.flatnonzero(~exact)
    whole = base.astype(np.int64)
    if not len(loose):
        return whole
    left, right = int(row.max()) + 1, int(column.max()) + 1
    margin = np.concatenate([np.bincount(row, weights=x), np.bincount(column, weights=x)])
    given = np.concatenate([np.bincount(row, weights=base), np.bincount(column, weights=base)])
    which = np.concatenate([row[loose], left + column[loose], np.full(len(loose), left + right)])
    entries = (np.ones(3 * len(loose)), (which, np.tile(np.arange(len(loose)), 3)))
    sums = scipy.sparse.csr_array(entries, shape=(left + right + 1, len(loose)))
    for slack in (
        min(WHOLE_MARGIN, IN_ALL / len(margin)),
        0.0,
        -1.0,
    ):  # the last: a float64 too far off what it should be
        low = np.append(np.floor(margin + slack) - given, samples - base.sum())
        high = np.append(np.ceil(margin - slack) - given, samples - base.sum())
        within = scipy.optimize.LinearConstraint(sums, low, high)
        bounds = scipy.optimize.Bounds(0, 1)
        result = scipy.optimize.milp(u[loose] - fraction[loose], constraints=within, bounds=bounds)
        if result.x is not None:
            whole[loose] += np.rint(result.x).astype(np.int64)
            return whole
    raise ValueError(f"no rounding of a table of {x.sum():.6f} to {samples} samples: {result.message}")


def divided(
    one: Float, other: Float, most_one: Labels, most_other: Labels, total: Labels, goal: int, u: Float
) -> Labels:
    """int64[P]: how many of each `total` are of the first kind; their sum is `goal`, as near as floors and ceilings go.

    one, other: float64[P], wanted of both kinds; most_one, most_other: int64[P], bounds. Each is floor or ceiling of
    its part of `total`; rounded up are those whose fraction is most above their permanent random number.
    """
    part = _fitted(one, most_one, one + other, most_one + most_other, total)
    near = np.rint(part)
    whole = np.abs(part - near) <= WHOLE
    low = np.where(whole, near, np.floor(part)).astype(np.int64)
    loose = np.flatnonzero(~whole)
    ranked = loose[np.argsort(u[loose] - (part - low)[loose], kind="stable")]
    low[ranked[: max(0, goal - int(low.sum()))]] += 1
    return low


def systematic(group: Labels, wanted: Float, most: Labels, total: Labels, start: Float) -> Labels:
    """int64[K]: parts of the whole `total` of each group, each floor or ceiling of its share, none beyond `most`.

    group: int64[K] ascending; total: int64[G]; start: float64[G] in [0, 1): the running sum within a group is counted
    from there, which rounds each part up as often as its fraction says, over groups (largest remainders would never
    take a class that is small in each of many pairs).
    """
    groups = len(total)
    held = np.bincount(group, weights=wanted, minlength=groups)
    room = np.bincount(group, weights=most, minlength=groups)
    part = _fitted(wanted, most, held[group], room[group], total[group])
    steps = np.rint(part * UNITS).astype(np.int64)  # whole units, so that what is whole stays so
    run = np.cumsum(steps)
    first = np.diff(group, prepend=-1) > 0
    before = np.maximum.accumulate(np.where(first, run - steps, 0))
    count = (run - before + np.floor(start[group] * UNITS).astype(np.int64)) // UNITS
    last = np.append(first[1:], True)[: len(group)]
    count = np.where(last, total[group], np.minimum(count, total[group]))
    parts = np.where(first, count, np.diff(count, prepend=0)).astype(np.int64)
    for over in np.flatnonzero(parts > most):  # by a unit of rounding, about never
        room_left = np.flatnonzero((group == group[over]) & (parts < most))
        parts[room_left[0]] += 1
        parts[over] -= 1
    return parts


def _fitted(wanted: Float, most: Labels, held: Float | Labels, room: Float | Labels, total: Labels) -> Float:
    """Parts of a group with the sum `total` instead of `held`: all less in proportion, or all nearer their bounds."""
    short = total - held
    less = wanted * np.where(held > 0, total / np.where(held > 0, held, 1.0), 0.0)
    space = room - held
    more = wanted + (most - wanted) * np.where(space > 0, short / np.where(space > 0, space, 1.0), 0.0)
    return np.asarray(np.clip(np.where(short > 0, more, less), 0.0, most))
