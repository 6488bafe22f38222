"""The scores of `make bench-segment`, worked out by hand, and its baselines on an episode that is easy to read."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from tests.benchmarks.segmentation import baselines, scores, table, truth
from tests.benchmarks.segmentation.baselines import Episode
from tests.motions import path, times


def test_boundaries_are_matched_one_to_one():
    assert scores.boundaries([1.0, 1.2], [1.1], 0.5) == scores.Counts(1, 2, 1)
    assert scores.boundaries([1.0, 2.0], [1.4, 2.6], 0.5) == scores.Counts(1, 2, 2)
    assert scores.boundaries([1.0, 1.9], [1.4, 1.5], 0.5) == scores.Counts(
        2, 2, 2
    )  # the first must not take the second's


def test_spans_are_matched_by_their_overlap():
    true = [(0.0, 4.0), (4.0, 5.0)]
    assert scores.segments([(0.0, 3.0), (3.0, 5.0)], true, 0.75) == scores.Counts(1, 2, 2)  # 3/4, and 1/2
    assert scores.segments([(0.0, 3.0), (3.0, 5.0)], true, 0.5) == scores.Counts(2, 2, 2)
    assert scores.segments([(0.0, 2.0), (2.0, 4.0)], true, 0.5) == scores.Counts(
        1, 2, 2
    )  # two halves take one whole once


def test_figures_of_counts():
    counts = scores.Counts(hits=6, predicted=8, true=12)
    assert (counts.precision, counts.recall, counts.f1) == (0.75, 0.5, 0.6)
    assert counts.ratio == pytest.approx(2 / 3)
    # missed 1/2, surplus -1/3: 1 - (hypot(1/2, 1/3) + (1/2 - 1/3) / sqrt 2) / 2
    assert counts.r_value == pytest.approx(1 - (0.6009252 + 0.1178511) / 2)
    assert scores.Counts(3, 3, 3).r_value == 1.0


def test_an_interval_holds_its_figure_and_is_a_point_where_all_episodes_agree():
    low, high = scores.interval([scores.Counts(1, 2, 2)] * 5, lambda c: c.f1)
    assert (low, high) == (0.5, 0.5)
    low, high = scores.interval([scores.Counts(0, 2, 2), scores.Counts(2, 2, 2)] * 5, lambda c: c.f1)
    assert low < 0.5 < high


def test_a_truth_that_leaves_gaps_has_boundaries_at_both_ends_of_its_spans():
    assert table.Truth(0.0, 9.0, [(0.0, 2.0), (2.0, 3.0), (5.0, 9.0)]).boundaries == [2.0, 3.0, 5.0]


def test_held_out_tasks_are_half_and_share_none_with_the_others():
    held, others = truth.sample_tasks(True), truth.sample_tasks(False)
    assert len(held) == len(others) == 7
    assert not set(held) & set(others)


@pytest.fixture
def episode():
    """Right from 1 to 3 s, up from 4 to 6 s; the gripper closes at 3.5 s."""
    time = times(8.0, 20.0)
    moved = path(time, np.array([[0.0, 0, 0], [0.4, 0, 0], [0.4, 0, 0.4]]), np.array([1.0, 4.0]), np.array([2.0, 2.0]))
    return Episode("s/000000", time, moved, (time < 3.5).astype(float)[:, None], 8.0)


@pytest.mark.parametrize("name", [n for n in baselines.BASELINES if not n.startswith("uniform")])
def test_baselines_find_what_is_plain(episode, name):
    found = baselines.BASELINES[name](episode)
    assert found == sorted(found)
    assert any(2.7 <= t <= 4.3 for t in found), found
    assert all(0 < t < 8 for t in found)


def test_uniform_and_told_baselines(episode):
    assert baselines.uniform(2.0)(episode) == pytest.approx([2.0, 4.0, 6.0])
    assert len(baselines.kernel_cpd(episode, 3)) == 3


def test_any_events_table_is_scored_against_any_truth(tmp_path):
    events = pl.DataFrame(
        [
            ("a/000000", level, "all", s, e)
            for level, cuts in (("L1", [0, 2, 6, 10]), ("L0", [0, 1, 2, 6, 8, 10]))
            for s, e in pairwise(cuts)
        ],
        schema={
            "episode_id": pl.String,
            "level": pl.String,
            "track": pl.String,
            "start_s": pl.Float64,
            "end_s": pl.Float64,
        },
        orient="row",
    )
    events.write_parquet(tmp_path / "e.parquet")
    (tmp_path / "t.csv").write_text(
        "episode_id,level,start_s,end_s,caption\na/000000,L2,0,2.2,x\na/000000,L2,2.2,6.1,y\na/000000,L2,6.1,10,z\n"
    )
    words = ["--events", f"{tmp_path}/e.parquet", "--truth", f"{tmp_path}/t.csv"]
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.segmentation.bench", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "| L1 | 1.00 | **1.000** [1.00, 1.00] | 1.00, 1.00 |" in run.stdout
    assert "Nearest in number: L1." in run.stdout
