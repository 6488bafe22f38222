"""Whether two robots lie in one dataset, padded to the width of the wider one.

In: a probe of the state. Out: what shows it, or nothing. Values that are exactly zero all through some episodes, and
move in others, are padding: an arm that rests logs its noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stages.ingest.probe import Probe

PADDED = 3  # values that are zero in some episodes and move in others


def padded(columns: Sequence[str], probe: Probe) -> str | None:
    """What to tell, or None."""
    for column in columns:
        episodes = [e for e in probe.values(column) if len(e)]
        if len(episodes) < 2:
            continue
        zero = np.array([(e == 0).all(axis=0) for e in episodes])
        moves = np.array([np.ptp(e, axis=0) > 0 for e in episodes])
        mixed = zero.any(axis=0) & moves.any(axis=0)
        lacking = (zero & mixed).sum(axis=1) >= PADDED
        if lacking.any() and not lacking.all():
            lost = int(lacking.sum())
            return (
                f"{int(mixed.sum())} of {zero.shape[1]} values of {column} are zero all through {lost} of the "
                f"{len(episodes)} episodes looked at, and move in the others"
            )
    return None
