"""Answers that were paid for are there, whatever happened to whoever paid."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.caption.vlm.cache import Cache, damaged, line, parsed
from stages.caption.vlm.requests import Answer, Picture, Request

ANSWER = Answer('{"object": "cup"}', "ok", 0.5, (10, 3))
REQUEST = Request("Look.", (Picture("left", 1.0, b"a"), Picture("right", 1.0, b"b")), "task: go", ("object",), 9)


def test_what_one_worker_was_told_another_knows(tmp_path):
    one, other = Cache(str(tmp_path)), Cache(str(tmp_path))
    one.add({"k": ANSWER})
    assert other.get("k") is None
    other.refresh()
    assert other.get("k") == ANSWER
    one.add({"l": replace(ANSWER, status="truncated")})
    other.refresh()
    assert other.get("l").status == "truncated"


def test_an_error_is_no_answer(tmp_path):
    one = Cache(str(tmp_path))
    one.add({"k": Answer("", "error")})
    assert one.get("k") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_torn_last_line_counts_for_nothing_and_is_no_damage(tmp_path, cut):
    whole = line("k", ANSWER) + line("l", ANSWER)
    (tmp_path / "0.jsonl").write_bytes(whole[:-cut])
    cache = Cache(str(tmp_path))
    cache.refresh()
    assert (cache.get("k"), cache.get("l")) == (ANSWER, None)
    assert damaged(whole[:-cut]) == []


def test_a_flipped_bit_is_damage_and_no_answer(tmp_path):
    blob = bytearray(line("k", ANSWER) + line("l", ANSWER))
    blob[30] ^= 1
    (tmp_path / "0.jsonl").write_bytes(bytes(blob))
    cache = Cache(str(tmp_path))
    cache.refresh()
    assert (cache.get("k"), cache.get("l")) == (None, ANSWER)
    assert damaged(bytes(blob)) == [1]


@given(st.text(), st.sampled_from(["ok", "truncated", "blocked"]), st.floats(0, 1) | st.just(math.nan))
def test_a_line_is_read_as_it_was_written(text, status, sure):
    key, found = parsed(line("k", Answer(text, status, sure, (1, 2))).rstrip(b"\n"))
    assert (key, found.text, found.status) == ("k", text, status)
    assert found.confidence == sure or math.isnan(found.confidence)


def test_whatever_changes_the_question_changes_its_key():
    others = [
        replace(REQUEST, instructions="Look!"),
        replace(REQUEST, facts="task: stop"),
        replace(REQUEST, fields=("object", "from")),
        replace(REQUEST, pictures=REQUEST.pictures[::-1]),
        replace(REQUEST, pictures=(Picture("left", 1.0, b"a"), Picture("right", 1.0, b"c"))),
        replace(REQUEST, pictures=(Picture("left", 2.0, b"a"), Picture("right", 1.0, b"b"))),
        REQUEST.again("too long"),
    ]
    keys = [REQUEST.key("m"), REQUEST.key("other"), *(r.key("m") for r in others)]
    assert len(set(keys)) == len(keys)
    assert REQUEST.key("m") == Request(**{f: getattr(REQUEST, f) for f in Request.__dataclass_fields__}).key("m")
