"""The review server: what it writes, what it answers."""

import io
import json
from typing import get_type_hints

import polars as pl
import pytest

from pipeline.corpus import decisions, tombstones
from pipeline.review import models, service
from pipeline.review.access import tokens_of
from pipeline.review.catalogue import ShownEvent
from pipeline.review.store import Store, StoreInUse
from stages.forgotten import Tombstone
from stages.review.spans import Span
from tests.review.rows import MACHINE
from tests.review.server import FIRST, Frames, body, client, drawn, events, review, send, spans, written

# -- deciding


def test_a_decision_is_on_disk_when_it_is_answered(own, web):
    answer = send(web, 1, "end", 1, to_ms=1700, spent_ms=1200, comment="late")
    assert answer.status_code == 200
    assert [(e["start_ms"], e["end_ms"]) for e in answer.json()["events"]][1:3] == [(1000, 1700), (1700, 3000)]
    (row,) = own.store.all()
    assert (row["actor"], row["action"], row["start_ms"], row["spent_ms"], row["comment"]) == (
        "ada", "end", 1000, 1200, "late",
    )  # fmt: skip
    assert [s["own"] for s in row["after"]] == [["span"], ["span"]]


def test_what_is_sent_twice_is_one_decision(own, web):
    asked = body(spans(web), 0, "accept", drawn())
    first, second = (web.post("/api/decide", json=asked).json() for _ in range(2))
    assert first == second
    assert len(own.store.all()) == 1


def test_a_stale_base_is_refused_with_what_is_there_now(own, web):
    before = spans(web)
    assert web.post("/api/decide", json=body(before, 1, "caption", drawn(), text="take it")).status_code == 200
    late = web.post("/api/decide", json=body(before, 1, "caption", drawn(), text="grab it"))
    assert late.status_code == 409
    assert (late.json()["kind"], late.json()["by"]) == ("changed", "ada")
    assert late.json()["events"][1]["text"] == "take it"
    # the neighbour counts where its edge would move, and not where it would not
    assert web.post("/api/decide", json=body(before, 0, "end", drawn(), 1, to_ms=800)).status_code == 409
    assert web.post("/api/decide", json=body(before, 0, "accept", drawn())).status_code == 200
    assert web.post("/api/decide", json=body(before, 9 % 4, "start", drawn(), -1, to_ms=800)).status_code == 409
    assert len(own.store.all()) == 2


def test_an_event_that_is_gone_is_a_conflict_too(web):
    before = spans(web)
    send(web, 1, "merge", 1)
    assert web.post("/api/decide", json=body(before, 2, "accept", drawn())).status_code == 409


def test_undo_and_redo_are_rows(own, web):
    first = send(web, 0, "accept").json()["decision_id"]
    again = dict(undoes=first, seen=[])
    undo = body(spans(web), 0, "undo", drawn()) | again
    assert web.post("/api/decide", json=undo).json()["events"][0]["state"] == ""
    redo = body(spans(web), 0, "undo", drawn()) | {"undoes": undo["decision_id"]}
    assert web.post("/api/decide", json=redo).json()["events"][0]["state"] == "accepted"
    assert [r["action"] for r in own.store.all()] == ["accept", "undo", "undo"]
    stale = body(spans(web), 0, "undo", drawn()) | {"undoes": undo["decision_id"]}
    assert web.post("/api/decide", json=stale).status_code == 409  # what it left is not there any more


def test_what_cannot_be_done_is_422_in_words(web):
    assert send(web, 3, "merge").json() == {"detail": "it is the last event: there is none after it to merge with"}
    assert send(web, 0, "primitive", primitive="dance").status_code == 422
    assert send(web, 0, "destroy").status_code == 422
    assert web.post("/api/decide", json={"episode": FIRST}).status_code == 422


