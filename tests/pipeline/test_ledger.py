"""What is committed counts, and nothing else does."""

import json
import os
import subprocess
import sys

import pytest

from pipeline.fingerprint import fingerprint
from pipeline.ledger import OK, QUARANTINED, RETRY, Commit, Item, Ledger, State
from pipeline.lock import Locked, _here, locked
from pipeline.parts import by_episode, frame
from pipeline.work import Context, Outcome, Unit, each, execute
from schemas import SchemaError
from schemas.reasons import Quarantined, Reason


def caption(episode: str, text: str) -> dict:
    return {
        "event_id": f"{episode}/L3/0000000",
        "episode_id": episode,
        "level": "L3",
        "text": text,
        "source": "signals",
        "status": "ok",
        "model": "m",
        "prompt_hash": "h",
    }


def publish(ledger: Ledger, names: list[str], print_: str = "f", text: str = "t") -> Commit:
    items = [Item(n, print_) for n in names]
    return ledger.publish("caption", items, {"captions": [caption(n, text) for n in names]}, {"seconds": 1.0})


def test_a_published_part_is_found_again(tmp_path):
    ledger = Ledger(str(tmp_path))
    commit = publish(ledger, ["s/000000", "s/000001"])
    assert ledger.load("caption") == [commit]
    state = State(ledger.load("caption"))
    assert state.status("s/000001", "f") == OK
    assert state.status("s/000001", "other") is None
    parts = state.files("captions", [("s/000001", "f")])
    assert frame(str(tmp_path), "captions", parts)["episode_id"].to_list() == ["s/000001"]


def test_how_episodes_are_grouped_never_shows(tmp_path):
    names = [f"s/{i:06d}" for i in (3, 0, 2, 1)]
    tables = []
    for number, groups in enumerate([[names], [names[:1], names[1:]], [[n] for n in names]]):
        ledger = Ledger(str(tmp_path / str(number)))
        for group in groups:
            publish(ledger, group)
        parts = State(ledger.load("caption")).files("captions", [(n, "f") for n in names])
        tables.append(frame(ledger.root, "captions", parts))
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_a_superseded_row_in_a_shared_part_is_passed_over(tmp_path):
    ledger = Ledger(str(tmp_path))
    publish(ledger, ["s/000000", "s/000001"], "old", "old")
    publish(ledger, ["s/000001"], "new", "new")
    state = State(ledger.load("caption"))
    rows = by_episode(str(tmp_path), "captions", state.files("captions", [("s/000000", "old"), ("s/000001", "new")]))
    assert {e: r[0]["text"] for e, r in rows.items()} == {"s/000000": "old", "s/000001": "new"}


def test_a_table_file_without_its_commit_does_not_exist(tmp_path):
    ledger = Ledger(str(tmp_path))
    commit = publish(ledger, ["s/000000"])
    os.remove(tmp_path / f"ledger/caption/{commit.unit}.json")  # killed between the table and the commit
    assert State(ledger.load("caption")).status("s/000000", "f") is None
    assert publish(ledger, ["s/000000"]) == commit  # the rerun writes the same file again


def test_a_half_written_file_does_not_count(tmp_path):
    ledger = Ledger(str(tmp_path))
    publish(ledger, ["s/000000"])
    (tmp_path / "ledger/caption/.abc.json.1234.tmp").write_text('{"stage": "capt')  # killed while writing
    assert len(ledger.load("caption")) == 1


def test_rows_that_do_not_fit_are_not_committed(tmp_path):
    ledger = Ledger(str(tmp_path))
    with pytest.raises(SchemaError):
        ledger.publish("caption", [Item("s/000000", "f")], {"captions": [{"event_id": "x"}]}, {})
    assert ledger.load("caption") == []


def test_a_success_counts_before_a_failure():
    first = Commit("s", "1", (Item("a", "f", RETRY),), {})
    second = Commit("s", "2", (Item("a", "f", OK),), {})
    assert State([first, second]).status("a", "f") == OK
    assert State([second, first]).status("a", "f") == OK


