"""What decisions teach the queue, and what known answers say of people: worked out by hand, and through the server."""

import hashlib
import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.corpus import decisions
from pipeline.labels import LabelError
from pipeline.review.loop import gold as dealing
from pipeline.review.loop.gold import Gold, gold_of
from stages.review.calibration import FEWEST, Said, calibrate, fit, reliability
from stages.review.cases import Case, cases, notes
from stages.review.fold import fold
from stages.review.gold import score
from stages.review.spans import Span
from stages.review.worth import pace, worth
from tests.review.rows import MACHINE, Reviewed
from tests.review.server import body, client, events, review

FIRST, SECOND = "lab/000001", "lab/000002"
PLACE = (SECOND, "L1", "all")


def machine(sure=0.8, primitive="reach"):
    return {"primitive": primitive, "sure": sure, "said_by": "vlm", "doubt": False}


def case(number, right, sure=0.8, primitive="reach", spent_ms=2000, length_ms=1000):
    return Case(f"lab/{number % 5:06d}", "L1", machine(sure, primitive), length_ms, right, spent_ms, number)


# -- cases


def test_a_case_is_an_event_that_was_judged():
    own = Reviewed()
    own.do("accept", 0)
    own.do("end", 1000, to=1700)
    own.do("accept", 1000)
    own.do("reject", 3000)
    for row, sure, spent in zip(own.rows, (0.9, 0.6, 0.6, 0.3), (1000, 4000, 500, 700), strict=True):
        row |= {"machine": machine(sure), "spent_ms": spent}
    found = cases(fold(own.rows), notes(own.rows))
    assert [(c.machine["sure"], c.right, c.spent_ms) for c in found] == [
        (0.9, True, 1000), (0.6, False, 4500), (0.3, False, 700),
    ]  # fmt: skip
    # a build has made the corrected event a person's: what the machine had said of it still counts
    own.do("flag", 1000)
    own.rows[-1]["spent_ms"] = 100
    assert [c.spent_ms for c in cases(fold(own.rows), notes(own.rows))] == [1000, 700, 4600]
    # and what is taken back was never judged
    own.do("reject", 0)
    own.undo()
    own.rows[0]["machine"] = None
    assert [c.machine["sure"] for c in cases(fold(own.rows), notes(own.rows))] == [0.3, 0.6]


# -- calibration


def test_nothing_is_said_of_few_events():
    some = [case(n, n % 2 == 0) for n in range(FEWEST - 1)]
    assert calibrate(some) is None
    assert calibrate([*some, case(1, True)]).events == FEWEST
    assert calibrate([case(5 * n, n % 2 == 0) for n in range(100)]) is None  # of one episode


def test_reliability_by_hand():
    found = reliability(np.array([0.85, 0.85, 0.15, 1.0]), np.array([True, False, False, True]))
    assert [b for b in found.bins if b[1]] == [
        (pytest.approx(0.1), 1, 0.15, 0.0), (pytest.approx(0.8), 2, 0.85, 0.5), (pytest.approx(0.9), 1, 1.0, 1.0),
    ]  # fmt: skip
    assert found.brier == pytest.approx((0.15**2 + 0.85**2 + 0.15**2 + 0) / 4)
    assert found.error == pytest.approx((0.15 + 2 * 0.35 + 0) / 4)


def test_what_is_too_sure_is_calibrated_and_what_is_shown_is_held_out():
    # it says 0.95 of grasps, of which all are right, and of reaches, of which a quarter is
    some = [case(n, n % 2 == 0 or n % 8 == 1, 0.95, "grasp" if n % 2 == 0 else "reach") for n in range(400)]
    found = calibrate(some)
    assert found.before.brier == pytest.approx((250 * 0.05**2 + 150 * 0.95**2) / 400)
    assert found.after.brier == pytest.approx(0.5 * 0.25 * 0.75, abs=0.01)  # no better than the quarter itself
    assert found.after.error < 0.05 < found.before.error
    groups = np.array([["L1", "grasp", "vlm", "False"], ["L1", "reach", "vlm", "False"]], dtype=object)
    chance = found.curve.chance(Said(np.array([0.95, 0.95]), groups))
    assert chance == pytest.approx([1.0, 0.25], abs=0.06)


