"""What a user must be told of a plan: what was asked and cannot be, and why a draw is less even than the recording.

In: wish, margins, fit, cuts. Out: sentences; none where all is as asked. A draw may be less even than the recording for
three reasons, in the order in which they come in: the targets ask for it (a tree that puts its branches first, or
shard.alpha near 1), both margins cannot be had at once (a cut), whole samples. The first at which a clustering's Gini
is above the recorded one is named. Recoveries and weights never are: they move samples within the margins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from stages.balance.cells import Float, Labels, Side, Wish
from stages.balance.feasibility import LEAST, Cut
from stages.balance.figures import gini
from stages.balance.raking import Raked
from stages.balance.result import Margin

SAME = 1e-9  # Gini: what float64 makes of equal tables


def notes(
    wish: Wish, vl: Margin, action: Margin, raked: Raked, recoveries: Sequence[float], cuts: Sequence[Cut]
) -> tuple[str, ...]:
    """Sentences for the user. recoveries: their share of recorded, wanted and drawn."""
    found = [cut.words(wish.max_repeats, wish.vl, wish.action) for cut in cuts]
    if cuts:
        moved = sum(float(np.abs(m.attainable - m.target).sum()) for m in (vl, action))
        found.append(
            f"the nearest margins that can be had are used: {moved / 2:.0f} of {wish.samples} samples lie in another "
            "cluster than was wanted, VL or action (fewer shard.samples, larger shard.max_repeats or shard.alpha "
            "nearer 1 would help)"
        )
    elif raked.residual > LEAST:
        found.append(f"the margins are met within {raked.residual:.3g} samples: the fit stopped there")
    found += _share(wish, recoveries, raked)
    found += _evenness("vl", wish, vl, bool(cuts))
    found += _evenness("action", wish, action, bool(cuts))
    return tuple(found)


def _share(wish: Wish, recoveries: Sequence[float], raked: Raked) -> Iterator[str]:
    recorded, wanted, drawn = recoveries
    if wish.samples and wish.recovery_share - wanted > 1 / wish.samples:
        why = "none is recorded" if recorded == 0 else "both margins and shard.max_repeats leave room for no more"
        yield (
            f"recoveries are {drawn:.2%} of the samples where shard.recovery_share={wish.recovery_share} asks for "
            f"{wish.recovery_share:.2%}: {why}"
        )


def _evenness(side: Side, wish: Wish, margin: Margin, cut: bool) -> Iterator[str]:
    """One sentence where the drawn margin is less even than the recorded one."""
    there = margin.recorded > 0
    before, target, attainable, drawn = (
        gini(np.asarray(counts, dtype=np.float64)[there])
        for counts in (margin.recorded, margin.target, margin.attainable, margin.drawn)
    )
    if drawn <= before + SAME:
        return
    own = wish.vl if side == "vl" else wish.action
    kind = "VL" if side == "vl" else "action"
    why = "rounding to whole samples"
    if target > before + SAME:
        why = (
            "the tree of clusters, whose branches are balanced first (shard.grouped=false balances all at once)"
            if own.tree
            else "the targets"
        )
    elif cut and attainable > before + SAME:
        why = "the margins of both clusterings cannot be met at once, so that the nearest to them are used"
    elif abs(target - before) <= SAME:
        shape = "shard.alpha=1" if wish.alpha == 1 else "shard.alpha and shard.max_repeats"
        if not _even(margin.recorded):
            why = f"{shape} ask{'s' if wish.alpha == 1 else ''} for the recorded proportions, which whole samples miss"
    yield f"the draw is less even over {kind} clusters than the recording (Gini {drawn:.4f}, was {before:.4f}): {why}"


def _even(recorded: Float | Labels) -> bool:
    present = recorded[recorded > 0]
    return bool(len(present) == 0 or present.min() == present.max())