def test_fingerprints_hash_values_not_order():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint("a", "b") != fingerprint("ab")
    with pytest.raises(TypeError):
        fingerprint(object())


# -- what a worker makes of a bad item


def room(unit: Unit, context: Context) -> Outcome:
    outcome = Outcome()

    def work(name: str) -> None:
        if name == "s/000001":
            raise Quarantined(Reason.STATE_JUMP, "jumped")
        if name == "s/000002":
            raise ZeroDivisionError("ours")
        outcome.add("captions", [caption(name, "fine")])

    each(unit, outcome, work)
    return outcome


def test_one_bad_item_does_not_cost_the_others(tmp_path):
    from pipeline.config import CorpusConfig

    names = [f"s/{i:06d}" for i in range(3)]
    unit = Unit("caption", tuple((n, "f") for n in names), {}, dict.fromkeys(names, "s"))
    commit = execute(unit, Context(str(tmp_path), CorpusConfig()), room)
    assert [(i.name, i.status) for i in commit.items] == [
        ("s/000000", OK),
        ("s/000001", QUARANTINED),
        ("s/000002", RETRY),
    ]
    rows = frame(str(tmp_path), "quarantine", {commit.files["quarantine"].path: ["*"]}).to_dicts()
    assert [(r["item"], r["reason"], r["retryable"]) for r in rows] == [
        ("s/000001", "state_jump", False),
        ("s/000002", "internal_error", True),
    ]
    assert "ZeroDivisionError: ours" in rows[1]["message"]
    assert "test_ledger.py" in rows[1]["message"]  # where it happened


# -- the lock


def test_a_second_build_is_refused_and_told_who_holds_the_corpus(tmp_path):
    with locked(str(tmp_path)), pytest.raises(Locked, match=f"process {os.getpid()}"), locked(str(tmp_path)):
        pass
    with locked(str(tmp_path)):
        pass  # released


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True
    )
    holder = {**_here(), "pid": int(gone.stdout), "started": 1.0}
    (tmp_path / "build.lock").write_text(json.dumps(holder))
    with locked(str(tmp_path)):
        assert json.loads((tmp_path / "build.lock").read_text())["pid"] == os.getpid()


def test_a_process_that_reuses_the_number_is_not_the_holder(tmp_path):
    holder = {**_here(), "pid": os.getpid(), "started": 1.0}
    (tmp_path / "build.lock").write_text(json.dumps(holder))
    with locked(str(tmp_path)):
        pass


def test_a_lock_of_another_host_is_respected(tmp_path):
    (tmp_path / "build.lock").write_text(json.dumps({"host": "elsewhere", "pid": 1, "started": 1.0}))
    with pytest.raises(Locked, match=r"on elsewhere.*remove .*build.lock"), locked(str(tmp_path)):
        pass


def test_a_lock_of_another_container_of_this_host_is_respected(tmp_path):
    holder = {**_here(), "namespace": "pid:[1]", "pid": 2**22 - 1, "started": "x"}
    (tmp_path / "build.lock").write_text(json.dumps(holder))
    with pytest.raises(Locked), locked(str(tmp_path)):
        pass


def test_a_lock_that_appears_while_a_stale_one_is_taken_away_stays(tmp_path, monkeypatch):
    """Between finding a stale lock and looking at it again its place may be empty, and a moment later another's."""
    from pipeline import lock

    live = {**_here(), "pid": os.getpid(), "started": lock._started(os.getpid())}
    real = lock.storage.exists

    def exists(uri: str) -> bool:
        there = real(uri)
        (tmp_path / "build.lock").write_text(json.dumps(live))  # linked by another right now
        return there

    monkeypatch.setattr(lock.storage, "exists", exists)
    lock._remove_if_stale(str(tmp_path))
    assert json.loads((tmp_path / "build.lock").read_text()) == live
