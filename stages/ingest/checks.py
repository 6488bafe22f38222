"""Checks of a log's numbers: finite, in order of time, without a hole.

In: a stream as it was logged. Out: the same. Raises Quarantined with a reason code and a message that says file, field,
found, expected.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from schemas.reasons import Evidence, Quarantined, Reason
from stages.seconds import step_of

Float = npt.NDArray[np.float64]
MOST = 1e15  # no signal is larger, and the square of this one is still a float32
LEAST_STEP_S = 1e-7  # between two rows


def finite(values: Float, column: str, where: str) -> Float:
    """float64[T, D]. Raises Quarantined where a value is not finite, or larger than any signal."""
    bad = ~(np.abs(values) <= MOST)
    if bad.any():
        row, index = (int(i) for i in np.argwhere(bad)[0])
        raise Quarantined(
            Reason.NOT_FINITE,
            f"{where}: column {column}[{index}] is {values[row, index]} at row {row}, {int(bad.sum())} such values; "
            f"finite numbers are expected, at most {MOST:g}",
            evidence=Evidence.around(row, {f"{column}[{index}]": values[:, index].tolist()}),
        )
    return values


def in_order(time: Float, max_gap_s: float, where: str, column: str = "timestamp") -> Float:
    """float64[T], s. Raises Quarantined where times repeat, go back, or leave a hole longer than max_gap_s."""
    if not len(time):
        raise Quarantined(Reason.EMPTY_EPISODE, f"{where}: column {column} has no row")
    finite(time[:, None], column, where)
    steps = np.diff(time)

    def shown(row: int) -> Evidence:
        return Evidence.around(row, {f"{column}, s": time.tolist()})

    if (steps < 0).any():
        row = int(np.argmax(steps < 0)) + 1
        raise Quarantined(
            Reason.TIME_NOT_INCREASING,
            f"{where}: column {column} is {time[row]:.4f} s at row {row} and {time[row - 1]:.4f} s at the row before "
            f"it, {int((steps < 0).sum())} steps back; it is expected to increase",
            evidence=shown(row),
        )
    if (steps < LEAST_STEP_S).any():
        row = int(np.argmax(steps < LEAST_STEP_S)) + 1
        raise Quarantined(
            Reason.TIME_REPEATS,
            f"{where}: column {column} is {time[row]:.4f} s at rows {row - 1} and {row}, "
            f"{int((steps < LEAST_STEP_S).sum())} repeats; it is expected to increase",
            evidence=shown(row),
        )
    if steps.size and steps.max() > max_gap_s + step_of(time):
        row = int(np.argmax(steps)) + 1
        raise Quarantined(
            Reason.TIME_GAP,
            f"{where}: column {column} jumps by {steps.max():.2f} s between rows {row - 1} and {row}, "
            f"ingest.max_gap_s allows {max_gap_s} s",
            evidence=shown(row),
        )
    return time
