"""Every sentence that the `signals` captioner can make, in captions.txt: read once by eye, kept.

`python -m tests.stages.caption.test_caption_table` writes the table anew.
"""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

from schemas.events import PRIMITIVES, RECOVERIES
from stages.caption.signals import words
from stages.caption.signals.describe import Scene, describe
from stages.caption.signals.task import read

TABLE = Path(__file__).with_name("captions.txt")
ARMS = ((("single",), 1), (("left",), 2), (("left", "right"), 2))
KNOWN = (("named", True, True), ("held", True, False), ("unproven", False, False))
HELD, WORKED, PULLED = "put the red cup on the shelf", "open the drawer", "pull the drawer open"
SHIFT = (0.2, 0.2, 0.0)


def scenes() -> Iterator[tuple[str, Scene]]:
    """(what is known, the scene), of all combinations that a sentence hangs on."""
    for level, primitive in product(("L2", "L1"), PRIMITIVES):
        if primitive not in (words.SUBTASKS if level == "L2" else words.ACTIONS):
            continue
        for completes, (arms, robot), (known, holds, certain) in product((False, True), ARMS, KNOWN):
            if completes and (level == "L1" or primitive not in words.COMPLETED):
                continue
            said = WORKED if primitive in words.WORK and not holds else HELD
            yield f"{level} {primitive}, {known}{', completes' * completes}", Scene(
                level, primitive, arms=arms, arms_of_robot=robot, holds=holds, certain=certain, completes=completes,
                shift=[SHIFT] * len(arms), forward="+x", said=said, task=read(said),
            )  # fmt: skip
    for recovery, (arms, robot), (known, holds, certain) in product(RECOVERIES, ARMS, KNOWN):
        primitive = {"missed_grasp": "grasp", "reopen": "release", "hesitation": "idle", "regrasp": "grasp"}
        yield f"L0 {recovery}, {known}", Scene(
            "L0", primitive.get(recovery, "move"), recovery, arms, robot, holds, certain,
            shift=[SHIFT] * len(arms), forward="+x", said=HELD, task=read(HELD),
        )  # fmt: skip
    for primitive, (arms, robot), (known, holds, certain) in product(sorted(words.LASTING), ARMS, KNOWN):
        yield f"L0 {primitive}, {known}, brief", Scene(
            "L0", primitive, "", arms, robot, holds, certain,
            shift=[SHIFT] * len(arms), forward="+x", seconds=0.3, said=HELD, task=read(HELD),
        )  # fmt: skip
    for level, primitive in (("L2", "transport"), *(("L1", name) for name in words.FIXED if name in words.ACTIONS)):
        for completes, (arms, robot) in product((False, True), ARMS):
            if completes and level == "L1":
                continue
            yield f"{level} {primitive}, pulled{', completes' * completes}", Scene(
                level, primitive, "", arms, robot, True, True, completes,
                shift=[SHIFT] * len(arms), forward="+x", said=PULLED, task=read(PULLED),
            )  # fmt: skip
    yield "L1 unknown, no arm takes part", Scene("L1", "unknown", arms=(), said=HELD, task=read(HELD))
    yield "L1 idle, no arm takes part, two arms", Scene("L1", "idle", arms=(), arms_of_robot=2)
    yield "L1 second_approach, upward", Scene("L1", "reach", "second_approach", shift=[(0, 0, 0.2)], said=HELD)
    for primitive in ("press", "push", "pull"):
        yield f"L1 {primitive}, no words", Scene("L1", primitive, shift=[SHIFT], forward="+x")
    for said in ("press the white button from above", "pull the red drawer open", "push the box away"):
        yield (
            f"L1 {said.split()[0]}, in the task's words",
            Scene("L1", said.split()[0], certain=True, shift=[SHIFT], forward="+x", said=said, task=read(said)),
        )


def table() -> str:
    first: dict[str, str] = {}
    for key, scene in scenes():
        first.setdefault(describe(scene), key)
    return "".join(f"{key}\t{sentence}\n" for sentence, key in first.items())


def test_every_sentence_is_the_one_that_was_read():
    assert table().splitlines() == TABLE.read_text().splitlines()


def test_sentences_are_whole():
    for _, scene in scenes():
        text = describe(scene)
        assert text[0].isupper()
        assert text.endswith(".")
        assert not any(mark in text for mark in ("{", "}", "|", "  ", " .", "..", " )"))


if __name__ == "__main__":
    TABLE.write_text(table())