def test_an_episode_is_one_persons_at_a_time(tmp_path):
    own = review(tmp_path)
    hashed = tokens_of(written(tmp_path, "ada aaaaaaaaaaaaaaaaaaaa\nbo  bbbbbbbbbbbbbbbbbbbb # night\n"))
    ada, bo = client(own, hashed), client(own, hashed)
    for web, name, letter in ((ada, "ada", "a"), (bo, "bo", "b")):
        assert web.post("/api/sign-in", json={"name": name, "token": letter * 20}).status_code == 204
    assert ada.post("/api/lease", json={"episode": FIRST}).status_code == 204
    assert bo.post("/api/lease", json={"episode": FIRST}).status_code == 409
    held = bo.post("/api/decide", json=body(spans(bo), 0, "accept", drawn()))
    assert (held.status_code, held.json()["kind"], held.json()["by"]) == (409, "leased", "ada")
    assert bo.get("/api/queue").json()["held"] == {FIRST: "ada"}
    assert ada.post("/api/lease", json={"episode": "lab/000002"}).status_code == 204  # lets go of the first
    done = bo.post("/api/decide", json=body(spans(bo), 0, "accept", drawn()))
    assert done.status_code == 200
    assert ada.get("/api/progress").json()["people"] == [["bo", 1, 0]]
    mine = body(spans(ada), 0, "undo", drawn()) | {"undoes": done.json()["decision_id"]}
    own.leases.clear()
    assert "only they take it back" in ada.post("/api/decide", json=mine).json()["detail"]
    own.store.close()


# -- the queue


def test_filters_orders_and_counts(web):
    def found(**wanted):
        rows = web.get("/api/queue", params=wanted).json()
        return rows["total"], [(e["episode"][-1], e["primitive"]) for e in rows["events"]]

    assert found(primitive="lift") == (2, [("1", "lift"), ("2", "lift")])
    assert found(q="arm moves", order="rarity")[0] == 2
    assert found(q="100%")[0] == 0
    assert found(most=0.55, order="confidence") == (2, [("1", "reach"), ("2", "reach")])
    assert found(order="rarity", limit=1) == (8, [("1", "place")])
    send(web, 0, "reject")
    assert found(state="open", episode=FIRST)[0] == 3
    assert found(state="rejected") == (1, [("1", "reach")])
    assert web.get("/api/progress", params={"level": "L1"}).json()["states"] == {"": 7, "rejected": 1}
    assert web.get("/api/queue", params={"order": "1; DROP TABLE spans"}).status_code == 422
    assert web.get("/api/facets").json()["facets"]["vl"] == [["0", 4], ["1", 4]]


def test_a_second_pass_is_blind_and_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "SECOND", 1.0)
    own = review(tmp_path)
    hashed = tokens_of(written(tmp_path, "ada aaaaaaaaaaaaaaaaaaaa\nbo  bbbbbbbbbbbbbbbbbbbb\n"))
    ada, bo = client(own, hashed), client(own, hashed)
    for web, name, letter in ((ada, "ada", "a"), (bo, "bo", "b")):
        assert web.post("/api/sign-in", json={"name": name, "token": letter * 20}).status_code == 204
    asked = {"level": "L1", "second": True}
    send(ada, 0, "end", 1, to_ms=900)
    for number in range(4):
        assert bo.get("/api/queue", params=asked).json()["total"] == 0  # not before all is judged
        send(ada, number, "accept")
    assert ada.get("/api/queue", params=asked).json()["total"] == 0
    rows = bo.get("/api/queue", params=asked).json()["events"]
    assert [(e["start_ms"], e["state"], e["own"]) for e in rows] == [(s.start, "", []) for s in MACHINE]
    for number, row in enumerate(rows):
        answer = bo.post("/api/decide", json=body(rows, number, "accept", drawn(), blind=True))
        assert answer.status_code == 200, answer.text
        assert answer.json()["events"][number]["start_ms"] == row["start_ms"]
    assert bo.get("/api/queue", params=asked).json()["total"] == 0
    assert [e["start_ms"] for e in spans(ada)] == [0, 900, 1500, 3000]
    found = bo.get("/api/quality").json()
    assert (found["judged"], found["unedited"], found["shifts_s"], found["twice"]) == (4, 0.5, [-0.1], 1)
    assert found["agreement"]["boundary_f1_0.25_s"] == 1.0
    assert found["agreement"]["kappa"] == pytest.approx((39 / 40 - 0.25) / 0.75, abs=0.06)
    assert len(own.touched) == 1
    own.store.close()


# -- publishing, and another build


