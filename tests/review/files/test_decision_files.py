"""Decisions as files: what is written out comes back once, and what cannot be is told."""

import json

import pytest
from hypothesis import given as drawn

from pipeline.labels import LabelError
from pipeline.review.catalogue import Catalogue
from pipeline.review.files import rows
from pipeline.review.files.take import Standing, take_rows
from stages.review.fold import fold
from stages.review.overlay import overlays
from stages.review.spans import Span, seen
from tests.review.files.test_given import WORK, worked
from tests.review.rows import EPISODE, MACHINE, row
from tests.review.server import events

FORMATS = sorted(rows.FORMATS)


def empty() -> Standing:
    return Standing(Catalogue(events()), ())


def file(tmp_path, found, form="jsonl") -> str:
    path = tmp_path / f"decisions.{form}"
    path.write_bytes(rows.FORMATS[form](found))
    return str(path)


def state(n, word):
    """Event n, judged."""
    return row([MACHINE[n]], [MACHINE[n].set(state=word)], {"accepted": "accept", "rejected": "reject"}[word])


@pytest.mark.parametrize("form", FORMATS)
def test_what_was_written_out_comes_back_into_an_empty_copy(form, tmp_path_factory):
    folder = tmp_path_factory.mktemp(form)

    @drawn(WORK)
    def holds(work):
        own = worked(work).rows
        copy = empty()
        taken = take_rows(copy, file(folder, own, form))
        assert (taken.new, taken.refused) == (own, [])
        assert overlays(copy.touched) == overlays(fold(own))
        again = take_rows(copy, file(folder, own, form))
        assert (again.new, again.known, again.refused) == ([], len(own), [])

    holds()


@pytest.mark.parametrize("form", FORMATS)
def test_odd_texts_come_back_as_they_were(form, tmp_path):
    texts = ["=1+1", "'=1+1", "'", "-", "a\u2028b", 'said "so", and\u00a0more', "手", "@x", "+"]
    own = [row([MACHINE[0]], [MACHINE[0].set("text", text=t)], "caption") | {"comment": t} for t in texts]
    found = list(rows.read(form, rows.FORMATS[form](own)))
    assert sorted((r for _, r, _ in found), key=lambda r: r["time_ms"]) == own


@pytest.mark.parametrize("form", FORMATS)
def test_many_spans_come_back_as_they_were(form):
    before = [Span(10 * n, 10 * n + 10, "reach", "The arm reaches.") for n in range(1200)]
    own = row(before, [Span(0, 12_000, "reach", own=("span",))], "label")
    assert next(rows.read(form, rows.FORMATS[form]([own])))[1:] == (own, "")


def test_an_undo_comes_back_as_one(tmp_path):
    first = state(0, "accepted")
    back = row([MACHINE[0].set(state="accepted")], [MACHINE[0]], "undo", first["decision_id"])
    copy = empty()
    assert len(take_rows(copy, file(tmp_path, [first, back])).new) == 2
    assert copy.spans((EPISODE, "L1", "all")) == MACHINE
    assert take_rows(empty(), file(tmp_path, [back])).refused == [
        f"line 1: undo of {EPISODE} L1 by ada: it takes back a decision that is not here"
    ]


def test_what_people_decided_here_is_never_overruled(tmp_path):
    own, theirs = state(0, "accepted") | {"actor": "grace"}, state(0, "rejected")
    here = Standing(Catalogue(events()), [own])
    taken = take_rows(here, file(tmp_path, [theirs, same := state(1, "accepted")]))
    assert taken.new == [same]
    assert taken.refused == [f"line 1: reject of {EPISODE} L1 by ada: grace has decided otherwise about it here"]
    agrees = state(0, "accepted")
    taken = take_rows(here, file(tmp_path, [agrees]))
    assert (taken.new, taken.known, taken.refused) == ([], 1, [])
    # one that was made about just what grace had left is no other opinion
    left = MACHINE[0].set(state="accepted")
    flag = row([left], [left.set(flagged=True)], "flag")
    assert take_rows(here, file(tmp_path, [flag])).new == [flag]