def test_the_chance_never_falls_as_confidence_rises():
    groups = np.array([["L1", "reach", "vlm", "False"]] * 200, dtype=object)
    sure = np.linspace(0.05, 0.95, 200)
    rising, falling = (fit(Said(sure, groups), right).chance(Said(sure, groups)) for right in (sure > 0.5, sure < 0.5))
    assert (np.diff(rising) > 0).all()
    assert falling == pytest.approx(np.full(200, 0.5), abs=0.01)  # a slope that would fall is none
    assert fit(Said(sure, groups), sure > 0).chance(Said(sure, groups)) == pytest.approx(201 / 202)


# -- seconds, worth


def test_seconds_fall_back_on_the_mean_and_stay_among_what_was_seen():
    quick = [case(n, True, spent_ms=2000, primitive="grasp") for n in range(60)]
    slow = [case(n, True, spent_ms=8000, primitive="reach") for n in range(60)]
    away = [case(0, True, spent_ms=600_000, primitive="reach")]
    found = pace([*quick, *slow, *away])
    seconds = found.seconds(np.ones(3), np.array(["grasp", "reach", "press"], dtype=object))
    # ridge: a group of 60 keeps most of what is its own (60 / 70 of it, to which the other's shrinking adds)
    assert seconds == pytest.approx([2.5, 7.5, 5.0], abs=0.6)
    assert found.seconds(np.array([1e6]), np.array(["reach"], dtype=object))[0] <= 8.0
    assert pace(quick[: FEWEST - 1]) is None
    assert pace([case(n, True, spent_ms=0) for n in range(99)]) is None


def test_worth_is_errors_a_second():
    assert worth(np.array([0.5, 0.9]), np.array([5.0, 0.5])) == pytest.approx([0.1, 0.2])


# -- the queue learns


def judged(web, own, spans_wrong, episodes):
    """Accept everything but what starts at `spans_wrong`, which is rejected; in 2 s each."""
    for number in range(1, episodes + 1):
        name = f"lab/{number:06d}"
        rows = web.get("/api/queue", params={"episode": name, "level": "L1"}).json()["events"]
        for n, row in enumerate(rows):
            action = "reject" if row["start_ms"] == spans_wrong else "accept"
            asked = body(rows, n, action, f"{number:016x}{n:016x}", spent_ms=2000)
            assert web.post("/api/decide", json=asked).status_code == 200


def test_the_queue_asks_first_what_is_most_likely_wrong(tmp_path):
    own = review(tmp_path, events(12))
    web = client(own)
    asked = {"order": "worth", "state": "open", "level": "L1"}
    assert web.get("/api/facets").json()["missing"] == FEWEST
    judged(web, own, 3000, 6)  # `place`, which the machine is surest of
    assert web.get("/api/learned").json() == {"events": 0, "missing": FEWEST, "before": None, "after": None}
    assert not own.learn()  # 24 are too few
    assert web.get("/api/facets").json()["missing"] == FEWEST - 24
    judged(web, own, 3000, 8)
    assert own.learn()
    assert not own.learn()  # nothing new
    assert web.get("/api/facets").json()["missing"] == 0
    rows = web.get("/api/queue", params=asked).json()["events"]
    assert [r["primitive"] for r in rows] == ["place"] * 4 + [r["primitive"] for r in rows[4:]]
    assert "place" not in [r["primitive"] for r in rows[4:]]
    assert all(r["chance"] < 0.5 < s["chance"] for r in rows[:4] for s in rows[4:])
    # the machine is least sure of what is always right
    by_confidence = web.get("/api/queue", params=asked | {"order": "confidence"}).json()["events"]
    assert [r["primitive"] for r in by_confidence[:4]] == ["reach"] * 4
    told = web.get("/api/learned").json()
    assert (told["events"], told["after"]["brier"] < told["before"]["brier"]) == (32, True)
    own.store.close()