def test_decisions_are_published_as_parts_and_taken_up_again(tmp_path):
    own = review(tmp_path)
    web = client(own)
    send(web, 0, "accept")
    assert (own.publish(), own.publish()) == (1, 0)
    send(web, 1, "reject")
    assert own.publish() == 1
    root = str(tmp_path / "corpus")
    assert [r["action"] for r in decisions.read(root)] == ["accept", "reject"]
    own.store.close()
    (tmp_path / "store/s.sqlite").unlink()  # the machine is gone: what was published is there
    again = review(tmp_path)
    assert [e["state"] for e in spans(client(again))] == ["accepted", "rejected", "", ""]
    assert again.publish() == 0
    name = decisions.parts(root)[0]
    path = tmp_path / "corpus/decisions" / name
    path.write_bytes(path.read_bytes()[:-9])
    assert decisions.damaged(root) == [f"decisions/{name}"]
    with pytest.raises(decisions.DamagedDecisions, match=name):
        decisions.read(root)
    again.store.close()


def test_after_another_build_decisions_lie_over_the_new_spans(own, web):
    from pipeline.review.catalogue import Catalogue
    from tests.review.server import FIRST, send, spans

    send(web, 3, "accept")
    send(web, 0, "end", 1, to_ms=800)
    moved = [*MACHINE[:2], Span(1500, 2500, "lift"), Span(2500, 4000, "place")]
    own.take(Catalogue(events(2, moved)), Frames())
    assert [(e["start_ms"], e["state"]) for e in spans(web)] == [(0, ""), (800, ""), (1500, ""), (2500, "")]
    stale = own.of(FIRST, "ada")[1]
    assert [(s["start_ms"], s["state"], s["by"]) for s in stale] == [(3000, "accepted", "ada")]


def test_what_is_forgotten_goes_from_parts_and_store(own, web):
    send(web, 0, "accept", comment="Bo at work")
    other = body(spans(web, "lab/000002"), 0, "accept", drawn())
    assert web.post("/api/decide", json=other).status_code == 200
    own.publish()
    assert (decisions.forget(own.root, {FIRST}, dry=True), decisions.forget(own.root, {FIRST})) == (1, 1)
    assert [r["episode_id"] for r in decisions.read(own.root)] == ["lab/000002"]
    tombstones.write(
        own.root, Tombstone(FIRST, FIRST, "lab", "", "", None, None, None, "2100-01-01T00:00:00+00:00", "ada", "why")
    )
    own.publish()
    assert [r["episode_id"] for r in own.store.all()] == ["lab/000002"]
    assert decisions.read(own.root) == own.store.all()


def test_one_server_a_store(tmp_path):
    first = Store(str(tmp_path / "s.sqlite"))
    with pytest.raises(StoreInUse, match="in use"):
        Store(str(tmp_path / "s.sqlite"))
    first.close()
    Store(str(tmp_path / "s.sqlite")).close()


def test_exports_hold_all_decisions(own, web):
    send(web, 0, "caption", text="=HYPERLINK(1)")
    send(web, 0, "accept", comment="=1+1")
    lines = web.get("/api/export", params={"format": "jsonl"}).text.splitlines()
    assert [json.loads(line) for line in lines] == own.store.all()
    assert pl.read_parquet(io.BytesIO(web.get("/api/export?format=parquet").content)).height == 2
    assert "'=1+1" in web.get("/api/export?format=csv").text


def test_a_server_goes_on_while_its_parts_are_merged(own, web):
    for number in range(4):
        assert send(web, number, "accept").status_code == 200
        own.publish()
    rows = own.store.all()
    assert len(decisions.parts(own.root)) == 4
    assert decisions.merge(own.root, rows[-1]["time_ms"] + decisions.SETTLED_MS + 1) == (4, 1)
    assert send(web, 0, "reject").status_code == 200
    assert own.publish() == 1
    assert own.publish() == 0
    assert decisions.read(own.root) == own.store.all() == [*rows, own.store.all()[-1]]
    assert len(decisions.parts(own.root)) == 2


@pytest.mark.parametrize(("wired", "rows"), [(models.Event, ShownEvent), (models.Progress, service.Progress)])
def test_the_wire_says_of_a_row_what_the_row_is(wired, rows):
    """OpenAPI is told by one, mypy by the other; whoever is signed in (`me`) is the route's to add."""
    own, theirs = get_type_hints(rows), get_type_hints(wired)
    shared = {name: theirs[name] for name in wired.model_fields if name != "me"}
    assert shared == {name: own.get(name) for name in shared}
