"""Parts of the decisions that become one: whatever dies, and whoever reads meanwhile, each row is there once."""

from pathlib import Path

import pytest

from pipeline.corpus import decisions
from stages import storage
from tests.review.rows import MACHINE, row

DAY = 24 * 60 * 60 * 1000
NOW = 10 * DAY


class Killed(BaseException):
    """Nothing of ours catches it."""


def published(root: Path, *times: int) -> list[str]:
    """Parts of a row each, decided at those times."""
    rows = [{**row([MACHINE[0]], [MACHINE[0]]), "time_ms": time} for time in times]
    return [decisions.publish(str(root), [r]) for r in rows]


def test_parts_of_more_than_a_day_become_one_that_says_the_same(tmp_path):
    published(tmp_path, 1000, 2000, 3000)
    (new,) = published(tmp_path, NOW - 1000)
    before = decisions.read(str(tmp_path))
    assert decisions.merge(str(tmp_path), NOW) == (4, 2)
    merged, kept = decisions.parts(str(tmp_path))
    assert (merged[:13], kept) == ("0000000001000", new)
    assert decisions.read(str(tmp_path)) == before
    assert decisions.merge(str(tmp_path), NOW) == (2, 2)  # there is nothing left to do
    assert decisions.parts(str(tmp_path)) == [merged, kept]


def test_newer_ones_wait_until_they_are_many(tmp_path):
    published(tmp_path, *range(NOW - 64, NOW))
    assert decisions.merge(str(tmp_path), NOW) == (64, 64)
    published(tmp_path, NOW)
    assert decisions.merge(str(tmp_path), NOW) == (65, 1)
    assert [r["time_ms"] for r in decisions.read(str(tmp_path))] == list(range(NOW - 64, NOW + 1))


def test_what_is_large_already_stays_as_it_is(tmp_path, monkeypatch):
    names = published(tmp_path, 1, 2, 3, 4)
    sizes = [(tmp_path / "decisions" / n).stat().st_size for n in names]
    monkeypatch.setattr(decisions, "FULL", sizes[0] + sizes[1])  # room for two
    assert decisions.merge(str(tmp_path), NOW) == (4, 2)
    monkeypatch.setattr(decisions, "FULL", min(sizes))
    assert decisions.merge(str(tmp_path), NOW) == (2, 2)


def test_a_row_that_two_parts_hold_is_there_once(tmp_path):
    rows = [{**row([MACHINE[0]], [MACHINE[0]]), "time_ms": time} for time in (1, 2)]
    decisions.publish(str(tmp_path), rows[:1])
    whole = decisions.publish(str(tmp_path), rows)  # its server was killed before it had noted the first
    assert decisions.merge(str(tmp_path), NOW) == (2, 1)
    assert decisions.parts(str(tmp_path)) == [whole]  # just that: named by its content
    assert decisions.read(str(tmp_path)) == rows


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("step", range(5))
def test_killed_at_each_step_nothing_is_lost_or_doubled(tmp_path, monkeypatch, step, after):
    """Four parts: a write and four removals."""
    published(tmp_path, 1, 2, 3, 4)
    before, calls = decisions.read(str(tmp_path)), []

    def dying(name):
        original = getattr(storage, name)

        def call(*args):
            calls.append(name)
            dies = len(calls) == step + 1
            if dies and not after:
                raise Killed
            original(*args)
            if dies:
                raise Killed

        return call

    with monkeypatch.context() as patch:
        for name in ("write_bytes", "remove"):
            patch.setattr(storage, name, dying(name))
        with pytest.raises(Killed):
            decisions.merge(str(tmp_path), NOW)
    assert calls[0] == "write_bytes"
    assert decisions.read(str(tmp_path)) == before
    decisions.merge(str(tmp_path), NOW)
    assert len(decisions.parts(str(tmp_path))) == 1
    assert decisions.read(str(tmp_path)) == before


