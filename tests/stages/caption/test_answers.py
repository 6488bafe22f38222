"""What is made of a model's text: expected values by hand, from what models have been seen to write."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.caption.vlm.answers import read
from stages.caption.vlm.asking import EVENT_FIELDS

GOOD = {
    "verb": "grasp", "object": "red cup", "from": "table", "to": "", "arm": "left", "outcome": "success",
    "caption": "The left arm grasps the red cup.",
}  # fmt: skip
TEXT = json.dumps(GOOD)


def test_an_answer_as_asked_for_is_not_mended():
    found = read(TEXT, EVENT_FIELDS)
    assert (found.verb, found.thing, found.source, found.goal, found.arm) == ("grasp", "red cup", "table", "", "left")
    assert not found.mended


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{TEXT}\n```",
        f"Sure! Here is the JSON you asked for:\n{TEXT}\nLet me know if I can help.",
        TEXT[:-1],  # the closing brace is missing
        TEXT[: TEXT.index('"caption"') - 2] + ', "caption": "The left arm grasps the red cup."',
        f"{TEXT}{TEXT}",
    ],
)
def test_what_can_be_read_is_mended(text):
    found = read(text, EVENT_FIELDS)
    assert found.mended
    assert (found.verb, found.caption) == ("grasp", "The left arm grasps the red cup.")


@pytest.mark.parametrize(
    "text", ["", "The arm grasps the cup.", "[1, 2]", "null", '{"mood": "good"}', "{" * 5000, "x" * 10**7]
)
def test_what_cannot_be_read_is_nothing(text):
    assert read(text, EVENT_FIELDS) is None


@pytest.mark.parametrize(
    ("said", "verb"),
    [("pick up", "lift"), ("Grasping", "grasp"), ("moves", "move"), ("placing", "place"), ("CARRY", "move"),
     ("releasing", "release"), ("put_down", "place"), ("dance", "dance"), ("picks up", "lift"), ("picking up", "lift"),
     ("putting down", "place"), ("gripping", "grasp"), ("handing over", "handover"), ("pull back", "pull back")],
)  # fmt: skip
def test_other_words_for_a_verb(said, verb):
    assert read(json.dumps({**GOOD, "verb": said}), EVENT_FIELDS).verb == verb


@pytest.mark.parametrize(
    "nothing", ["none", "N/A", "null", "", "unknown", "nothing", "not visible", "object", "-", None]
)
def test_placeholders_are_no_names(nothing):
    assert read(json.dumps({**GOOD, "object": nothing}), EVENT_FIELDS).thing == ""


@pytest.mark.parametrize("nothing", ["gripper", "robot arm", "left arm", "no object", "empty", "unknown object"])
def test_a_hand_is_no_thing(nothing):
    assert read(json.dumps({**GOOD, "object": nothing}), EVENT_FIELDS).thing == ""


def test_thoughts_are_passed_over():
    text = f'<think>maybe {{"verb": "push", "object": "blue ball"}}? no</think>{TEXT}'
    assert read(text, EVENT_FIELDS).thing == "red cup"


@pytest.mark.parametrize(("said", "arm"), [("both arms", "both"), ("right gripper", "right"), ("the left arm", "left")])
def test_other_words_for_an_arm(said, arm):
    assert read(json.dumps({**GOOD, "arm": said}), EVENT_FIELDS).arm == arm


def test_a_name_loses_its_article():
    assert read(json.dumps({**GOOD, "object": "The red cup."}), EVENT_FIELDS).thing == "red cup"


@given(st.text(max_size=300))
def test_no_text_is_an_error(text):
    read(text, EVENT_FIELDS)
    read('{"verb": ' + text, EVENT_FIELDS)


@given(
    st.dictionaries(
        st.sampled_from(EVENT_FIELDS),
        st.one_of(st.none(), st.integers(), st.text(max_size=40), st.lists(st.text(max_size=5), max_size=4)),
    )
)
def test_no_value_is_an_error(values):
    read(json.dumps(values), EVENT_FIELDS)
