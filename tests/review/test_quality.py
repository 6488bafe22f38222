"""Figures of reviewed events, worked out by hand."""

import pytest

from stages.review.quality import agreement, kappa, work
from stages.review.spans import Span
from tests.review.rows import MACHINE, Reviewed


def test_two_people_who_say_the_same():
    found = agreement([(MACHINE, MACHINE)])
    assert (found.spans, found.iou, found.f1, found.kappa, found.captions) == (4, 1.0, {0.25: 1.0, 0.5: 1.0}, 1.0, 1.0)
    assert agreement([]) is None


def test_an_edge_apart_by_400_ms():
    one = [Span(0, 1000, "reach", "a b"), Span(1000, 2000, "grasp", "c")]
    two = [Span(0, 1400, "reach", "a b"), Span(1400, 2000, "grasp", "d")]
    found = agreement([(one, two)])
    assert found.iou == pytest.approx((1000 / 1400 + 600 / 1000) / 2)
    assert found.f1 == {0.25: 0.0, 0.5: 1.0}
    assert found.captions == 0.5
    # 40 instants: 20 and 28 of them reach; the same at 32. By chance 0.5 * 0.7 + 0.5 * 0.3 = 0.5
    assert found.kappa == pytest.approx((0.8 - 0.5) / 0.5)


def test_kappa_of_chance_is_nought():
    assert kappa(["a", "a", "b", "b"], ["a", "b", "a", "b"]) == 0.0
    assert kappa(["a"], ["a"]) == 1.0
    assert kappa([], []) == 1.0


def test_what_was_left_as_it_was():
    review = Reviewed()
    review.do("accept", 0)
    review.do("end", 1000, to=1700)
    review.do("accept", 1000)
    review.do("reject", 3000)
    judged = [(s, c) for s, c in zip(review.spans, (0.95, 0.95, 0.3, 0.3), strict=True) if s.state]
    found = work(review.rows, judged)
    assert (found.judged, found.unedited, found.rejected, found.shifts_ms) == (3, 1, 1, [200])
    assert (found.bins[9], found.bins[3]) == ((2, 1), (1, 0))
    assert found.spent_ms == {"ada": [0, 0, 0, 0]}
    assert found.share_unedited == pytest.approx(1 / 3)