def test_each_row_that_cannot_be_is_told(tmp_path):
    good = state(2, "accepted")
    bad = {
        "there is no such episode": state(0, "accepted") | {"episode_id": "lab/000009"},
        "there is no such episode, level": state(0, "accepted") | {"level": "L3"},
        "the episode has 0 to 4000": _moved(state(3, "accepted"), 9000),
        "its fingerprint": state(1, "accepted") | {"seen": seen(MACHINE[:1])},
        "it is no decision": state(1, "accepted") | {"action": "dance"},
    }
    lines = [json.dumps(r) for r in (*bad.values(), good)] + ["{}", "[1", json.dumps({**good, "spent_ms": "x"})]
    path = tmp_path / "d.jsonl"
    path.write_text("\n".join(lines))
    taken = take_rows(empty(), str(path))
    assert taken.new == [good]
    assert len(taken.refused) == 8
    for words in bad:
        assert any(words in r for r in taken.refused), words
    for line in (7, 8, 9):
        assert any(r.startswith(f"line {line}: it is no decision") for r in taken.refused)


def _moved(made, end):
    for side in ("before", "after"):
        made[side][0]["end_ms"] = end
    return made | {"end_ms": end}


def test_another_decision_of_a_known_id_is_told(tmp_path):
    own = state(0, "accepted")
    taken = take_rows(Standing(Catalogue(events()), [own]), file(tmp_path, [own | {"comment": "else"}]))
    assert (taken.new, taken.known) == ([], 0)
    assert "another decision has its id here" in taken.refused[0]


def test_decisions_about_spans_of_another_build_are_kept_and_counted(tmp_path):
    moved = MACHINE[0].set(end=700)
    copy = empty()
    taken = take_rows(copy, file(tmp_path, [row([moved], [moved.set("text", text="It reaches.")], "caption")]))
    assert (len(taken.new), taken.stale) == (1, 1)
    assert copy.spans((EPISODE, "L1", "all")) == MACHINE


@pytest.mark.parametrize(("name", "blob"), [("a.csv", b"x,y\n1,2\n"), ("a.parquet", b"PAR1"), ("a.jsonl", b"\xff\xfe")])
def test_a_file_of_something_else_is_refused_as_a_whole(tmp_path, name, blob):
    (tmp_path / name).write_bytes(blob)
    with pytest.raises(LabelError, match=name):
        take_rows(empty(), str(tmp_path / name))
    with pytest.raises(LabelError, match="there is no such file"):
        take_rows(empty(), str(tmp_path / f"none{name}"))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"time_ms": 1_700_000_000_000_000}, "is no time in ms"),  # microseconds: its part would not be found again
        ({"time_ms": -5}, "is no time in ms"),
        ({"time_ms": 2**63 - 1}, "is no time in ms"),
        ({"spent_ms": -1}, "cannot have been spent"),
        ({"machine": {"primitive": "reach", "sure": float("nan"), "said_by": "", "doubt": False}}, "sure nan"),
    ],
)
def test_numbers_that_cannot_be_are_refused(changed, why, tmp_path):
    taken = take_rows(empty(), file(tmp_path, [state(0, "accepted") | changed]))
    assert (taken.new, len(taken.refused)) == ([], 1)
    assert why in taken.refused[0]


def test_whole_numbers_that_were_written_as_floats_are_whole_numbers(tmp_path):
    own = state(0, "accepted")
    path = tmp_path / "d.jsonl"
    path.write_text(json.dumps(own | {"time_ms": float(own["time_ms"]), "spent_ms": 0.0}))
    (taken,) = take_rows(empty(), str(path)).new
    assert (taken, type(taken["time_ms"])) == (own, int)


def test_json_that_never_ends_is_told(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_text("[" * 200_000)
    assert "it is no decision" in take_rows(empty(), str(path)).refused[0]


def test_what_was_forgotten_does_not_come_back_by_a_file(tmp_path):
    old, new = state(0, "accepted"), state(1, "accepted")
    here = Standing(Catalogue(events()), (), {EPISODE: old["time_ms"]})
    taken = take_rows(here, file(tmp_path, [old, new]))
    assert taken.new == [new]  # about another recording of the same name
    assert "was forgotten on request" in taken.refused[0]


def test_what_was_decided_in_times_to_come_is_refused(tmp_path):
    soon, late = state(0, "accepted") | {"time_ms": 1_000 + 3_600_000}, state(1, "accepted") | {"time_ms": 9 * 10**12}
    taken = take_rows(Standing(Catalogue(events()), (), now_ms=1_000), file(tmp_path, [soon, late]))
    assert taken.new == [soon]
    assert "has not come yet" in taken.refused[0]
