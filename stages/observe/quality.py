"""Whether a picture is one: black, blank, over-exposed; and how sharp it is.

In: the luma plane of a proxy frame, limited range (16 black to 235 white). Out: bits of `Quality`, a sharpness. What
only time can tell (a stream that stands still while the arm moves, frames that repeat, blur against the camera's own
sharp pictures) is told in align, which knows the arm.
"""

from __future__ import annotations

from enum import IntFlag

import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8]
STRIDE = 4  # px: every fourth one of every fourth row says enough
DARK, WHITE = 28, 230  # luma: nothing can be seen below, nothing above
ALL, MOST = 0.98, 0.7  # shares of the pixels
FLAT = 6  # range of the luma up to which a picture shows nothing


class Quality(IntFlag):
    """What is wrong with a picture."""

    FINE = 0
    BLACK = 1
    BLANK = 2  # one shade all over: a dead feed in blue, green or grey
    OVEREXPOSED = 4


def judge(luma: Grey) -> Quality:
    """Of one picture."""
    some = luma[::STRIDE, ::STRIDE]
    if np.count_nonzero(some <= DARK) >= ALL * some.size:
        return Quality.BLACK
    if np.count_nonzero(some >= WHITE) >= MOST * some.size:
        return Quality.OVEREXPOSED
    return Quality.BLANK if int(some.max()) - int(some.min()) <= FLAT else Quality.FINE


def sharpness(luma: Grey) -> float:
    """Mean step from a pixel to the next in its row, luma."""
    rows = luma[::STRIDE].astype(np.int16)
    return float(np.abs(rows[:, 1:] - rows[:, :-1]).mean())
