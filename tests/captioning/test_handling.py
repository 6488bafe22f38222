"""Which thing an action is about, and when it is best seen, on timelines written by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.caption.vlm.handling import clearest, handlings, moments, several


def actions(*said: str) -> list[dict]:
    """One action of a second (10 frames) each: "grasp", "move+" (something is held), "grasp!missed_grasp"."""
    found = []
    for number, word in enumerate(said):
        primitive, _, recovery = word.partition("!")
        found.append(
            {
                "primitive": primitive.rstrip("+"), "holds": ["single"] if "+" in primitive else [],
                "recovery": recovery or None, "start_frame": 10 * number, "end_frame": 10 * (number + 1),
                "start_s": float(number), "end_s": number + 1.0, "evidence": [],
            }
        )  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        (("reach", "grasp", "move+", "release", "retract"), [(0, 4)]),
        (("reach", "grasp", "move+", "release", "reach", "grasp", "move+", "release"), [(0, 3), (4, 7)]),
        (("reach", "grasp!missed_grasp", "open!reopen", "reach", "grasp", "move+", "release"), [(0, 6)]),
        (("reach", "push", "retract"), [(0, 2)]),
        (("reach", "press", "retract", "reach", "press", "retract"), [(0, 2), (3, 5)]),
        (("open", "reach", "grasp", "move+", "release"), [(0, 4)]),  # nothing was held: nothing was let go
        (("reach", "press", "reach", "press"), [(0, 1), (2, 3)]),
        (("grasp", "handover", "release", "align+", "place+"), [(0, 4)]),  # never while something is carried
        (("idle",), [(0, 0)]),
        ((), []),
    ],
)
def test_a_handling_ends_with_what_it_has_let_go_of(said, parts):
    assert [(h.first, h.last) for h in handlings(actions(*said))] == parts


def test_a_thing_is_best_seen_before_at_and_after_it_is_taken():
    own = actions("reach", "grasp", "lift+", "release")
    assert clearest(own, handlings(own)[0]) == [
        0,
        10,
        25,
    ]  # before anything, as fingers close, in the middle of the lift


def test_a_missed_grasp_is_not_when_a_thing_is_taken():
    own = actions("reach", "grasp!missed_grasp", "open!reopen", "reach", "grasp", "lift+", "release")
    assert clearest(own, handlings(own)[0]) == [0, 40, 55]


def test_two_arms_with_a_thing_each_have_no_name_in_common():
    own = actions("reach", "grasp", "reach", "grasp", "move+")
    for event, arm in zip(own, ("left", "left", "right", "right", "left"), strict=True):
        event["arms"] = [arm]
    (one,) = handlings(own)
    assert several(own, one)
    own[3]["arms"] = ["left"]
    assert not several(own, one)


def test_what_is_worked_on_is_seen_while_it_is():
    own = actions("reach", "push", "retract")
    assert clearest(own, handlings(own)[0]) == [0, 10, 15]


def event(start: int, end: int, *causes: tuple[float, float]) -> dict:
    evidence = [{"time_s": t, "strength": s} for t, s in causes]
    return {"start_frame": start, "end_frame": end, "evidence": evidence}


TIMES = [k / 10 for k in range(100)]


def test_moments_are_the_ends_and_the_strongest_cause_between():
    assert moments(event(10, 30, (1.0, 0.9), (1.8, 0.4), (2.2, 0.6)), 3, TIMES) == [10, 22, 29]
    assert moments(event(10, 30), 3, TIMES) == [10, 16, 29]  # no cause inside: evenly
    assert moments(event(10, 30), 1, TIMES) == [10]
    assert moments(event(10, 11), 3, TIMES) == [10]


@given(
    st.integers(0, 60),
    st.integers(1, 30),
    st.integers(1, 6),
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 1)), max_size=6),
)
def test_moments_lie_inside_in_order_and_are_few(start, length, most, causes):
    found = moments(event(start, start + length, *causes), most, TIMES)
    assert 1 <= len(found) <= most
    assert found == sorted(set(found))
    assert all(start <= f < start + length for f in found)
