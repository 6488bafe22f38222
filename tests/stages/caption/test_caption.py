"""Captions are plain English and say only what the signals and the operator's words show."""

import numpy as np
import pytest

from stages.caption.signals.describe import Scene, describe
from stages.caption.signals.scenes import scenes
from stages.caption.signals.task import Task, read
from stages.episode import Signal

PRESS, DRAWER = "press the red button", "pull the drawer open"
AHEAD, RIGHT_OF_X = (0.3, 0.0, 0.0), (0.0, -0.3, 0.0)


@pytest.mark.parametrize(
    ("scene", "text"),
    [
        (Scene("L3", "task", said="put the banana  on the plate."), "Put the banana on the plate."),
        (Scene("L3", "task"), "The robot acts without a stated task."),
        (Scene("L1", "reach", said="tidy up"), "The arm reaches (task: tidy up)."),
        (Scene("L1", "reach", shift=[(0.2, 0.0, -0.2)], forward="+x"), "The arm reaches forward and downward."),
        (Scene("L1", "reach", shift=[(0.2, 0.0, -0.2)]), "The arm reaches downward."),  # which way it faces is unknown
        (Scene("L1", "reach", shift=[(0.001, 0.0, 0.0)], forward="+x"), "The arm reaches."),
        (Scene("L1", "idle", arms=(), arms_of_robot=2), "The robot rests."),
        (Scene("L1", "grasp", arms=("left",), arms_of_robot=2), "The left arm closes its gripper."),
        (Scene("L1", "move", holds=True), "The arm carries what it holds."),
        (Scene("L1", "move"), "The arm moves."),  # nothing proves that it holds something
        (Scene("L1", "press", certain=True, said=PRESS, task=read(PRESS)), "The arm presses the red button."),
        (
            Scene("L1", "press", said=PRESS, task=read(PRESS)),
            "The arm moves as if to press (task: press the red button).",
        ),
        (Scene("L0", "reach", "correction", certain=True, task=read(PRESS)), "The arm corrects its path."),
        (Scene("L1", "approach"), "The arm moves."),  # a person's word for an action that is none of ours
        (Scene("L2", "transport", holds=True, certain=True, task=read(DRAWER)), "The arm moves the drawer."),
        (Scene("L1", "press", said="do it"), "The arm moves as if to press (task: do it)."),
    ],
)
def test_sentences(scene, text):
    assert describe(scene) == text


@pytest.mark.parametrize(
    ("forward", "shift", "words"),
    [
        ("+x", (0.3, 0, 0), "forward"),
        ("+x", (0, 0.3, 0), "to the left"),  # z up, x ahead: y is left
        ("+y", (0, 0.3, 0), "forward"),
        ("+y", (0.3, 0, 0), "to the right"),
        ("-x", (0.3, 0, 0), "backward"),
        ("-x", (0, 0.3, 0), "to the right"),
        ("-y", (0.3, 0, 0), "to the left"),
    ],
)
def test_horizontal_words_follow_the_way_the_robot_faces(forward, shift, words):
    assert describe(Scene("L1", "move", shift=[shift], forward=forward)) == f"The arm moves {words}."


def test_arms_that_go_different_ways_go_nowhere_together():
    both = Scene("L1", "move", arms=("left", "right"), arms_of_robot=2, forward="+x", shift=[AHEAD, RIGHT_OF_X])
    assert describe(both) == "Both arms move."


@pytest.mark.parametrize(
    ("text", "task"),
    [
        ("pick up the red cup", Task("the red cup")),
        ("Pick the green cup up, then put it on the shelf.", Task("the green cup")),
        ("pick the pear from the counter and place it in the plate", Task("the pear")),
        ("please take a cup of tea out of the box", Task("the cup of tea")),
        ("open the blue drawer", Task("", "open", "the blue drawer")),
        ("pull the red drawer open", Task("the red drawer", "pull", "the red drawer", "open", True)),
        ("push the thermos away with the red stick", Task("the red stick", "push", "the thermos", "away")),
        ("pick up the cup with the left hand", Task("the cup")),
        ("turn off the light", Task("the light", "turn", "the light", "", True)),
        ("put the bowl with the banana on the table", Task("the bowl")),
        ("pick up the bottle with the blue cap", Task("the bottle")),
        ("flip the pancake with the spatula", Task("the spatula", "flip", "the pancake")),
        ("close the drawer with the cup inside", Task("", "close", "the drawer")),
        ("push the block forward", Task("the block", "push", "the block", "", True)),
        ("put the cup upside down on the rack", Task("the cup")),
        ("pick up the apple which is on the plate", Task("the apple")),
        ("move that cup over there", Task("that cup", "move", "that cup")),
        # nothing is certain
        ("move the arm to the left", Task()),
        ("close the gripper", Task()),
        ("put the lid (red) on the pot", Task()),
        ("put the cup / bowl on the table", Task()),
        ("pick up the mice", Task()),
        ("take a picture", Task()),
        ("pick up the cup and the plate", Task()),
        ("pick up the cup and put the plate away", Task()),
        ("open the drawer and put the cup in it", Task()),
        ("put the cups on the shelf", Task()),
        ("put all of them away", Task()),
        ("press the button or the switch", Task()),
        ("carry on with the work at this station", Task()),
        ("pick and place", Task()),
        ("把杯子放好", Task()),
        ("", Task()),
    ],
)
def test_an_object_is_named_only_where_grammar_makes_it_certain(text, task):
    assert read(text) == task


