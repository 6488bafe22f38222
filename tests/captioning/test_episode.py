"""An episode through a model that a test plays: names that are kept, answers that are mended or refused, fallbacks."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from stages.caption.signals.describe import Scene
from stages.caption.signals.task import Task, read
from stages.caption.vlm.asking import Asking
from stages.caption.vlm.episode import AGREES, DIFFERS, talk
from stages.caption.vlm.requests import Answer
from tests.captioning.test_handling import actions

TIMES = np.arange(100) / 10


def episode(*said: str, task: str = "go on") -> Asking:
    events = [
        {
            **e, "level": "L1", "event_id": f"s/000000/L1/{n}", "label": None, "parent_id": None, "arms": ["single"],
            "static": e["primitive"] == "idle",
        }
        for n, e in enumerate(actions(*said))
    ]  # fmt: skip
    scenes = {e["event_id"]: Scene("L1", e["primitive"], arms=["single"], said=task, task=read(task)) for e in events}
    alignment = {"time_s": TIMES, "signal_time_s": TIMES, "pictures": []}
    return Asking(events, scenes, {}, alignment, ("wrist",), 2)  # type: ignore[arg-type]


def answer(**fields: str) -> str:
    return json.dumps({"from": "", "to": "", "outcome": "success", **fields})


def model(names, events):
    """A model that answers questions about names and events from lists, the last again and again."""
    log = SimpleNamespace(questions=[])

    def ask(requests):
        found = []
        for request in requests:
            log.questions.append(request)
            mine = names if len(request.fields) == 3 else events
            said = mine.pop(0) if len(mine) > 1 else mine[0]
            found.append(said if isinstance(said, Answer) else Answer(said, "ok", 0.9, (10, 5)))
        return found

    return ask, log


REACH = answer(verb="reach", object="red cup", arm="single", caption="The arm reaches for the red cup.")


def test_a_thing_is_named_once_and_told_to_every_event():
    ask, log = model([answer(object="red cup")], [REACH])
    told = talk(episode("reach", "reach", "reach"), {}, ask)
    assert list(told.things) == ["red cup"]
    assert [q.fields for q in log.questions].count(("object", "from", "to")) == 1
    assert all("object: red cup" in q.facts for q in log.questions[1:])
    assert {s.status for s in told.events.values()} == {"ok"}


def test_a_longer_name_of_the_same_thing_becomes_the_episodes():
    said = answer(verb="reach", object="cup", arm="single", caption="The arm reaches for the cup.")
    told = talk(episode("reach"), {}, model([answer(object="red cup")], [said])[0])
    (one,) = told.events.values()
    assert (one.status, one.fields.thing, one.fields.caption) == (
        "repaired",
        "red cup",
        "The arm reaches for the red cup.",
    )


def test_another_name_is_asked_about_again_and_then_refused():
    ball = answer(verb="reach", object="blue ball", arm="single", caption="The arm reaches for the blue ball.")
    ask, log = model([answer(object="red cup")], [ball, REACH])
    (one,) = talk(episode("reach"), {}, ask).events.values()
    assert (one.status, one.fields.thing) == ("repaired", "red cup")
    assert "the object is called red cup in this episode" in log.questions[-1].facts
    (one,) = talk(episode("reach"), {}, model([answer(object="red cup")], [ball])[0]).events.values()
    assert (one.fields, one.status) == (None, "fallback")
    assert one.tokens == (20, 10)  # both were paid for


def test_the_operators_words_are_not_overruled():
    ask, log = model([answer(object="blue ball"), answer(object="blue ball")], [REACH])
    told = talk(episode("reach", "grasp", "move+", "release", task="put the red cup on the shelf"), {}, ask)
    assert list(told.things) == ["red cup"]
    assert "the operator calls it red cup" in log.questions[1].facts


def test_a_model_without_probabilities_is_as_sure_as_it_agrees_with_signals():
    agrees, differs = (
        Answer(answer(verb=verb, object="", arm="single", caption=f"The arm {does}."), "ok")
        for verb, does in (("reach", "reaches out"), ("align", "lines up"))
    )
    ask, _ = model([answer(object="red cup")], [agrees, differs])
    assert [s.confidence for s in talk(episode("reach", "reach"), {}, ask).events.values()] == [AGREES, DIFFERS]


def test_who_closes_a_box_with_a_lid_takes_the_lid():
    lid = answer(verb="reach", object="purple lid", arm="single", caption="The arm reaches for the purple lid.")
    box = episode("reach", "grasp", "move+", "release", task="close the box with the purple lid")
    told = talk(box, {}, model([answer(object="purple lid")], [lid])[0])
    assert list(told.things) == ["purple lid"]


def test_the_only_arm_of_a_robot_has_one_name():
    said = answer(verb="reach", object="", arm="right", caption="The arm reaches for the red cup.")
    (one,) = talk(episode("reach"), {}, model([answer(object="red cup")], [said])[0]).events.values()
    assert (one.fields.arm, one.status) == ("single", "repaired")


@pytest.mark.parametrize(("status", "unanswered"), [("error", 2), ("blocked", 0)])
def test_what_is_not_answered_is_told(status, unanswered):
    nobody = Answer("", status, message="nobody")
    told = talk(episode("reach"), {}, model([nobody], [nobody])[0])
    (one,) = told.events.values()
    assert (one.fields, one.status, told.unanswered) == (None, status, unanswered)


def test_an_answer_that_is_cut_off_is_read_as_far_as_it_goes():
    (one,) = talk(
        episode("reach"), {}, model([answer(object="red cup")], [Answer(REACH, "truncated")])[0]
    ).events.values()
    assert one.status == "repaired"
    cut = Answer('{"verb": "reach", "obj', "truncated")
    (one,) = talk(episode("reach"), {}, model([answer(object="red cup")], [cut])[0]).events.values()
    assert (one.fields, one.status) == (None, "truncated")


def test_a_contradiction_is_counted_though_it_is_mended():
    lifts = answer(verb="handover", object="red cup", arm="single", caption="The arm passes the red cup.")
    (one,) = talk(episode("reach"), {}, model([answer(object="red cup")], [lifts, REACH])[0]).events.values()
    assert (one.status, one.contradictions, one.fields.verb) == ("repaired", 1, "reach")


def test_task_without_a_certain_thing_leaves_the_name_to_the_model():
    assert Task().held == ""
    told = talk(episode("reach"), {}, model([answer(object="none")], [REACH])[0])
    assert list(told.things) == [""]
