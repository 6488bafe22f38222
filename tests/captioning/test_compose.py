"""What a caption row says besides its sentence; and that the prompts are those that were measured."""

import re
from pathlib import Path

import pytest

from stages.caption.compose import next_texts, of_children, phrasings, remaining
from stages.caption.signals.describe import Scene
from stages.caption.vlm.answers import Fields
from stages.caption.vlm.prompts import NAMES, prompt, prompts_hash
from tests.conftest import ROOT

GRASP = Fields("grasp", "red cup", "table", "", "single", "success", "The arm grasps the red cup.")
MOVE = Fields("move", "red cup", "table", "shelf", "single", "success", "The arm carries the red cup.")


def event(start: float, end: float, level: str = "L1", name: str = "e", parent: str | None = None) -> dict:
    return {
        "event_id": name, "level": level, "track": "all", "parent_id": parent, "start_s": start, "end_s": end,
        "start_frame": int(10 * start), "end_frame": int(10 * end),
    }  # fmt: skip


def said(fields: Fields) -> dict[str, str]:
    return {p["style"]: p["text"] for p in phrasings(("short", "detailed"), fields.caption, fields, event(0.0, 1.5))}


def test_a_caption_said_short_and_at_length():
    assert said(GRASP) == {
        "short": "grasp the red cup from the table",
        "detailed": "The arm grasps the red cup from the table, in 1.5 s.",
    }
    assert said(MOVE)["detailed"] == "The arm carries the red cup from the table to the shelf, in 1.5 s."
    assert said(MOVE)["short"] == "carry the red cup to the shelf"
    failed = Fields("grasp", "", "", "", "single", "not grasped", "The arm closes its gripper on nothing.")
    assert said(failed)["short"] == "close the gripper"
    assert said(failed)["detailed"] == "The arm closes its gripper on nothing, which fails (not grasped), in 1.5 s."


def test_no_verb_is_without_a_phrasing():
    for verb in ("", "unknown", "idle", "open"):
        assert said(Fields(verb, "", caption="The arm rests."))["short"]


def test_what_comes_next_is_of_the_same_level():
    events = [event(0, 1, name="a"), event(1, 2, name="b"), event(0, 2, "L2", "c"), event(2, 3, "L2", "d")]
    found = next_texts(events, {"a": "A", "b": "B", "c": "C", "d": "D"})
    assert found == {"a": "B", "b": "", "c": "D", "d": ""}


def test_the_time_that_is_left_is_that_of_the_task():
    events = [
        event(0, 10, "L3", "t"),
        event(0, 4, "L2", "s", "t"),
        event(1, 3, "L1", "a", "s"),
        event(10, 12, "L3", "u"),
    ]
    assert remaining(events) == {"t": 10.0, "s": 10.0, "a": 9.0, "u": 2.0}


@pytest.mark.parametrize(
    ("scene", "text"),
    [
        (Scene("L2", "approach", completes=True), "The arm approaches the red cup and grasps it."),
        (Scene("L2", "transport", holds=True), "The arm carries the red cup."),
        (Scene("L2", "retract"), "The arm withdraws."),
        (Scene("L3", "task", said="tidy up"), "Tidy up."),
    ],
)
def test_coarser_levels_take_the_name_of_their_thing(scene, text):
    assert of_children(scene, "red cup") == text


def test_the_prompts_are_those_that_were_measured():
    """A prompt that is changed is measured again (make bench-captions): wording alone moves scores by a quarter."""
    page = (ROOT / "docs/captions.md").read_text()
    assert re.search(r"Prompts ([0-9a-f]{12})", page)[1] == prompts_hash()


def test_prompts_are_text_files_that_name_what_is_asked_for():
    for name in NAMES:
        lines = prompt(name).splitlines()
        assert all(len(line) <= 160 for line in lines)
        assert any(line.startswith("object:") for line in lines)
    assert {p.stem for p in Path(ROOT / "stages/caption/vlm/prompts").glob("*.txt")} == set(NAMES)