def test_time_left_is_of_those_at_work(tmp_path):
    own = review(tmp_path, events(12))
    web = client(own)
    asked = web.get("/api/progress", params={"level": "L1"}).json()
    assert (asked["pace_s"], asked["together_s"], asked["at_work"]) == (None, None, [])
    judged(web, own, -1, 3)
    asked = web.get("/api/progress", params={"level": "L1"}).json()
    assert (asked["pace_s"], asked["together_s"], asked["at_work"]) == (2.0, 2.0, ["ada"])
    rows = own.store.all()
    for n, row in enumerate(rows):  # bo works beside her, at the double pace
        own.store.add([row | {"decision_id": f"{n + 900:032x}", "actor": "bo", "spent_ms": 1000}])
    asked = web.get("/api/progress", params={"level": "L1"}).json()
    assert (asked["pace_s"], asked["at_work"]) == (2.0, ["ada", "bo"])
    assert asked["together_s"] == pytest.approx(1 / (1 / 2 + 1))
    own.clock = lambda: rows[-1]["time_ms"] / 1000 + 3600  # an hour later nobody is
    asked = web.get("/api/progress", params={"level": "L1"}).json()
    assert (asked["pace_s"], asked["together_s"], asked["at_work"]) == (2.0, None, [])
    own.store.close()


# -- gold


RIGHT = [Span(0, 1000, "reach"), Span(1000, 2000, "grasp", "Take it."), Span(2000, 4000, "lift")]


def test_a_score_by_hand():
    spans = [
        Span(0, 1000, "reach", state="accepted"),  # right
        Span(1000, 1600, "grasp", "Take it.", state="accepted"),  # its end 400 ms early: near enough
        Span(1600, 3000, "place", state="accepted"),  # wrong
        Span(3000, 3500, "lift", state="rejected"),  # no such event: rightly rejected
        Span(3500, 4000, "lift"),  # not judged
    ]
    found = score([(spans, RIGHT)])
    assert (found.events, found.right) == (4, 0.75)
    assert found.iou == pytest.approx((1 + 0.6 + 1000 / 2400) / 3)
    # said 1000, 1600, 3000; right 1000, 2000
    assert found.f1 == {0.25: pytest.approx(2 / 5), 0.5: pytest.approx(4 / 5)}
    assert found.captions == 1.0
    # 60 instants: 20 reach of 20, 12 grasp; of 28 place 8 are grasp, 20 lift
    chance = (20 * 20 + 12 * 20) / 60**2
    assert found.kappa == pytest.approx((32 / 60 - chance) / (1 - chance))
    assert score([(MACHINE, RIGHT)]) is None
    # the edge of an event that was not judged is nobody's miss, though it is near one that was
    beside = [Span(0, 1000, "reach", state="accepted"), Span(1000, 4000, "grasp")]
    assert score([(beside, [*RIGHT[:1], Span(1000, 1200, "grasp"), Span(1200, 4000, "lift")])]).f1 == {0.25: 1, 0.5: 1}
    only = score([([Span(0, 4000, "reach", state="rejected")], RIGHT)])
    assert (only.events, only.right, only.iou, only.f1, only.kappa) == (1, 1.0, None, {}, None)


def tokens(tmp_path, *names):
    from pipeline.review.access import tokens_of

    (tmp_path / "tokens").write_text("".join(f"{n} {n * 20}\n" for n in names))
    return tokens_of(str(tmp_path / "tokens"))


def signed_in(own, hashed, name, leads=()):
    web = client(own, hashed, leads=frozenset(leads))
    assert web.post("/api/sign-in", json={"name": name, "token": name * 20}).status_code == 204
    return web


