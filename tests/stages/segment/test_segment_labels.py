"""A person's span wins over its interval; what is left of the machine's still tiles and nests."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.episodes import Decided, Label
from schemas.events import EVENTS
from stages.segment import SegmentConfig
from stages.segment.labels import Placed, accept, impose, place
from stages.segment.stage import segmented
from tests.motions import pick_and_place, times

STARTS = np.arange(40) / 10  # 4 s
LEAST = {"L2": 0.8, "L1": 0.3, "L0": 0.1}
MACHINE = {"L2": np.array([20]), "L1": np.array([10, 20, 30]), "L0": np.array([5, 10, 20, 25, 30])}


def label(level: str, start: float, end: float, **more) -> Label:
    return Label(level, start, end, more.pop("text", "said"), **more)


def on_frames(*labels: Label) -> list[Placed]:
    return [place(one, STARTS, 4.0, None) for one in labels]


def imposed(*labels: Label) -> dict[str, list[int]]:
    accepted, refused = accept(on_frames(*labels), 40)
    assert not refused
    return {level: cuts.tolist() for level, cuts in impose(MACHINE, accepted, STARTS, 4.0, LEAST).items()}


def test_a_label_clips_the_machines_spans_of_its_level():
    assert imposed(label("L1", 0.7, 1.5))["L1"] == [7, 15, 20, 30]  # the cut at 10 is inside it


def test_the_machines_children_go_on_inside_a_label():
    assert imposed(label("L2", 0.8, 1.8)) == {
        "L3": [],
        "L2": [8, 18],
        "L1": [8, 18, 30],
        "L0": [5, 8, 10, 18, 20, 25, 30],
    }
    # the cuts of L2 at 20 and of L1 at 10 and 20 would leave 0.2 s, less than they may; to L0 that is a span


def test_a_coarser_boundary_inside_a_label_moves_to_its_nearer_edge():
    assert imposed(label("L1", 1.8, 2.5))["L2"] == [18]
    assert imposed(label("L1", 1.4, 2.2))["L2"] == [22]


def decided(start: float, end: float) -> Label:
    return Decided("L1", start, end, "", said_by="ada")


def test_a_label_in_whose_place_the_page_has_put_others_is_not_refused():
    given = [decided(1.0, 1.5), decided(1.5, 2.0), label("L1", 1.0, 2.0, said_by="labels.csv")]
    accepted, refused = accept(on_frames(*given), 40)
    assert [(p.start, p.end) for p in accepted["L1"]] == [(10, 15), (15, 20)]
    assert refused == []


def test_a_label_that_decisions_cover_in_part_is_told_whose_counts_for_more():
    given = [decided(1.0, 1.5), label("L1", 1.2, 2.0, said_by="labels.csv"), label("L1", 1.4, 1.6, said_by="b.csv")]
    _, refused = accept(on_frames(*given), 40)
    words = "it overlaps L1 1 to 1.5 seconds of ada, decided on the review page, which counts for more"
    assert [(one.said_by, why) for one, why in refused] == [("labels.csv", words), ("b.csv", words)]


def test_two_files_that_contradict_each_other_are_told_as_before():
    given = [label("L1", 1.0, 2.0, said_by="a.csv"), label("L1", 1.0, 2.0, said_by="b.csv")]
    _, refused = accept(on_frames(*given), 40)
    assert [(one.said_by, why) for one, why in refused] == [("b.csv", "it overlaps L1 1 to 2 seconds of a.csv")]


def test_frames_are_those_of_the_source():
    shown = np.arange(40) + 7  # the episode's first frame shows frame 7 of its video
    inside = place(label("L1", 10, 20, unit="frames"), STARTS, 4.0, shown)
    assert (inside.start, inside.end) == (3, 13)
    assert place(label("L1", 40, 99, unit="frames"), STARTS, 4.0, shown).end == 40


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        ([label("L1", 5.0, 6.0)], "no frame"),
        ([label("L1", 1.0, 2.0), label("L1", 1.5, 2.5)], "overlaps L1 1 to 2 seconds"),
        ([label("L0", 0.5, 1.5), label("L1", 1.0, 2.0)], "across the edge of L1 1 to 2 seconds"),
        ([label("L3", 0.0, 1.0), label("L2", 0.5, 1.5)], "across the edge of L3 0 to 1 seconds"),
    ],
)
def test_what_fits_nowhere_is_refused_with_a_reason(labels, why):
    accepted, refused = accept(on_frames(*labels), 40)
    assert len(refused) == 1
    assert why in refused[0][1]
    assert sum(map(len, accepted.values())) == len(labels) - 1


def events(labels, seconds=12.0):
    time = times(seconds, 30.0)
    alignment = {"time_s": time, "signal_time_s": time}
    return segmented("s/000000", pick_and_place(time, 1, rounds=1), alignment, labels, SegmentConfig())


def test_a_labelled_span_says_who_said_what():
    rows, refused = events([label("L1", 1.0, 2.5, text="fetch the cup", primitive="push")])
    assert not refused
    own = [r for r in rows if r["origin"] == "human"]
    assert [(r["level"], r["label"], r["primitive"], r["confidence"]) for r in own] == [
        ("L1", "fetch the cup", "push", 1.0)
    ]
    assert (own[0]["start_s"], own[0]["end_s"]) == pytest.approx((1.0, 2.5))
    assert own[0]["event_id"] == "s/000000/L1/0001000"
    assert next(e["kind"] for e in own[0]["evidence"] if e["edge"] == "start") == "human"


def test_a_long_recording_holds_several_tasks():
    """Two tasks that were named, and what lies between and after them; all finer spans lie in one of them."""
    rows, refused = events([label("L3", 0.0, 4.0, text="first"), label("L3", 5.0, 9.0, text="second")])
    assert not refused
    tasks = [(r["start_s"], r["end_s"], r["label"]) for r in rows if r["level"] == "L3"]
    assert tasks == [
        (0.0, pytest.approx(4.0), "first"),
        (pytest.approx(4.0), pytest.approx(5.0), None),
        (pytest.approx(5.0), pytest.approx(9.0), "second"),
        (pytest.approx(9.0), pytest.approx(12.0), None),
    ]
    EVENTS.build(rows)  # its laws raise


def test_a_label_that_covers_nearly_all_of_an_episode_is_its_task():
    rows, _ = events([label("L3", 0.1, 11.9, text="all of it")])
    assert [(r["start_s"], r["label"]) for r in rows if r["level"] == "L3"] == [(0.0, "all of it")]


@pytest.mark.parametrize("order", [1, -1])
def test_a_label_that_covers_nearly_all_leaves_another_its_place(order):
    rows, refused = events([label("L3", 0.0, 11.0, text="first"), label("L3", 11.0, 12.0, text="last")][::order])
    assert not refused
    assert [r["label"] for r in rows if r["level"] == "L3"] == ["first", "last"]


def test_a_label_for_an_arm_that_is_not_there_is_refused():
    _, refused = events([label("L1", 1.0, 2.0, track="left")])
    assert refused[0][1] == "the robot has no track left, only ['all']"


spans = st.tuples(
    st.sampled_from(["L3", "L2", "L1", "L0"]), st.floats(-1, 13, allow_nan=False), st.floats(0.01, 14, allow_nan=False)
)


@settings(max_examples=100)
@given(st.lists(spans, max_size=8))
def test_whatever_people_mark_spans_tile_and_nest(drawn):
    given_ = [label(level, start, start + length) for level, start, length in drawn]
    rows, refused = events(given_)
    EVENTS.build(rows)  # its laws raise
    human = [r for r in rows if r["origin"] == "human"]
    assert len(human) + len(refused) == len(given_)
