"""Spans that come back from elsewhere: what differs is a decision, and nothing else is."""

from hypothesis import given as drawn
from hypothesis import strategies as st

from schemas.review.decisions import DECISIONS
from stages.review.edit import Ask, Impossible, change
from stages.review.fold import after, laid_over
from stages.review.given import Given, parted, steps
from stages.review.spans import Span
from tests.review.rows import EDGES, MACHINE, Reviewed, row

ASIS = [(s.start, s.end, s.primitive, s.text) for s in MACHINE]
REACH, GRASP, LIFT, PLACE = ASIS


def told(*spans):
    """As a file has them; primitive and text may be None."""
    return [Given(*span, f"span {n}") for n, span in enumerate(spans)]


def done(now, *spans):
    """(actions, spans afterwards as (start, end, primitive, text), whose they are, why not)."""
    found, refused = steps(now, told(*spans))
    for step in found:
        where = [n for n, s in enumerate(now) if s in step.before]
        assert tuple(now[where[0] : where[-1] + 1]) == step.before
        now = [*now[: where[0]], *step.after, *now[where[-1] + 1 :]]
    own = {(s.start, s.end): s.own for s in now if s.own}
    return [s.action for s in found], [(s.start, s.end, s.primitive, s.text) for s in now], own, refused


def test_what_stands_is_no_decision():
    assert done(MACHINE, *ASIS) == ([], ASIS, {}, [])
    assert done(MACHINE, LIFT) == ([], ASIS, {}, [])  # of the others the file does not speak
    assert done(MACHINE, (0, 1000, None, None)) == ([], ASIS, {}, [])


def test_words_alone_are_words_alone():
    actions, spans, own, _ = done(MACHINE, REACH, (1000, 1500, "grasp", "It takes the cup."))
    assert (actions, spans[1]) == (["caption"], (1000, 1500, "grasp", "It takes the cup."))
    assert own == {(1000, 1500): ("text",)}
    actions, spans, own, _ = done(MACHINE, (1000, 1500, "close", "It takes the cup."))
    assert actions == ["primitive", "caption"]
    assert own == {(1000, 1500): ("primitive", "text")}


def test_an_edge_that_was_moved_is_the_neighbours_too():
    for spans in ([(0, 1200, *REACH[2:])], [(0, 1200, *REACH[2:]), GRASP, LIFT, PLACE]):  # nobody moved the other one
        actions, after_, own, refused = done(MACHINE, *spans)
        assert (actions, refused) == (["end"], [])
        assert after_ == [(0, 1200, *REACH[2:]), (1200, 1500, *GRASP[2:]), LIFT, PLACE]
        assert own == {(0, 1200): ("span",), (1200, 1500): ("span",)}
    actions, after_, _, _ = done(MACHINE, (0, 800, *REACH[2:]), GRASP)  # drawn back: the next one comes after
    assert after_[:2] == [(0, 800, *REACH[2:]), (800, 1500, *GRASP[2:])]
    actions, after_, _, _ = done(MACHINE, PLACE, (1500, 2600, *LIFT[2:]))
    assert after_[2:] == [(1500, 2600, *LIFT[2:]), (2600, 4000, *PLACE[2:])]


def test_a_gap_between_two_that_were_changed_goes_on_being_what_it_was():
    actions, after_, own, _ = done(MACHINE, (0, 800, *REACH[2:]), (1100, 1500, *GRASP[2:]))
    assert after_[:4] == [
        (0, 800, *REACH[2:]),
        (800, 1000, *REACH[2:]),
        (1000, 1100, *GRASP[2:]),
        (1100, 1500, *GRASP[2:]),
    ]
    assert actions == ["split", "split"]
    assert own[0, 800] == ("span",)


def test_split_and_merged():
    halves = [(1500, 2000, *LIFT[2:]), (2000, 3000, "move", "It carries it.")]
    actions, after_, own, _ = done(MACHINE, REACH, GRASP, *halves, PLACE)
    assert (actions, after_) == (["split"], [REACH, GRASP, *halves, PLACE])
    assert own == {(1500, 2000): ("span",), (2000, 3000): ("primitive", "span", "text")}
    actions, after_, own, _ = done(MACHINE, REACH, (1000, 3000, *LIFT[2:]), PLACE)
    assert (actions, after_) == (["merge"], [REACH, (1000, 3000, *LIFT[2:]), PLACE])
    assert own == {(1000, 3000): ("span",)}


