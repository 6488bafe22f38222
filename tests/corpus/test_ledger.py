"""What is committed counts, and nothing else does."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import polars as pl
import pyarrow as pa
import pytest

from pipeline.build.worker import Context, execute
from pipeline.corpus.commit import OK, QUARANTINED, RETRY, Commit, Item, PartFile
from pipeline.corpus.ledger import Ledger
from pipeline.corpus.lock import Locked, _here, locked
from pipeline.corpus.state import State, grouped
from pipeline.corpus.tables import by_episode, frame
from schemas.captions import CAPTIONS
from schemas.quarantine import QUARANTINE
from schemas.reasons import Quarantined, Reason
from schemas.table import SchemaError
from stages.caption import CAPTION, CaptionConfig
from stages.fingerprint import each_fingerprint, fingerprint
from stages.work import Inputs, Outcome, Unit


def caption(episode: str, text: str) -> dict:
    row = dict.fromkeys((c.name for c in CAPTIONS.columns if c.type == pa.string()), "")
    row |= {"event_id": f"{episode}/L3/0000000", "episode_id": episode, "level": "L3", "text": text, "status": "ok"}
    numbers = {"remaining_s": 0.0, "contradictions": 0, "question_tokens": 0, "answer_tokens": 0}
    return {**row, **numbers, "source": "signals", "confidence": None, "phrasings": []}


def publish(ledger: Ledger, names: list[str], digest: str = "f", text: str = "t") -> Commit:
    items = [Item(n, digest) for n in names]
    return ledger.publish("caption", items, {CAPTIONS: [caption(n, text) for n in names]}, {"seconds": 1.0})


def wanted(*pairs: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame(list(pairs), schema={"item": pl.String, "fingerprint": pl.String}, orient="row")


def test_a_published_part_is_found_again(tmp_path):
    ledger = Ledger(str(tmp_path))
    commit = publish(ledger, ["s/000000", "s/000001"])
    state = ledger.state("caption")
    assert state.commits() == [commit]
    assert state.status("s/000001", "f") == OK
    assert state.status("s/000001", "other") is None
    parts = grouped(state.parts("captions", wanted(("s/000001", "f"))))
    assert frame(str(tmp_path), CAPTIONS, parts)["episode_id"].to_list() == ["s/000001"]


def test_how_episodes_are_grouped_never_shows(tmp_path):
    names = [f"s/{i:06d}" for i in (3, 0, 2, 1)]
    tables = []
    for number, groups in enumerate([[names], [names[:1], names[1:]], [[n] for n in names]]):
        ledger = Ledger(str(tmp_path / str(number)))
        for group in groups:
            publish(ledger, group)
        parts = grouped(ledger.state("caption").parts("captions", wanted(*((n, "f") for n in names))))
        tables.append(frame(ledger.root, CAPTIONS, parts))
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_a_superseded_row_in_a_shared_part_is_passed_over(tmp_path):
    ledger = Ledger(str(tmp_path))
    publish(ledger, ["s/000000", "s/000001"], "old", "old")
    publish(ledger, ["s/000001"], "new", "new")
    found = ledger.state("caption").parts("captions", wanted(("s/000000", "old"), ("s/000001", "new")))
    rows = by_episode(str(tmp_path), CAPTIONS, grouped(found))
    assert {e: r[0]["text"] for e, r in rows.items()} == {"s/000000": "old", "s/000001": "new"}


def test_a_table_file_without_its_commit_does_not_exist(tmp_path):
    ledger = Ledger(str(tmp_path))
    commit = publish(ledger, ["s/000000"])
    os.remove(tmp_path / f"ledger/caption/{commit.unit}.json")  # killed between the table and the commit
    assert ledger.state("caption").status("s/000000", "f") is None
    assert publish(ledger, ["s/000000"]) == commit  # the rerun writes the same file again


def test_a_half_written_file_does_not_count(tmp_path):
    ledger = Ledger(str(tmp_path))
    publish(ledger, ["s/000000"])
    (tmp_path / "ledger/caption/.abc.json.1234.tmp").write_text('{"stage": "capt')  # killed while writing
    assert len(ledger.state("caption").commits()) == 1


def test_rows_that_do_not_fit_are_not_committed(tmp_path):
    ledger = Ledger(str(tmp_path))
    with pytest.raises(SchemaError):
        ledger.publish("caption", [Item("s/000000", "f")], {CAPTIONS: [{"event_id": "x"}]}, {})
    assert ledger.state("caption").commits() == []


@pytest.mark.parametrize("later", [[], [RETRY], [QUARANTINED, RETRY]])
def test_a_success_counts_before_a_failure_and_one_for_good_before_one_to_be_tried_again(later):
    failed = [Commit("s", str(i), (Item("a", "f", status),), {}) for i, status in enumerate([RETRY, *later])]
    for order in (failed, failed[::-1]):
        assert State("s", order).status("a", "f") == (QUARANTINED if QUARANTINED in later else RETRY)
    good = Commit("s", "9", (Item("a", "f", OK), Item("b", "f", OK)), {})
    for place in range(len(failed) + 1):
        found = State("s", [*failed[:place], good, *failed[place:]]).of(wanted(("a", "f"), ("b", "f"), ("c", "f")))
        assert found["status"].to_list() == [OK, OK, None]
        assert found["unit"].to_list() == ["9", "9", None]


def test_a_unit_that_was_done_again_counts_as_it_is_now():
    failed = Commit("s", "1", (Item("a", "f", RETRY),), {"quarantine": PartFile("q", 1, 1, "x")})
    done = Commit("s", "1", (Item("a", "f", OK, {"samples": 3.0}),), {"shard": PartFile("t", 0, 1, "y")})
    state = State("s", [failed])
    assert state.status("a", "f") == RETRY
    state.add(done)
    assert state.commits() == [done]
    assert state.files["name"].to_list() == ["shard"]


# -- checkpoints


@pytest.fixture
def folded(tmp_path):
    """(ledger, its commits) of which three lie in a checkpoint and one beside it."""
    ledger = Ledger(str(tmp_path))
    commits = [publish(ledger, [f"s/{i:06d}"]) for i in range(3)]
    ledger.fold("caption", least=0)
    assert sorted(p.suffix for p in (tmp_path / "ledger/caption").iterdir()) == [".parquet", ".parquet"]
    return ledger, sorted([*commits, publish(ledger, ["s/000003"])], key=lambda c: c.unit)


def test_a_checkpoint_holds_what_its_commits_held(folded):
    ledger, commits = folded
    assert ledger.state("caption").commits() == commits
    ledger.fold("caption", least=0)
    ledger.fold("caption", least=0)  # nothing beside it: it stays
    assert ledger.state("caption").commits() == commits
    assert len(list(ledger_files(ledger))) == 2


def ledger_files(ledger):
    return sorted(os.listdir(f"{ledger.root}/ledger/caption"))


def test_few_commits_are_left_as_they_are(tmp_path):
    ledger = Ledger(str(tmp_path))
    commit = publish(ledger, ["s/000000"])
    ledger.fold("caption")
    assert ledger_files(ledger) == [f"{commit.unit}.json"]


def test_killed_at_any_instant_of_a_checkpoint_nothing_is_lost(folded, monkeypatch):
    """Every write and every removal of a second checkpoint, one after the other, is the last thing that happens."""
    from pipeline.corpus import ledger as module

    class Killed(Exception):
        pass

    ledger, commits = folded
    real = {name: getattr(module.storage, name) for name in ("write_bytes", "remove")}
    for instant in range(20):
        left = [instant]

        def counted(name, left=left):
            def act(*arguments):
                if not left[0]:
                    raise Killed
                left[0] -= 1
                real[name](*arguments)

            return act

        for name in real:
            monkeypatch.setattr(module.storage, name, counted(name))
        try:
            ledger.fold("caption", least=0)
        except Killed:
            assert ledger.state("caption").commits() == commits
        else:
            break
        finally:
            monkeypatch.undo()
    assert instant > 2
    assert ledger.state("caption").commits() == commits


def test_who_looks_while_commits_are_folded_sees_all_of_them(tmp_path, monkeypatch):
    """The listing is taken, then a build folds: the files that were listed are gone."""
    ledger = Ledger(str(tmp_path))
    commits = sorted((publish(ledger, [f"s/{i:06d}"]) for i in range(3)), key=lambda c: c.unit)
    names = ledger_files(ledger)
    ledger.fold("caption", least=0)
    listings = iter([names])
    real = Ledger._names
    monkeypatch.setattr(Ledger, "_names", lambda self, stage: next(listings, None) or real(self, stage))
    assert ledger.state("caption").commits() == commits
    assert ledger.damaged("caption") == []


def test_a_commit_is_removed_wherever_it_lies(folded):
    ledger, commits = folded
    for commit in commits:
        ledger.remove("caption", [commit.unit])
        assert commit not in ledger.state("caption").commits()
    assert ledger.state("caption").commits() == []


def test_a_commit_made_again_counts_before_the_one_in_the_checkpoint(folded):
    ledger, commits = folded
    again = publish(ledger, ["s/000001"], text="mended")
    found = {c.unit: c for c in ledger.state("caption").commits()}
    assert found[again.unit] == again
    assert len(found) == len(commits)


def test_a_damaged_checkpoint_is_read_from_its_copy_and_mended(folded):
    ledger, commits = folded
    name = next(n for n in ledger_files(ledger) if n.endswith("-copy.parquet")).replace("-copy", "")
    path = f"{ledger.root}/ledger/caption/{name}"
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"\xff\xff\xff")
    assert ledger.damaged("caption") == [name]
    assert ledger.state("caption").commits() == commits
    ledger.remove("caption", [name])
    assert ledger.damaged("caption") == []
    assert ledger.state("caption").commits() == commits


@pytest.mark.parametrize("which", [0, 1])
def test_a_checkpoint_whose_copy_is_gone_is_told_and_mended(folded, which):
    ledger, commits = folded
    name = [n for n in ledger_files(ledger) if n.startswith("checkpoint")][which]
    os.remove(f"{ledger.root}/ledger/caption/{name}")
    assert ledger.damaged("caption") == [name]
    ledger.remove("caption", [name])
    assert ledger.damaged("caption") == []
    assert ledger.state("caption").commits() == commits


def test_a_build_gives_a_checkpoint_its_copy_however_few_commits_lie_beside_it(folded):
    ledger, commits = folded
    os.remove(next(f"{ledger.root}/ledger/caption/{n}" for n in ledger_files(ledger) if "-copy" in n))
    ledger.fold("caption")
    assert ledger.damaged("caption") == []
    assert ledger.state("caption").commits() == commits
    assert len([n for n in ledger_files(ledger) if n.startswith("checkpoint")]) == 2


def test_of_a_checkpoint_whose_copies_are_both_damaged_the_commits_are_missing(folded):
    ledger, _ = folded
    for name in ledger_files(ledger):
        if name.endswith(".parquet"):
            open(f"{ledger.root}/ledger/caption/{name}", "wb").close()
    assert [i.name for c in ledger.state("caption").commits() for i in c.items] == ["s/000003"]
    damaged = ledger.damaged("caption")
    assert len(damaged) == 2
    ledger.fold("caption", least=0)  # what cannot be read is not replaced by what can
    ledger.remove("caption", [c.unit for c in ledger.state("caption").commits()][:0])
    assert ledger.damaged("caption") == damaged
    ledger.remove("caption", damaged)  # a repair names them
    assert ledger.damaged("caption") == []
    assert [i.name for c in ledger.state("caption").commits() for i in c.items] == ["s/000003"]


def test_fingerprints_hash_values_not_order():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint("a", "b") != fingerprint("ab")
    with pytest.raises(TypeError):
        fingerprint(object())


def test_columns_hash_as_values_do():
    found = each_fingerprint("s", pl.Series(["a", "b"]), pl.Series([1, 2]))
    assert found.to_list() == [fingerprint("s", "a", 1), fingerprint("s", "b", 2)]


@pytest.mark.parametrize("texts", [["a", "b"], ["a", None], [None], ["a", 'b"'], ["ä", None], []])
def test_columns_of_text_hash_as_values_do(texts):
    column = pl.Series(texts, dtype=pl.String)
    expected = [fingerprint("s", text, "x") for text in texts]
    assert each_fingerprint("s", column, pl.Series(["x"] * len(texts), dtype=pl.String)).to_list() == expected


# -- what a worker makes of a bad item


def captions(unit, work, config) -> Outcome:
    outcome = Outcome()

    def one(name: str) -> None:
        if name == "s/000001":
            raise Quarantined(Reason.STATE_JUMP, "jumped")
        if name == "s/000002":
            raise ZeroDivisionError("ours")
        outcome.add(CAPTIONS, [caption(name, "fine")])

    return outcome.each(unit.names, one)


def test_one_bad_item_does_not_cost_the_others(tmp_path):
    names = [f"s/{i:06d}" for i in range(3)]
    unit = Unit("caption", tuple((n, "f") for n in names), Inputs(), dict.fromkeys(names, "s"))
    commit = execute(unit, Context(str(tmp_path), replace(CAPTION, run=captions), CaptionConfig()))
    assert [(i.name, i.status) for i in commit.items] == [
        ("s/000000", OK),
        ("s/000001", QUARANTINED),
        ("s/000002", RETRY),
    ]
    rows = frame(str(tmp_path), QUARANTINE, {commit.files["quarantine"].path: ["*"]}).to_dicts()
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