# -- what is known of an event


def cut(level, primitive, start, end, parent=None, **more):
    row = {
        "event_id": f"{level}/{start}", "level": level, "track": "all", "primitive": primitive,
        "start_frame": start, "end_frame": end,
        "start_s": start / 10, "end_s": end / 10, "arms": ["single"], "holds": [], "recovery": None, "label": None,
        "parent_id": parent, "static": False, "evidence": [{"edge": "end", "kind": "motion_onset"}],
    }  # fmt: skip
    return {**row, **more}


def told(events, task="put the red cup on the shelf"):
    time = np.arange(200) / 10
    where = Signal("position", "single", "m", time, np.zeros((200, 3)))
    episode = {"task": task, "arms": ["single"], "layout": '{"position.single": {"forward": "+y"}}'}
    found = scenes(episode, {"position/single": where}, {"signal_time_s": time}, events)
    return {scene.primitive: (scene.holds, scene.certain) for scene in found}


def test_a_grasp_is_proven_by_what_follows_and_a_release_by_what_came_before():
    events = [
        cut("L1", "reach", 0, 10),
        cut("L1", "grasp", 10, 15),
        cut("L1", "move", 15, 40, holds=["single"]),
        cut("L1", "release", 40, 42),
        cut("L1", "retract", 42, 50),
    ]
    assert told(events) == {
        "reach": (False, True), "grasp": (True, True), "move": (True, True), "release": (True, True),
        "retract": (False, False),
    }  # fmt: skip
    unproven = [{**e, "holds": []} for e in events]
    assert told(unproven)["grasp"] == (False, False)
    assert told(unproven)["release"] == (False, False)


def test_no_object_is_named_where_something_is_taken_twice():
    once = [cut("L1", "grasp", 0, 10), cut("L1", "lift", 10, 20, holds=["single"]), cut("L1", "release", 20, 30)]
    again = [cut("L1", "grasp", 30, 40), cut("L1", "move", 40, 50, holds=["single"])]
    assert told(once)["lift"] == (True, True)
    assert told(once + again)["lift"] == (True, False)


def test_a_subtask_is_complete_where_its_hand_takes_hold_or_lets_go():
    events = [
        cut("L2", "approach", 0, 10),
        cut("L1", "reach", 0, 5, "L2/0"),
        cut("L1", "grasp", 5, 10, "L2/0"),
        cut("L2", "transport", 10, 20, evidence=[{"edge": "end", "kind": "opening_started"}]),
        cut("L2", "approach", 20, 30),
        cut("L1", "grasp", 22, 25, "L2/20", recovery="missed_grasp"),
        cut("L1", "reach", 25, 30, "L2/20"),
        cut("L2", "transport", 30, 40),
    ]
    time = np.arange(200) / 10
    episode = {"task": "", "arms": ["single"], "layout": "{}"}
    found = scenes(episode, {}, {"signal_time_s": time}, events)
    assert [s.completes for s in found] == [True, False, False, True, False, False, False, False]


def test_what_is_said_of_a_part_of_a_recording_counts_there():
    events = [
        cut("L3", "task", 0, 50, label="pick up the red cup"),
        cut("L1", "grasp", 0, 20, "L3/0"),
        cut("L1", "move", 20, 50, "L3/0", holds=["single"]),
    ]
    time = np.arange(200) / 10
    found = scenes({"task": "something else", "arms": ["single"], "layout": ""}, {}, {"signal_time_s": time}, events)
    assert [describe(s) for s in found][1:] == ["The arm grasps the red cup.", "The arm carries the red cup."]


def test_a_subtask_in_which_nothing_moves_is_not_said_to_move():
    events = [
        cut("L2", "approach", 0, 10),
        cut("L1", "idle", 0, 10, "L2/0", static=True, arms=[]),
        cut("L2", "retract", 10, 20),
        cut("L1", "release", 10, 12, "L2/10"),
        cut("L1", "idle", 12, 20, "L2/10", static=True, arms=[]),
    ]
    time = np.arange(200) / 10
    found = scenes({"task": "", "arms": ["single"], "layout": ""}, {}, {"signal_time_s": time}, events)
    assert describe(found[0]) == "The arm rests."
    assert describe(found[2]) == "The arm opens its gripper."


def test_what_two_hands_take_at_once_are_two_things():
    both = cut("L1", "grasp", 0, 10, arms=["left", "right"])
    events = [both, cut("L1", "move", 10, 30, arms=["right"], holds=["left", "right"])]
    time = np.arange(200) / 10
    episode = {"task": "take the cap off the bottle", "arms": ["left", "right"], "layout": ""}
    assert not any(s.certain for s in scenes(episode, {}, {"signal_time_s": time}, events))
