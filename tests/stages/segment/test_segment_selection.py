"""The chosen boundaries are the best there are: held against every possible choice."""

from itertools import combinations, pairwise
from math import log

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stages.seconds import ROUNDING_S
from stages.segment.boundaries.selection import HASTE, Nodes, choose, nodes_of
from stages.segment.evidence.candidates import KIND, Evidence

TIMES = np.arange(40) / 10  # 4 s


def nodes(strengths: dict[int, float]) -> Nodes:
    frame = np.array(sorted(strengths), dtype=np.int64)
    strength = np.array([strengths[f] for f in frame])
    return Nodes(frame, TIMES[frame], strength, np.arange(len(frame) + 1))


def worth(chosen, strengths, forced, asked, usual):
    edges = [0.0, *TIMES[list(chosen)], 4.0]
    gain = sum(strengths.get(f, asked) - asked for f in chosen if strengths.get(f, asked) > asked or f in forced)
    return gain - sum(HASTE * max(0.0, log(usual / (b - a))) ** 2 for a, b in pairwise(edges))


@settings(max_examples=200)
@example(strengths={1: 1.0, 2: 1.0, 3: 1.0, 32: 0.3125}, least=0.8, usual=0.5, forced_at=None)  # 4.0 - 3.2 < 0.8
@given(
    strengths=st.dictionaries(st.integers(1, 39), st.floats(0.01, 1.0), max_size=9),
    least=st.sampled_from([0.1, 0.3, 0.8]),
    usual=st.sampled_from([0.5, 1.5]),
    forced_at=st.none() | st.integers(0, 8),
)
def test_no_other_choice_is_worth_more(strengths, least, usual, forced_at):
    asked = 0.3
    apart = [f for f in sorted(strengths) if TIMES[f] >= least and 4.0 - TIMES[f] >= least]
    forced = () if forced_at is None or not apart else (apart[forced_at % len(apart)],)
    chosen = choose(nodes(strengths), forced, TIMES, 4.0, asked, least, usual).tolist()
    edges = np.array([0.0, *TIMES[chosen], 4.0])
    assert np.diff(edges).min() >= least - ROUNDING_S
    assert set(forced) <= set(chosen)
    usable = [f for f in sorted(strengths) if strengths[f] > asked or f in forced]
    best = max(
        worth(some, strengths, forced, asked, usual)
        for size in range(len(usable) + 1)
        for some in combinations(usable, size)
        if set(forced) <= set(some) and np.diff([0.0, *TIMES[list(some)], 4.0]).min() >= least - ROUNDING_S
    )
    assert abs(worth(chosen, strengths, forced, asked, usual) - best) < 1e-9


def test_an_episode_shorter_than_the_minimum_is_one_span():
    assert choose(nodes({20: 1.0}), (), TIMES, 4.0, 0.3, 5.0, 5.0).tolist() == []


def test_of_two_that_are_too_near_the_stronger_stays():
    assert choose(nodes({20: 0.8, 22: 0.9}), (), TIMES, 4.0, 0.3, 0.5, 0.5).tolist() == [22]


def evidence(*rows: tuple[float, str, float]) -> Evidence:
    time, kind, strength = zip(*rows, strict=True)
    return Evidence(np.array(time), np.array([KIND[k] for k in kind]), np.zeros(len(rows), int), np.array(strength))


def test_evidence_at_one_moment_adds_up_where_the_strongest_is():
    found = nodes_of(evidence((1.0, "turn", 0.5), (1.06, "closed", 0.8), (2.0, "turn", 0.4)), TIMES)
    assert found.frame.tolist() == [11, 20]  # 1.06 s is nearest to frame 11
    assert np.allclose(found.strength, [1 - 0.5 * 0.2, 0.4])
    assert found.first.tolist() == [0, 2, 3]


def test_in_a_slow_log_moments_that_share_a_frame_are_one():
    slow = np.arange(5) / 2.0
    found = nodes_of(evidence((0.9, "turn", 0.5), (1.1, "turn", 0.5)), slow)
    assert found.frame.tolist() == [2]
    assert np.allclose(found.strength, [0.75])


def test_no_evidence_no_boundary():
    none = nodes_of(Evidence(np.zeros(0), np.zeros(0, int), np.zeros(0, int), np.zeros(0)), TIMES)
    assert choose(none, (), TIMES, 4.0, 0.3, 0.1, 0.4).tolist() == []
