"""Names are what sets a cluster's captions apart; drift is told where events have moved from what was fitted."""

import numpy as np
import polars as pl
import pytest

from stages.cluster.model import Clustering, Projection
from stages.cluster.naming import CENTRAL, READ, central, drift, named

SAID = {
    0: ["The arm lifts the red cup.", "The arm lifts the red mug."],
    1: ["The arm opens the drawer.", "The arm opens the drawer again."],
    2: ["The arm rests.", "The arm rests."],
}


def corpus() -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = [(f"e{c}{i}", c, float(i), text) for c, texts in SAID.items() for i, text in enumerate(texts)]
    frame = pl.DataFrame(rows, schema=["event_id", "cluster", "distance", "text"], orient="row")
    return frame.drop("text"), frame.select("event_id", "text")


def test_a_name_has_the_words_that_others_lack():
    labels, texts = corpus()
    names = dict(named(central(labels), texts).select("cluster", "name").iter_rows())
    assert "red" in names[0]
    assert "drawer" in names[1]
    assert "rests" in names[2]
    assert all("the" not in name.split() for name in names.values())


def test_the_events_that_stand_for_a_cluster_are_the_most_central():
    labels = pl.DataFrame(
        {"event_id": [f"e{i:04d}" for i in range(READ + 9)], "cluster": 0, "distance": np.arange(READ + 9)[::-1] * 1.0}
    )
    near = central(labels)
    assert near.height == READ
    found = named(near, pl.DataFrame(schema={"event_id": pl.String, "text": pl.String}))
    assert found["central"].to_list() == [[f"e{READ + 8 - i:04d}" for i in range(CENTRAL)]]
    assert found["name"].to_list() == [""]  # nobody has said anything


@pytest.mark.parametrize("words", ["拿起红色的杯子", "¿?", ""])
def test_captions_in_any_script_are_no_error(words):
    labels = pl.DataFrame({"event_id": ["a"], "cluster": [0], "distance": [0.0]})
    assert named(labels, pl.DataFrame({"event_id": ["a"], "text": [words]})).height == 1


def test_drift_by_hand():
    """Fitted on 9 and 9 events at a mean distance of 2; now 9 and 27 at 3: shares of 9.5 / 37 and 27.5 / 37 against a
    half each."""
    projection = Projection(np.zeros(1, np.float32), np.eye(1, dtype=np.float32))
    fitted = Clustering(
        projection,
        np.zeros((2, 1), np.float32),
        np.zeros(2, np.int32),
        np.array([9, 9]),
        np.array([2.0, 2.0], np.float32),
    )
    labels = pl.DataFrame({"cluster": [0] * 9 + [1] * 27, "distance": [3.0] * 36})
    p = np.array([9.5, 27.5]) / 37
    told = drift(labels, fitted)
    assert told["stability"] == pytest.approx(float(((p - 0.5) * np.log(p / 0.5)).sum()), abs=1e-6)
    assert told["distance"] == 1.5
    same = pl.DataFrame({"cluster": [0] * 9 + [1] * 9, "distance": [2.0] * 18})
    assert drift(same, fitted) == {"stability": 0.0, "distance": 1.0}
