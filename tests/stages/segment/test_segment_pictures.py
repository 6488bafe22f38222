"""Rest that is none: the signals rest and the picture moves."""

import numpy as np
import pytest

from stages.segment import SegmentConfig
from stages.segment.stage import segmented
from tests.motions import path, stream, times

TIME = times(20.0, 10.0)
WHERE = path(
    TIME, np.array([[0.0, 0, 0.3], [0.3, 0, 0.3], [0.3, 0.3, 0.3]]), np.array([2.0, 14.0]), np.array([3.0, 3.0])
)
REST = (TIME > 4.8) & (TIME < 14.2)


def rest_of(pictures):
    """The L1 span in which the arm rests, between its two strokes at 2 to 5 s and 14 to 17 s."""
    alignment = {
        "time_s": TIME, "signal_time_s": TIME, "reference_camera": "top",
        "cameras": [{"name": name, "frame_index": list(range(len(TIME)))} for name in pictures],
    }  # fmt: skip
    seen = [{"camera": name, "motion": motion} for name, motion in pictures.items()]
    rows, _ = segmented("s/0", stream("position", "single", "m", TIME, WHERE), alignment, (), SegmentConfig(), seen)
    return next(r for r in rows if r["level"] == "L1" and r["start_s"] < 9 < r["end_s"])


STILL = np.full(len(TIME), 0.001) + 0.01 * ~REST
BUSY = np.full(len(TIME), 0.011)


@pytest.mark.parametrize(
    ("pictures", "primitive", "static"),
    [
        ({}, "idle", True),
        ({"top": STILL}, "idle", True),
        ({"top": BUSY}, "unknown", False),
        ({"top": STILL, "wrist": BUSY}, "unknown", False),  # one camera that sees it is enough
        ({"top": np.full(len(TIME), 0.0004)}, "idle", True),  # nothing to see at all: noise
    ],
)
def test_what_moves_in_the_picture_while_signals_rest_is_unknown(pictures, primitive, static):
    row = rest_of(pictures)
    assert (row["primitive"], row["static"]) == (primitive, static)


def test_a_picture_that_is_busy_at_the_edges_of_a_rest_alone_says_nothing():
    edges = STILL.copy()
    edges[(TIME > 5) & (TIME < 5.4)] = 0.05
    row = rest_of({"top": edges})
    assert row["static"]
