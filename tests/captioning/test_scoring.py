"""Scores of captions, worked out by hand."""

import polars as pl

from pipeline.scoring import Pair, Share, TrueEvent, distinct, judged, pairs, shuffled


def caption(text: str, verb: str = "grasp", arm: str = "single", name: str = "s/000000/L1/0000000") -> dict:
    return {
        "event_id": name, "episode_id": "s/000000", "level": "L1", "text": text, "verb": verb, "arm": arm,
        "confidence": None,
    }  # fmt: skip


def true(verb: str = "grasp", noun: str = "cup", colour: str = "red", goal: str = "", **more) -> TrueEvent:
    return TrueEvent("s/000000", 0.0, 1.0, verb, noun, colour, goal, "single", **more)


def test_each_fact_is_right_wrong_or_not_said():
    found = [
        Pair(caption("The arm grasps the red cup."), true()),  # all right
        Pair(caption("The arm grasps the blue ball.", arm="left"), true()),  # noun, colour and arm wrong
        Pair(caption("The arm grasps what it holds.", verb="move"), true()),  # verb wrong, nothing named
        Pair(caption("The arm carries the ball to the shelf.", "move"), true("move", "ball", "", "shelf")),
        Pair(caption("The arm rests (task: take the red cup).", "idle"), true("idle", "", "")),
    ]
    score = judged(found)
    assert (score["verb"].right, score["verb"].of) == (4, 5)
    assert (score["object"].right, score["object"].of) == (2, 4)
    assert (score["colour"].right, score["colour"].of) == (1, 3)
    assert (score["to"].right, score["to"].of) == (1, 1)
    assert (score["arm"].right, score["arm"].of) == (4, 5)
    assert (score["covered"].right, score["covered"].of) == (12, 18)
    assert (score["contradicted"].right, score["contradicted"].of) == (4, 18)  # noun, colour, arm; a verb
    assert (score["invented"].right, score["invented"].of) == (0, 5)  # quoted words are the operator's


def test_what_is_named_though_nothing_is_handled_is_invented():
    found = [Pair(caption("The arm rests beside the cup.", "idle"), true("idle", "", "")), Pair(caption("x"), true())]
    assert (judged(found)["invented"].right, judged(found)["invented"].of) == (1, 2)


def test_verbs_that_say_the_same():
    same = [("hold", "idle"), ("missed_grasp", "close"), ("insert", "place"), ("reopen", "open")]
    assert judged([Pair(caption("x", said), true(verb)) for verb, said in same])["verb"].right == 4
    assert judged([Pair(caption("x", "lift"), true("lower"))])["verb"].right == 0


def test_spans_are_paired_where_they_overlap_by_half():
    names = [f"s/000000/L1/{k}" for k in range(3)]
    captions = pl.DataFrame([caption("x", name=n) for n in names])
    events = pl.DataFrame(
        {"event_id": names, "level": "L1", "track": "all", "start_s": [0.0, 1.0, 1.5], "end_s": [0.6, 1.5, 4.0]}
    )
    spans = [TrueEvent("s/000000", 0.0, 1.0, "reach"), TrueEvent("s/000000", 1.0, 2.2, "grasp")]
    found = pairs(captions, events, spans, "L1")
    assert [(p.caption["event_id"], p.true.verb) for p in found] == [(names[0], "reach")]  # 0.6; 0.5 / 1.2; 0.7 / 3.0


def test_shuffling_keeps_verbs_and_sentences_and_loses_the_rest():
    found = [Pair(caption(f"The arm grasps the {n}."), true(noun=n, colour="")) for n in ("cup", "ball", "pen", "box")]
    dealt = shuffled(found)
    assert sorted(p.caption["text"] for p in dealt) == sorted(p.caption["text"] for p in found)
    assert [p.true for p in dealt] == [p.true for p in found]
    assert judged(dealt)["object"].right < judged(found)["object"].right == 4


def test_a_share_has_its_interval():
    low, high = Share(8, 10).interval
    assert (round(low, 2), round(high, 2)) == (0.49, 0.94)  # Wilson's
    assert str(Share(0, 0)) == "none"
    assert distinct(pl.DataFrame({"text": ["a", "a", "b", "c"]})) == 75.0