def test_a_disk_that_is_full_takes_nothing_away(tmp_path, monkeypatch):
    names = published(tmp_path, 1, 2, 3)

    def full(*_):
        raise storage.Unwritable("here", "no room")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_bytes", full)
        with pytest.raises(storage.Unwritable):
            decisions.merge(str(tmp_path), NOW)
    assert decisions.parts(str(tmp_path)) == names


def test_damage_is_never_merged_away(tmp_path):
    names = published(tmp_path, 1, 2, 3)
    part = tmp_path / "decisions" / names[1]
    blob = bytearray(part.read_bytes())
    blob[len(blob) // 2] ^= 1
    part.write_bytes(bytes(blob))
    with pytest.raises(decisions.DamagedDecisions):
        decisions.merge(str(tmp_path), NOW)
    assert decisions.parts(str(tmp_path)) == names
    assert decisions.damaged(str(tmp_path)) == [f"decisions/{names[1]}"]


def test_two_decisions_of_one_id_are_damage_too(tmp_path):
    own = {**row([MACHINE[0]], [MACHINE[0]]), "time_ms": 1}
    names = [decisions.publish(str(tmp_path), [own]), decisions.publish(str(tmp_path), [{**own, "comment": "else"}])]
    with pytest.raises(decisions.DamagedDecisions, match="two decisions of the id"):
        decisions.merge(str(tmp_path), NOW)
    assert decisions.parts(str(tmp_path)) == sorted(names)


@pytest.mark.parametrize("reads", range(4))
def test_who_reads_meanwhile_has_each_row_once(tmp_path, monkeypatch, reads):
    """The merge comes after so many parts of four were read."""
    published(tmp_path, 1, 2, 3, 4)
    before, original, done = decisions.read(str(tmp_path)), decisions._part, []

    def part(root, name):
        done.append(name)
        if len(done) == reads + 1:
            decisions.merge(str(tmp_path), NOW)
        return original(root, name)

    with monkeypatch.context() as patch:
        patch.setattr(decisions, "_part", part)
        assert decisions.read(str(tmp_path)) == before
    assert len(decisions.parts(str(tmp_path))) == 1


@pytest.mark.parametrize("shown", [0, 1])
def test_a_listing_in_which_the_merged_part_is_not_yet_is_not_believed(tmp_path, monkeypatch, shown):
    """A folder that is listed while names come and go may show neither the new name nor the old ones."""
    published(tmp_path, 1, 2)
    before, original, listed = decisions.read(str(tmp_path)), decisions.parts, []

    def parts(root):
        listed.append(root)
        if len(listed) == 1:
            names = original(root)[:shown]
            decisions.merge(root, NOW)
            return names
        return original(root)

    monkeypatch.setattr(decisions, "parts", parts)
    assert decisions.read(str(tmp_path)) == before


def test_ids_that_are_drawn_rise_with_nothing(tmp_path):
    rows = [{**row([MACHINE[0]], [MACHINE[0]]), "time_ms": t, "decision_id": c * 32} for t, c in enumerate("dabc")]
    for one in rows:
        decisions.publish(str(tmp_path), [one])
    assert decisions.merge(str(tmp_path), NOW) == (4, 1)
    assert decisions.read(str(tmp_path)) == rows


def test_of_an_import_on_two_machines_at_once_the_earlier_counts(tmp_path):
    first = {**row([MACHINE[0]], [MACHINE[0]]), "time_ms": 7}
    decisions.publish(str(tmp_path), [first])
    decisions.publish(str(tmp_path), [first | {"time_ms": 9}])
    assert decisions.read(str(tmp_path)) == [first]
    assert decisions.merge(str(tmp_path), NOW) == (2, 1)
    assert decisions.read(str(tmp_path)) == [first]
    decisions.publish(str(tmp_path), [first | {"actor": "somebody else"}])
    with pytest.raises(decisions.DamagedDecisions, match="two decisions of the id"):
        decisions.merge(str(tmp_path), NOW)