def test_gold_is_blind_personal_and_reaches_nothing(tmp_path):
    own = review(tmp_path, events(3), Gold({PLACE: RIGHT}))
    hashed = tokens(tmp_path, "a", "b", "c")
    one, two = (signed_in(own, hashed, name, ["c"]) for name in "ab")
    lead = signed_in(own, hashed, "c", ["c"])
    asked = {"level": "L1", "state": "open"}
    rows = one.get("/api/queue", params=asked).json()
    assert rows["total"] == 12
    golden = [r for r in rows["events"] if r["episode"] == SECOND]
    assert [r["start_ms"] for r in golden] == [s.start for s in MACHINE]
    assert {k for r in golden for k in r} == {k for r in rows["events"] for k in r if r["episode"] != SECOND}
    answers = []
    for n, (action, more, touches) in enumerate(
        [("accept", {}, 0), ("end", {"to_ms": 2000}, 1), ("accept", {}, 0), ("reject", {}, 0)]
    ):
        number = (0, 1, 1, 2)[n]
        rows = one.get("/api/queue", params={"episode": SECOND, "level": "L1"}).json()["events"]
        answer = one.post("/api/decide", json=body(rows, number, action, f"{n + 1:032x}", touches, **more))
        assert answer.status_code == 200, answer.text
        answers.append(answer.json())
    assert [e["state"] for e in answers[-1]["events"]] == ["accepted", "accepted", "rejected", ""]
    shown = [e for e in own.of(SECOND, "a")[0] if e["level"] == "L1"]
    assert [(e["start_ms"], e["state"]) for e in shown] == [
        (0, "accepted"), (1000, "accepted"), (2000, "rejected"), (3000, ""),
    ]  # fmt: skip
    # the other sees none of it, and is not kept out
    theirs = two.get("/api/queue", params={"episode": SECOND, "level": "L1"}).json()
    assert [(e["start_ms"], e["state"], e["own"]) for e in theirs["events"]] == [(s.start, "", []) for s in MACHINE]
    assert theirs["held"] == {}
    assert two.post("/api/lease", json={"episode": SECOND}).status_code == 204
    assert two.post("/api/decide", json=body(theirs["events"], 0, "reject", f"{9:032x}")).status_code == 200
    # in the table they are blind and gold; nothing of them is in any overlay, agreement, progress of others
    assert {(r["blind"], r["gold"]) for r in own.store.all()} == {(True, True)}
    own.publish()
    assert decisions.overlays_of(own.root) == {}
    assert fold(decisions.read(own.root)) == {}
    found = lead.get("/api/quality").json()
    assert (found["judged"], found["agreement"], found["twice"], found["shifts_s"]) == (0, None, 0, [])
    assert own.touched == {}
    assert not own.learn()
    counts = [web.get("/api/progress", params={"level": "L1"}).json()["states"] for web in (one, two, lead)]
    assert counts == [{"": 9, "accepted": 2, "rejected": 1}, {"": 11, "rejected": 1}, {"": 12}]
    # what one has done is told back as if it were like all else; who is in charge sees more
    assert {(r["blind"], r["gold"]) for r in one.get("/api/mine").json()} == {(False, False)}
    assert one.get("/api/export").status_code == 403
    assert len(lead.get("/api/export").text.splitlines()) == 5
    assert [web.get("/api/facets").json()["lead"] for web in (one, lead)] == [False, True]
    assert one.get("/api/gold").status_code == 403
    told = lead.get("/api/gold").json()
    assert (told["events"], sorted(told["people"])) == (3, ["a", "b"])
    # a: two right; rejecting [2000, 3000), which is no right span, is right; b has rejected a right one
    assert [(p["events"], p["right"]) for p in told["people"].values()] == [(3, 1.0), (1, 0.0)]
    assert told["people"]["a"]["f1"] == {"0.25": 1.0, "0.5": 1.0}
    own.store.close()


