"""What each of two arms does by itself has words too: the arm is named, a thing only where it is known to be its."""

import numpy as np
import pytest

from stages.caption.config import CaptionConfig
from stages.caption.signals.describe import Scene, describe
from stages.caption.signals.task import read
from stages.caption.stage import caption_rows
from stages.caption.vlm.answers import Fields
from stages.caption.vlm.asking import Asking, asking
from stages.caption.vlm.episode import Said, Told
from tests.stages.caption.test_caption import cut

CUP = "put the red cup on the shelf"
TIMES = np.arange(200) / 10


@pytest.mark.parametrize(
    ("scene", "text"),
    [
        (Scene("L1", "grasp", arms=("left",)), "The left arm closes its gripper."),
        (Scene("L1", "idle", arms=()), "The left arm rests."),  # of both it would be the robot
        (Scene("L2", "unknown", arms=()), "The left arm hardly moves."),
        (Scene("L3", "task", arms=("left",), said=CUP), f"The left arm's part in the task: {CUP}."),
        (Scene("L3", "task", arms=(), said=CUP), f"The left arm takes no part in the task: {CUP}."),
        (Scene("L3", "task", arms=("left",)), "The left arm's part in the task."),
        (
            Scene("L1", "move", arms=("left",), holds=True, certain=True, said=CUP, task=read(CUP)),
            "The left arm carries the red cup.",
        ),
    ],
)
def test_the_arm_is_named(scene, text):
    own = Scene(**{n: getattr(scene, n) for n in Scene.__dataclass_fields__} | {"track": "left", "arms_of_robot": 2})
    assert describe(own) == text


def of(track, level, primitive, start, end, **more):
    arms = ["left", "right"] if track == "all" else [track]
    return cut(level, primitive, start, end, **{"track": track, "arms": arms, **more}) | {
        "event_id": f"s/000000/{level}.{track}/{start}", "episode_id": "s/000000", "origin": "machine",
    }  # fmt: skip


def asked(events) -> Asking:
    episode = {"task": CUP, "arms": ["left", "right"], "layout": ""}
    alignment = {"signal_time_s": TIMES, "time_s": TIMES, "pictures": []}
    return asking(episode, {}, alignment, events, ["front"], 3)


ALL = [
    of("all", "L1", "grasp", 0, 10, arms=["left"]),
    of("all", "L1", "move", 10, 30, arms=["left"], holds=["left"]),
    of("all", "L1", "release", 30, 35, arms=["left"]),
]
LEFT = [
    of("left", "L1", "grasp", 0, 10),
    of("left", "L1", "move", 10, 30, holds=["left"]),
    of("left", "L1", "release", 30, 35),
]
RIGHT = [of("right", "L1", "reach", 0, 20), of("right", "L1", "idle", 20, 35, arms=[], static=True)]


def texts(events, told=None) -> dict[str, str]:
    return {r["event_id"][9:]: r["text"] for r in caption_rows(asked(events), told, CaptionConfig(), "m")}


def test_an_arm_has_the_thing_that_it_alone_takes():
    found = texts([*ALL, *LEFT, *RIGHT])
    assert found["L1.left/10"] == "The left arm carries the red cup."
    assert found["L1.right/0"] == f"The right arm reaches (task: {CUP})."  # nothing tells what for


def test_an_arm_that_moves_now_and_then_is_not_said_to_take_no_part():
    whole = [of("right", "L3", "task", 0, 35, arms=[]), of("left", "L3", "task", 0, 35, arms=[])]
    found = texts([*ALL, *RIGHT, *whole])
    assert found["L3.right/0"] == f"The right arm's part in the task: {CUP}."
    assert found["L3.left/0"] == f"The left arm takes no part in the task: {CUP}."


def test_no_thing_is_named_where_the_other_arm_takes_one_as_well():
    taking = [of("right", "L1", "grasp", 0, 15), of("right", "L1", "move", 15, 35, holds=["right"])]
    found = texts([*ALL, *LEFT, *taking])
    assert found["L1.left/10"] == f"The left arm carries what it holds (task: {CUP})."
    assert found["L1.all/10"] == "The left arm carries the red cup."  # as without events of single arms


def test_events_of_both_arms_have_the_words_that_they_have_alone():
    alone, beside = texts(ALL), texts([*ALL, *LEFT, *RIGHT])
    assert {k: beside[k] for k in alone} == alone


def test_what_comes_next_is_the_arms_own():
    rows = {
        r["event_id"][9:]: r["next_text"] for r in caption_rows(asked([*ALL, *LEFT, *RIGHT]), None, CaptionConfig())
    }
    assert rows["L1.right/0"] == f"The right arm rests (task: {CUP})."
    assert rows["L1.right/20"] == ""


def test_a_model_is_asked_about_no_single_arm_and_its_name_is_used_for_what_an_arm_has_in_hand():
    own = asked([*ALL, *LEFT, *RIGHT])
    assert {e["track"] for e in own.asked()} == {"all"}
    said = Said(Fields("move", "red mug", "", "", "left", "success", "The left arm carries the red mug"), "ok", 0.9)
    told = Told({e["event_id"]: said for e in own.asked()}, ["red mug"], 0, (0, 0))
    rows = {r["event_id"][9:]: r for r in caption_rows(own, told, CaptionConfig(), "m")}
    assert rows["L1.all/10"]["source"] == "vlm"
    left, right = rows["L1.left/10"], rows["L1.right/0"]
    assert (left["text"], left["source"], left["object"], left["arm"]) == (
        "The left arm carries the red mug.", "composed", "red mug", "left",
    )  # fmt: skip
    assert (right["text"], right["object"]) == (f"The right arm reaches (task: {CUP}).", "")


def test_what_a_person_called_an_arms_event_stands():
    label = [{**LEFT[0], "label": "the left hand takes the mug", "origin": "human"}, *LEFT[1:]]
    rows = {r["event_id"][9:]: r for r in caption_rows(asked([*ALL, *label]), None, CaptionConfig())}
    assert (rows["L1.left/0"]["text"], rows["L1.left/0"]["source"]) == ("the left hand takes the mug", "human")
    assert rows["L1.all/0"]["source"] == "signals"
