"""The sample's tasks: how often each is recorded, what is handled and what the operator types.

In: nothing. Out: ``TASKS`` (long-tailed, 8 episodes down to 1), the colour palette, and the plan
of every episode (source, colour, missed grasp, wording). The plan is drawn before anything is
simulated, so that an episode which has to be re-seeded keeps its task, colour and wording.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PALETTE: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.08, 0.08),
    "orange": (0.98, 0.48, 0.05),
    "yellow": (0.97, 0.85, 0.08),
    "green": (0.10, 0.60, 0.16),
    "turquoise": (0.08, 0.75, 0.72),
    "blue": (0.08, 0.20, 0.85),
    "purple": (0.48, 0.12, 0.68),
    "pink": (0.98, 0.45, 0.68),
    "brown": (0.36, 0.18, 0.07),
    "white": (0.96, 0.96, 0.96),
}


@dataclass(frozen=True)
class TaskSpec:
    """One Meta-World task as it is recorded here.

    ``body`` names the MuJoCo body handled and painted (with its subtree); ``avoid`` the colours
    of the task's own fixtures; ``contact_verb`` the phase while the object touches its
    surroundings under the hand's force.
    """

    name: str
    episodes: int
    script: str
    body: str
    noun: str
    phrases: tuple[str, ...]
    contact_verb: str = "place"
    missed: int = 0
    grasp: bool = True
    mark_goal: bool = False
    avoid: tuple[str, ...] = ()

    @property
    def colours(self) -> list[str]:
        """The colours its object may have."""
        return [name for name in PALETTE if name not in self.avoid]


VAGUE_PHRASES: tuple[str, ...] = (
    "do the usual task",
    "finish the job here",
    "same as before",
    "carry on with the work at this station",
    "go ahead and do this one",
    "next run, please do it as shown",
    "complete the task in front of you",
)

TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        "pick-place-v3",
        8,
        "pick_place",
        "obj",
        "puck",
        (
            "put the {colour} {noun} on the dark mark",
            "pick up the {colour} {noun} and place it on the mark",
            "move the {colour} {noun} onto the marked spot",
        ),
        missed=3,
        mark_goal=True,
    ),
    TaskSpec(
        "bin-picking-v3",
        6,
        "bin_picking",
        "obj",
        "cube",
        (
            "move the {colour} {noun} from one bin into the other",
            "take the {colour} {noun} and drop it in the other bin",
        ),
        missed=2,
    ),
    TaskSpec(
        "shelf-place-v3",
        5,
        "shelf_place",
        "obj",
        "block",
        ("put the {colour} {noun} on the shelf", "place the {colour} {noun} onto the shelf"),
        missed=2,
    ),
    TaskSpec(
        "assembly-v3",
        4,
        "assembly",
        "RoundNut",
        "ring",
        ("put the {colour} {noun} over the peg", "slide the {colour} {noun} onto the peg"),
        missed=1,
        avoid=("red", "brown"),
    ),
    TaskSpec(
        "drawer-open-v3",
        4,
        "stock",
        "drawer_link",
        "drawer",
        ("open the {colour} {noun}", "pull the {colour} {noun} open"),
        contact_verb="pull",
        grasp=False,
        avoid=("green", "turquoise"),
    ),
    TaskSpec(
        "button-press-topdown-v3",
        3,
        "stock",
        "button",
        "button",
        ("press the {colour} {noun} from above", "push the {colour} {noun} down"),
        contact_verb="push",
        grasp=False,
        avoid=("yellow", "orange"),
    ),
    TaskSpec(
        "basketball-v3",
        3,
        "basketball",
        "bsktball",
        "ball",
        ("drop the {colour} {noun} through the hoop", "put the {colour} {noun} in the basket"),
        missed=1,
        avoid=("red",),
    ),
    TaskSpec(
        "peg-insert-side-v3",
        2,
        "peg_insert",
        "peg",
        "peg",
        ("insert the {colour} {noun} into the hole in the box",),
        contact_verb="insert",
        missed=1,
        avoid=("red", "brown"),
    ),
    TaskSpec(
        "box-close-v3",
        2,
        "box_close",
        "top_link",
        "lid",
        ("put the {colour} {noun} on the box", "close the box with the {colour} {noun}"),
        missed=1,
        avoid=("brown", "orange"),
    ),
    TaskSpec(
        "window-open-v3",
        2,
        "stock",
        "windowb_a",
        "window",
        ("slide the {colour} {noun} open", "open the {colour} {noun}"),
        contact_verb="push",
        grasp=False,
        avoid=("brown", "white"),
    ),
    TaskSpec(
        "pick-place-wall-v3",
        2,
        "over_wall",
        "obj",
        "puck",
        ("carry the {colour} {noun} over the wall and put it on the dark mark",),
        mark_goal=True,
    ),
    TaskSpec(
        "hammer-v3",
        1,
        "hammer",
        "hammer",
        "hammer",
        ("drive the nail in with the {colour} {noun}",),
        contact_verb="push",
    ),
    TaskSpec(
        "stick-push-v3",
        1,
        "stick_push",
        "stick",
        "stick",
        ("push the thermos away with the {colour} {noun}",),
        contact_verb="push",
    ),
    TaskSpec(
        "door-open-v3",
        1,
        "stock",
        "door_link",
        "door",
        ("open the {colour} {noun}",),
        contact_verb="pull",
        grasp=False,
    ),
)


@dataclass(frozen=True)
class EpisodePlan:
    """Everything decided about one episode before it is simulated."""

    cell: str
    task: str
    repeat: int
    colour: str
    text: str
    named_in_text: bool
    missed: int

    @property
    def spec(self) -> TaskSpec:
        """The task's entry in ``TASKS``."""
        return next(spec for spec in TASKS if spec.name == self.task)


def episode_plans(seed: int, limit: int | None = None) -> list[EpisodePlan]:
    """Draw the plan of every episode, in recording order (tasks shuffled as in a working day).

    Two of every five episodes of a task go to ``cell_b``; every third episode in recording order
    gets a text that names neither object nor colour.
    """
    rng = np.random.default_rng([seed, 7])
    slots = [(spec, repeat) for spec in TASKS for repeat in range(spec.episodes)]
    order = rng.permutation(len(slots))
    colours = {spec.name: rng.permutation(spec.colours) for spec in TASKS}
    plans: list[EpisodePlan] = []
    for rank, slot in enumerate(order):
        spec, repeat = slots[int(slot)]
        vague = rank % 3 == 1
        colour = str(colours[spec.name][repeat])
        if vague:
            text = VAGUE_PHRASES[int(rng.integers(len(VAGUE_PHRASES)))]
        else:
            phrase = spec.phrases[int(rng.integers(len(spec.phrases)))]
            text = phrase.format(colour=colour, noun=spec.noun)
        cell = "cell_b" if (repeat + len(spec.noun)) % 5 in (1, 3) else "cell_a"
        missed = int(repeat % 2 == 0 and repeat // 2 < spec.missed)
        plans.append(EpisodePlan(cell, spec.name, repeat, colour, text, not vague, missed))
    return plans[:limit]