def test_taking_back_works_at_gold_as_anywhere(tmp_path):
    own = review(tmp_path, events(2), Gold({PLACE: RIGHT}))
    web = client(own)
    rows = web.get("/api/queue", params={"episode": SECOND}).json()["events"]
    done = web.post("/api/decide", json=body(rows, 0, "accept", f"{1:032x}")).json()
    undo = body(done["events"], 0, "undo", f"{2:032x}") | {"undoes": f"{1:032x}", "seen": []}
    assert [e["state"] for e in web.post("/api/decide", json=undo).json()["events"]] == [""] * 4
    stale = web.post("/api/decide", json=body(done["events"], 0, "reject", f"{3:032x}"))
    assert (stale.status_code, [e["state"] for e in stale.json()["events"]]) == (409, [""] * 4)
    own.store.close()


def test_without_its_file_gold_still_is_no_second_pass(tmp_path):
    own = review(tmp_path, events(2), Gold({PLACE: RIGHT}))
    web = client(own)
    rows = web.get("/api/queue", params={"episode": SECOND}).json()["events"]
    for n in range(4):
        assert web.post("/api/decide", json=body(rows, n, "accept", f"{n + 1:032x}")).status_code == 200
    own.store.close()
    again = review(tmp_path, events(2))  # nobody says any more that it is gold
    web = client(again, tokens(tmp_path, "b"))
    assert web.post("/api/sign-in", json={"name": "b", "token": "b" * 20}).status_code == 204
    rows = web.get("/api/queue", params={"episode": SECOND}).json()["events"]
    for n, row in enumerate(rows):
        assert row["state"] == ""
        assert web.post("/api/decide", json=body(rows, n, "accept", f"{n + 11:032x}")).status_code == 200
    found = again.quality()
    assert (found.agreement, found.twice) == (None, 0)
    again.store.close()


