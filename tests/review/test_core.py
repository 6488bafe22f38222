"""What decisions do to spans, and what they say together."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.episodes import Decided
from schemas.events import PRIMITIVES
from schemas.review.decisions import DECISIONS
from schemas.table import SchemaError
from stages.review.edit import Ask, Impossible, change
from stages.review.fold import fold, laid_over
from stages.review.overlay import Verdict, Words, accepted, overlays, rejected, words_for
from stages.review.spans import Span
from tests.review.rows import EDGES, EPISODE, LEVEL, MACHINE, TRACK, Reviewed, row

PLACE = (EPISODE, LEVEL, TRACK)


def borders(spans):
    return [(s.start, s.end) for s in spans]


def test_an_edge_is_the_neighbours_too():
    work = Reviewed()
    work.do("end", 1000, to=1700)
    assert borders(work.spans) == [(0, 1000), (1000, 1700), (1700, 3000), (3000, 4000)]
    work.do("start", 1700, to=1640)  # to the nearest frame
    assert borders(work.spans) == [(0, 1000), (1000, 1600), (1600, 3000), (3000, 4000)]
    assert [s.own for s in work.spans] == [(), ("span",), ("span",), ()]
    assert [s.primitive for s in work.spans] == ["reach", "grasp", "lift", "place"]


def test_split_merge_and_what_they_keep():
    work = Reviewed()
    work.do("caption", 1500, text="lift the  cup")
    work.do("split", 1500, to=2100)
    assert borders(work.spans)[2:4] == [(1500, 2100), (2100, 3000)]
    assert [s.text for s in work.spans][2:4] == ["lift the cup", "lift the cup"]
    work.do("merge", 1000)
    assert work.spans[1] == Span(1000, 2100, "lift", "lift the cup", own=("span", "text"))


def test_a_label_cuts_into_what_it_covers():
    work = Reviewed()
    work.do("label", 0, to=800, until=2000, primitive="push")
    assert [(s.start, s.end, s.primitive) for s in work.spans] == [
        (0, 800, "reach"), (800, 2000, "push"), (2000, 3000, "lift"), (3000, 4000, "place"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (Ask("accept", 999), "no event starts at 999 ms"),
        (Ask("start", 0, to=100), "that edge cannot move"),
        (Ask("end", 3000, to=3500), "that edge cannot move"),
        (Ask("end", 1000, to=3000), "no frame of an event would be left"),
        (Ask("end", 1000, to=1500), "there already"),
        (Ask("split", 1000, to=1000), "no frame of an event would be left"),
        (Ask("merge", 3000), "the last event"),
        (Ask("primitive", 0, primitive="dance"), "'dance' is no primitive"),
        (Ask("caption", 0, text=" \n"), "1 to 400 letters"),
        (Ask("label", 0, to=500, until=500, primitive="push"), "must hold a frame"),
        (Ask("destroy", 0), "nobody knows"),
    ],
)
def test_what_cannot_be_done_is_said(ask, words):
    with pytest.raises(Impossible, match=words):
        change(MACHINE, ask, EDGES)


def test_undo_leaves_nothing():
    work = Reviewed()
    work.do("accept", 0)
    before = work.spans
    work.do("end", 1000, to=1700)
    work.undo()
    assert work.spans == before
    assert fold(work.rows) == {PLACE: work.touched}
    assert [t.span for t in work.touched if not t.span.untouched] == before[:1]


def test_an_undo_shows_although_the_corpus_was_built_with_what_it_undoes():
    work = Reviewed()
    work.do("accept", 0)
    before = work.spans
    work.do("end", 0, to=1200)
    work.machine = [replace(s, state="") for s in work.spans]  # a build
    work.undo()
    assert work.spans == before
    assert {p: [t.span.own for t in own] for p, own in fold(work.rows).items()} == {PLACE: [(), ()]}
    work.machine = MACHINE  # another one
    assert work.spans == before


actions = st.one_of(
    st.tuples(st.sampled_from(["accept", "reject", "skip", "flag", "merge", "undo"])),
    st.tuples(st.sampled_from(["start", "end", "split"]), st.integers(0, 4000)),
    st.tuples(st.just("label"), st.integers(0, 4000), st.integers(0, 4000), st.sampled_from(PRIMITIVES)),
    st.tuples(st.just("caption"), st.sampled_from(["take it", "put it"])),
    st.tuples(st.just("primitive"), st.sampled_from(PRIMITIVES)),
)


def perform(work: Reviewed, number: int, action: tuple) -> None:
    spans = work.spans
    at, (name, *more) = spans[number % len(spans)].start, action
    if name == "undo":
        return work.undo() if work.rows else None
    keys = {"caption": ("text",), "primitive": ("primitive",), "label": ("to", "until", "primitive")}.get(name, ("to",))
    work.do(name, at, **dict(zip(keys, more, strict=False)))


@given(st.lists(st.tuples(st.integers(0, 9), actions), max_size=12))
def test_whatever_is_decided_spans_tile_the_episode(steps):
    """They touch, begin and end with it, lie on frames; rows obey the table's laws; the fold of all rows is what each
    did in turn."""
    work = Reviewed()
    for number, action in steps:
        try:
            perform(work, number, action)
        except Impossible:
            continue
        spans = work.spans
        assert (spans[0].start, spans[-1].end) == (0, 4000)
        assert all(a.end == b.start for a, b in pairwise(spans))
        assert all(s.start in EDGES and s.start < s.end for s in spans)
    assert DECISIONS.build(work.rows).num_rows == len(work.rows)
    assert fold(reversed(work.rows)).get(PLACE, []) == work.touched


@given(st.lists(st.tuples(st.integers(0, 9), actions), max_size=8), st.integers(0, 9), actions)
def test_an_undo_takes_back_just_one(steps, number, action):
    work = Reviewed()
    for step in [*steps]:
        try:
            perform(work, *step)
        except Impossible:
            continue
    before, count = work.spans, len(work.rows)
    try:
        perform(work, number, action)
    except Impossible:
        return
    if len(work.rows) > count:
        work.undo()
        if action[0] != "undo":
            assert work.spans == before


# -- the machine's spans have moved since

MOVED = [Span(0, 1100, "reach", "a"), Span(1100, 1400, "grasp", "b"), Span(1400, 4000, "lift", "c")]


def test_borders_of_people_stay_and_verdicts_go_stale():
    work = Reviewed()
    work.do("accept", 0)
    work.do("reject", 3000)
    work.do("end", 1000, to=1700)
    laid = laid_over(MOVED, work.touched)
    assert [(s.start, s.end, s.own) for s in laid.spans] == [
        (0, 1000, ()), (1000, 1700, ("span",)), (1700, 3000, ("span",)), (3000, 4000, ()),
    ]  # fmt: skip
    # what is left of the machine's spans happens to lie where they were judged
    assert [s.state for s in laid.spans] == ["accepted", "", "", "rejected"]
    work.undo()
    laid = laid_over(MOVED, work.touched)
    assert borders(laid.spans) == borders(MOVED)
    assert [(t.span.start, t.span.state) for t in laid.stale] == [(0, "accepted"), (3000, "rejected")]


# -- what goes back into the corpus


def test_each_part_goes_where_it_belongs():
    work = Reviewed()
    work.do("accept", 0)
    work.do("caption", 1000, text="take the cup")
    work.do("primitive", 3000, primitive="push")
    work.do("reject", 1500)
    work.do("flag", 0)
    found = overlays(fold(work.rows))[EPISODE]
    assert found.labels == (Decided("L1", 3.0, 4.0, "", "seconds", "all", "push", "ada"),)
    assert found.words == (Words("L1", "all", 1000, 1500, "take the cup", "ada"),)
    assert [(v.start_ms, v.state) for v in found.verdicts] == [(0, "accepted"), (1500, "rejected")]


def test_flags_alone_give_nothing_to_a_build():
    work = Reviewed()
    work.do("flag", 0)
    work.do("skip", 1000)
    assert overlays(fold(work.rows)) == {}


def test_words_stay_with_what_they_were_said_of():
    words = [Words("L1", "all", 1000, 1500, "take it", "ada"), Words("L1", "all", 3000, 4000, "put it", "ada")]
    events = {"a": ("L1", "all", Span(1100, 1500, "grasp")), "b": ("L1", "all", Span(1500, 4000, "lift"))}
    assert words_for(words, events) == {"a": words[0]}  # 0.8 is shared, and 0.4


def test_rejected_is_what_lies_in_it_and_what_holds_it():
    said = [Verdict("L1", "all", 1000, 2000, "rejected")]
    assert rejected(said, "L1", 1000, 2000)
    assert rejected(said, "L1", 900, 2600)  # it holds all of the span
    assert rejected(said, "L0", 1200, 1400)
    assert not rejected(said, "L1", 1600, 3000)
    assert not rejected(said, "L2", 0, 4000)
    assert not rejected(said, "L1", 1000, 2000, "left")
    assert accepted([Verdict("L1", "all", 1000, 2000, "accepted")], "L1", 1001, 2000)
    assert not accepted([Verdict("L1", "all", 1000, 2000, "accepted")], "L1", 1100, 2000)


# -- the table's laws


@pytest.mark.parametrize(
    ("change_of", "words"),
    [
        ({"after": [Span(0, 900, "reach").row()]}, "cover"),
        ({"after": []}, "no span"),
        ({"end_ms": 5000}, "outside"),
        ({"action": "undo"}, "undoes None"),
        ({"undoes": "f" * 32}, "accept undoes"),
        ({"decision_id": "1"}, "no decision's id"),
        ({"action": "destroy"}, "destroy"),
    ],
)
def test_a_row_that_breaks_a_law_is_refused(change_of, words):
    good = row([MACHINE[0]], [MACHINE[0]])
    DECISIONS.build([good])
    with pytest.raises(SchemaError, match=words):
        DECISIONS.build([{**good, **change_of}])
