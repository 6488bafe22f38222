"""Which end of a gripper's range is closed: what each test of physics sees by itself, and what is never told wrong."""

from dataclasses import replace

import numpy as np
import pytest

from stages.ingest.inference.polarity import Episode, polarity
from tests.arms import FPS

SURE = 0.9


def seen(
    grip: np.ndarray, path: np.ndarray, command: np.ndarray | None = None, effort: np.ndarray | None = None
) -> Episode:
    return Episode(np.arange(len(grip)) / FPS, grip, path, command, effort)


def way(*legs: tuple[int, float, float]) -> np.ndarray:
    """float64[T, 1]: legs of (rows, from, to)."""
    return np.concatenate([np.linspace(a, b, n) for n, a, b in legs])[:, None]


STILL = way((200, 0.0, 0.0))
THERE = way(
    (10, 0, 0), (40, 0, 2), (30, 2, 2), (60, 2, -1), (30, -1, -1), (30, -1, 0)
)  # out, at work, over, at work, home
AT_WORK = np.r_[np.full(60, 1.0), np.full(100, 0.0), np.full(40, 1.0)]  # changes where the arm rests away from home


COMMAND = np.r_[np.full(60, 1.0), np.full(80, 0.0), np.full(60, 1.0)]
BLOCKED = np.where(COMMAND > 0.5, 1.0, 0.3)  # something is between the fingers


@pytest.mark.parametrize("turned", [False, True])
def test_fingers_stop_short_of_their_command_on_the_closed_side(turned):
    """By itself that is not enough: an open hand may reach its stop before a leader's does."""
    short = [seen(1 - BLOCKED if turned else BLOCKED, STILL, 1 - COMMAND if turned else COMMAND)] * 9
    high = polarity(short).high_is_open
    assert (0.1 < high < 0.2) if turned else (0.8 < high < 0.9)
    both = [replace(e, effort=np.where(COMMAND < 0.5, 3.0, 0.1)) for e in short]
    assert (polarity(both).high_is_open < 0.1) if turned else (polarity(both).high_is_open > 0.9)


@pytest.mark.parametrize("turned", [False, True])
def test_what_is_carried_between_two_places_of_work_is_held(turned):
    found = polarity([seen(1 - AT_WORK if turned else AT_WORK, THERE)] * 4)
    assert (found.high_is_open < 0.1) if turned else (found.high_is_open > 0.9)
    assert "4 of 4" in found.because[0] or "0 of 4" in found.because[0]


@pytest.mark.parametrize("turned", [False, True])
def test_a_hand_that_opens_before_the_arm_leaves_is_told_by_what_it_carries_later(turned):
    grip = np.r_[np.full(5, 0.0), np.full(60, 1.0), np.full(95, 0.1), np.full(40, 1.0)]
    found = polarity([seen(1 - grip if turned else grip, THERE)] * 5)
    assert (found.high_is_open < 0.1) if turned else (found.high_is_open > 0.9)


@pytest.mark.parametrize(
    "grip",
    [
        np.r_[np.full(5, 1.0), np.full(175, 0.0), np.full(20, 1.0)],  # closes at home, pushes, opens at home
        np.r_[np.full(60, 0.1), np.full(140, 1.0)],  # starts with a thing in its hand, lets go where it puts it
        np.r_[np.full(60, 0.1), np.full(135, 1.0), np.full(5, 0.0)],  # and makes a fist at home
        np.r_[np.full(5, 1.0), np.full(155, 0.1), np.full(40, 1.0)],  # is handed the thing at home
        np.r_[np.full(60, 0.0), np.full(10, 1.0), np.full(130, 0.1)],  # opens at the thing, takes it, keeps it
        np.r_[np.full(25, 0.0), np.full(40, 1.0), np.full(95, 0.1), np.full(40, 1.0)],  # opens on the way
    ],
)  # fmt: skip
@pytest.mark.parametrize("turned", [False, True])
def test_what_may_be_the_other_way_round_is_not_told_wrong(grip, turned):
    """Of people who press, push, hand over, begin in the middle: right or unknown, in any number of episodes."""
    high = polarity([seen(1 - grip if turned else grip, THERE)] * 50).high_is_open
    assert high > 0.1 if not turned else high < 0.9


def test_a_hand_that_holds_pushes_and_that_is_not_enough():
    effort = np.where(AT_WORK < 0.5, 3.0, 0.1)
    assert 0.8 < polarity([seen(AT_WORK, STILL, effort=effort)] * 40).high_is_open < 0.9


def test_fingers_curl_away_from_zero_and_a_share_of_a_range_does_not():
    assert 0.05 < polarity([], 1.6).high_is_open < 0.2  # it says something, and by itself too little
    assert 0.8 < polarity([], -1.6).high_is_open < 0.95
    assert [polarity([], reach).high_is_open for reach in (1.0, 57.3, 100.0)] == [0.5] * 3


@pytest.mark.parametrize(
    ("words", "high"),
    [
        (("left", "gripper", "width"), True),
        (("gripper", "closed"), False),
        (("open", "manipulator", "gripper"), None),
    ],
)
def test_a_name_that_says_how_far_the_gripper_is_open_is_believed(words, high):
    found = polarity([], words=words).high_is_open
    assert (found > SURE, found < 1 - SURE) == (high is True, high is False)


def test_where_nothing_is_seen_nothing_is_said():
    found = polarity([seen(AT_WORK, STILL)])
    assert (found.high_is_open, found.because) == (0.5, ())