def test_a_share_of_the_queue_is_gold():
    rows = [{"episode": f"lab/{n // 4:06d}", "start_ms": n % 4} for n in range(200)]
    gold = [{"episode": f"gold/{n // 4:06d}", "start_ms": n % 4} for n in range(40)]
    singles = dealing.chosen(gold, "worth", 200, 999)
    assert len(singles) == 10  # 5 %
    found = dealing.dealt(rows, singles, "worth", "ada")
    at = [n for n, r in enumerate(found) if r["episode"].startswith("gold")]
    assert [a // 21 for a in at] == list(range(10))  # one in each stretch of twenty others
    assert [r for r in found if r not in singles] == rows
    assert found == dealing.dealt(rows, singles, "worth", "ada") != dealing.dealt(rows, singles, "worth", "bo")
    whole = dealing.chosen(gold, "episode", 200, 999)
    assert len(whole) == 8
    found = dealing.dealt(rows, whole, "episode", "ada")
    names = [r["episode"] for r in found]
    assert all(names[n : n + 4] == [name] * 4 for name in set(names) for n in [names.index(name)])
    assert dealing.chosen(gold, "worth", 5, 0) == gold[:5]  # nothing else is left
    assert Gold({("g/1", "L1", "all"): RIGHT, ("g/2", "L1", "all"): RIGHT}).of("ada", "L1", 100) != []
    assert len(Gold({(f"g/{n}", "L1", "all"): RIGHT for n in range(50)}).of("ada", "L1", 120)) == 2  # 6 of 120


def test_pages_of_a_queue_with_gold_hold_everything_once(tmp_path):
    own = review(tmp_path, events(20), Gold({PLACE: RIGHT}))
    for order in ("episode", "worth", "confidence", "rarity"):
        wanted = {"level": "L1"}
        pages = [own.queue("ada", wanted, order, 40, offset) for offset in (0, 40)]
        assert [total for _, total in pages] == [80, 80]
        seen = [(r["episode"], r["start_ms"]) for rows, _ in pages for r in rows]
        most = 80 if order == "episode" else 78  # a page has one in twenty, the rest comes later
        assert len(seen) == len(set(seen)) == most
    own.store.close()


def test_label_files_as_gold(tmp_path):
    own = review(tmp_path, events(2))
    head = "episode_id,level,start_s,end_s,caption,primitive\n"
    whole = f"{SECOND},L1,0,1.05,Reach.,reach\n{SECOND},L1,1.05,4,Take.,grasp\n"
    part = f"{FIRST},L1,0,1,Reach.,reach\n"
    (tmp_path / "gold.csv").write_text(head + whole + part + "lab/000009,L1,0,1,x,reach\n")
    found = gold_of([str(tmp_path / "gold.csv")], own.catalogue, own.episodes)
    assert found.answers == {PLACE: [Span(0, 1050, "reach", "Reach."), Span(1050, 4000, "grasp", "Take.")]}
    assert [w.split(":")[1] for w in found.refused] == [f" {FIRST} L1", " lab/000009 L1"]
    (tmp_path / "part.csv").write_text(head + part)
    with pytest.raises(LabelError, match="every span of a level"):
        gold_of([str(tmp_path / "part.csv")], own.catalogue, own.episodes)
    with pytest.raises(LabelError, match=r"--gold .*no such file"):
        gold_of([str(tmp_path / "none.csv")], own.catalogue, own.episodes)
    (tmp_path / "frames.json").write_text(
        json.dumps({SECOND: {"L1": [{"start_frame": 0, "end_frame": 10}, {"start_frame": 10, "end_frame": 40}]}})
    )
    found = gold_of([str(tmp_path / "frames.json")], own.catalogue, own.episodes)
    assert [(s.start, s.end) for s in found.answers[PLACE]] == [(0, 1000), (1000, 4000)]
    own.store.close()


def test_decisions_of_older_versions_are_read(tmp_path):
    own = review(tmp_path)
    web = client(own)
    rows = web.get("/api/queue", params={"episode": FIRST}).json()["events"]
    assert web.post("/api/decide", json=body(rows, 0, "accept", f"{1:032x}")).status_code == 200
    (row,) = own.store.all()
    assert row["machine"] == {"primitive": "reach", "sure": 0.5, "said_by": "vlm", "doubt": False}
    own.publish()
    (name,) = decisions.parts(own.root)
    folder = tmp_path / "corpus" / "decisions"
    table = pq.read_table(folder / name).drop_columns(["gold", "machine"])
    (folder / name).unlink()
    sink = io.BytesIO()
    pq.write_table(table, sink)
    old = f"{name[:13]}-{hashlib.sha256(sink.getvalue()).hexdigest()[:16]}.parquet"
    (folder / old).write_bytes(sink.getvalue())
    assert decisions.read(own.root) == [row | {"gold": False, "machine": None}]
    body_of = {k: v for k, v in row.items() if k not in ("gold", "machine")} | {"decision_id": f"{2:032x}"}
    own.store.add([body_of])
    assert (own.store.get(f"{2:032x}")["gold"], own.publish()) == (False, 1)
    own.store.close()


def test_gold_is_found_by_what_it_is_called_now(tmp_path):
    own = review(tmp_path, events(3), Gold({PLACE: RIGHT}))
    web = client(own)
    for number, episode in enumerate((FIRST, SECOND)):  # one of them is gold, and nothing tells which
        rows = web.get("/api/queue", params={"episode": episode, "level": "L1"}).json()["events"]
        asked = body(rows, 1, "primitive", f"{number + 1:032x}", primitive="press")
        assert web.post("/api/decide", json=asked).status_code == 200
    for primitive, episodes in (("press", {FIRST, SECOND}), ("grasp", {"lab/000003"})):
        rows = web.get("/api/queue", params={"level": "L1", "primitive": primitive}).json()
        assert ({r["episode"] for r in rows["events"]}, rows["total"]) == (episodes, len(episodes))
    own.store.close()