def test_what_cannot_be_is_told_and_the_rest_is_taken():
    bad = [
        (500, 500, None, None), (-100, 200, None, None), (3500, 4100, None, None), (1000, 1500, "fly", None),
        (0, 1000, None, "x" * 401),
    ]  # fmt: skip
    actions, after_, _, refused = done(MACHINE, *bad, (1500, 3000, None, "Up."))
    assert actions == ["caption"]
    assert after_ == [REACH, GRASP, (1500, 3000, "lift", "Up."), PLACE]
    assert {g.where: why.split(",")[0] for g, why in refused} == {
        "span 0": "it holds no frame of the episode",
        "span 1": "it lies outside of the episode",
        "span 2": "it lies outside of the episode",
        "span 3": "'fly' is no primitive: task",
        "span 4": "a caption has 1 to 400 letters",
    }
    _, after_, _, refused = done(MACHINE, (200, 1200, None, "A."), (1100, 1400, None, "B."))
    assert [(g.text, why) for g, why in refused] == [("B.", "it overlaps span 0, from 200 to 1200 ms")]


def test_neighbours_of_one_caption_are_parted_where_they_could_not_be_shown_apart():
    now = [Span(0, 10, "reach", "A"), Span(10, 20, "grasp", "A"), Span(20, 30, "lift", "B")]
    assert [(g.start, g.end) for g in parted(now, told((0, 20, None, "A"), (20, 30, None, "B")))] == [
        (0, 10), (10, 20), (20, 30),
    ]  # fmt: skip
    assert [(g.start, g.end) for g in parted(now, told((0, 23, None, "A")))] == [(0, 10), (10, 23)]
    assert steps(now, parted(now, told((0, 20, None, "A"), (20, 30, None, "B")))) == ([], [])


KINDS = ["accept", "reject", "flag", "caption", "primitive", "split", "merge", "start", "end", "label"]
WORK = st.lists(
    st.tuples(
        st.sampled_from(KINDS),
        st.integers(0, 39), st.integers(0, 40), st.integers(1, 40), st.sampled_from(["reach", "move", "hold"]),
        st.sampled_from(["It waits.", "It goes.", "The arm reaches."]),
    ),
    max_size=8,
)  # fmt: skip


def worked(work):
    """Spans under decisions of all kinds; those that are impossible are left out."""
    own = Reviewed()
    for action, which, to, until, primitive, text in work:
        span = own.spans[which % len(own.spans)]
        ask = Ask(action, span.start, 100 * to, 100 * until, primitive, text)
        try:
            own.add(row(*change(own.spans, ask, EDGES), action))
        except Impossible:
            continue
    return own


@drawn(WORK)
def test_what_was_written_out_comes_back_into_an_empty_copy(work):
    """The same borders, primitives and words, by rows that obey the table's laws; and then nothing more is to do."""
    own = worked(work)
    wanted = [(s.start, s.end, s.primitive, s.text) for s in own.spans]
    touched, rows = [], []
    for _ in range(3):
        now = laid_over(MACHINE, touched).spans
        found, refused = steps(now, told(*wanted))
        assert refused == []
        for step in found:
            made = row(list(step.before), list(step.after), step.action)
            rows.append(made)
            touched = after(touched, made)
    DECISIONS.build(rows)
    now = laid_over(MACHINE, touched).spans
    assert [(s.start, s.end, s.primitive, s.text) for s in now] == wanted
    assert steps(now, told(*wanted)) == ([], [])


@drawn(WORK, st.lists(st.tuples(st.integers(0, 39), st.integers(0, 40), st.sampled_from([None, "New."])), max_size=5))
def test_whatever_a_file_has_the_episode_is_tiled(work, spans):
    now = worked(work).spans
    found, refused = steps(now, told(*((100 * a, 100 * b, None, text) for a, b, text in spans)))
    for step in found:
        DECISIONS.build([row(list(step.before), list(step.after), step.action)])
    _, after_, _, again = done(now, *((100 * a, 100 * b, None, text) for a, b, text in spans))
    assert len(again) == len(refused)
    edges = [0, *(end for _, end, *_ in after_)]
    assert [start for start, *_ in after_] == edges[:-1]
    assert edges[-1] == 4000
