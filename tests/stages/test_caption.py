"""Captions are plain English and say only what the signals show."""

import pytest

from stages.caption.describe import Kinematics, describe
from stages.caption.stage import _completed

STILL = Kinematics(None, 2.0)


def event(level="L1", primitive="reach", arms=("single",), **more):
    return {"level": level, "primitive": primitive, "arms": list(arms), **more}


@pytest.mark.parametrize(
    ("given", "kinematics", "task", "arms", "text"),
    [
        (event("L3"), STILL, "put the banana  on the plate.", 1, "Put the banana on the plate."),
        (event("L3"), STILL, "", 1, "The robot acts without a stated task."),
        (event(), Kinematics((0.2, 0.0, -0.2), 2.0), "", 1, "The arm reaches forward and down."),
        (event(), Kinematics((0.001, 0.0, 0.0), 2.0), "", 1, "The arm reaches."),
        (event(), STILL, "tidy up", 1, 'The arm reaches, with the task "tidy up".'),
        (event(primitive="grasp", arms=("left",)), STILL, "", 2, "The left arm closes its gripper to grasp."),
        (event(primitive="release", arms=("left", "right")), STILL, "", 2, "Both arms open their grippers to release."),
        (event(primitive="reach", arms=("left", "right")), STILL, "", 2, "Both arms reach."),
        (
            event(primitive="move", gripper_closed=True),
            Kinematics((0.0, -0.3, 0.0), 2.0),
            "",
            1,
            "The arm moves what it holds right.",
        ),
        (event(primitive="idle", arms=()), STILL, "", 2, "The robot rests."),
        (event("L0"), Kinematics(None, 0.3), "", 1, "The arm reaches briefly."),
        (event("L2", "transport"), STILL, "", 1, "The arm carries what it holds."),
        (event("L2", "transport", completes=True), STILL, "", 1, "The arm carries what it holds and lets go."),
        (event("L2", "approach", ("left", "right"), completes=True), STILL, "", 2, "Both arms approach and grasp."),
        (
            event("L2", "transport", ("left", "right"), completes=True),
            STILL,
            "",
            2,
            "Both arms carry what they hold and let go.",
        ),
        (event(primitive="grasp", recovery="missed_grasp"), STILL, "", 1, "The arm closes its gripper on nothing."),
        (
            event(primitive="reach", recovery="second_approach"),
            STILL,
            "",
            1,
            "The arm reaches again after a missed grasp.",
        ),
        (event("L0", "idle", recovery="hesitation"), Kinematics(None, 0.6), "", 1, "The arm hesitates."),
        (
            event("L0", "hold", recovery="slip"),
            STILL,
            "",
            1,
            "The arm holds still with the gripper closed while its hold slips.",
        ),
        (event(primitive="place"), STILL, "", 1, "The arm puts down what it holds."),
        (event(primitive="grasp", arms=("left", "right")), STILL, "", 2, "Both arms close their grippers to grasp."),
    ],
)
def test_sentences(given, kinematics, task, arms, text):
    assert describe(given, kinematics, task, arms) == text


def cut(name, level, primitive, parent=None, ends_with="motion_onset", recovery=None):
    end = {"edge": "end", "kind": ends_with, "arm": "single", "strength": 1.0}
    return event(level, primitive, event_id=name, parent_id=parent, recovery=recovery, evidence=[end])


def test_a_subtask_is_complete_where_its_hand_takes_hold_or_lets_go():
    events = [
        cut("a", "L2", "approach"),
        cut("a1", "L1", "grasp", "a"),
        cut("b", "L2", "transport", ends_with="opening_ended"),  # too quick to be an action of its own
        cut("c", "L2", "approach"),
        cut("c1", "L1", "grasp", "c", recovery="missed_grasp"),
        cut("d", "L2", "transport"),
    ]
    assert _completed(events) == {"a", "b"}
