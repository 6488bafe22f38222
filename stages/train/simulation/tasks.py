"""The tasks that policies are tried on: what is said, what is handled, how it looks, when it is done.

In: nothing. Out: ``TASKS`` by name, the hard five and the easy ones. A task has one instruction and one colour, so that
a small training set says nothing but how to do it.
"""

from __future__ import annotations

from dataclasses import dataclass

SUCCESS_ON_THE_WAY = frozenset(
    {
        "basketball-v3",
        "button-press-topdown-v3",
        "door-open-v3",
        "drawer-open-v3",
        "hammer-v3",
        "peg-insert-side-v3",
        "stick-push-v3",
        "window-open-v3",
    }
)
"""Tasks counted as done once the goal was reached; the others must still be done at the end."""

MARK_ON_TABLE = frozenset({"pick-place-v3", "pick-place-wall-v3"})
"""Tasks whose goal is a mark on the table, not a point in the air as Meta-World has it."""


@dataclass(frozen=True, slots=True)
class Task:
    """``body``: the MuJoCo body handled, painted ``rgb`` (0 to 1) with all that is mounted on it; ``effort``: of the
    fingers that close, 0 to 1."""

    name: str
    instruction: str
    body: str
    rgb: tuple[float, float, float]
    effort: float = 1.0
    grasp: bool = True

    @property
    def marked(self) -> bool:
        """A dark disc on the table shows the goal."""
        return self.name in MARK_ON_TABLE

    @property
    def on_the_way(self) -> bool:
        """Done once the goal was reached."""
        return self.name in SUCCESS_ON_THE_WAY


RED, GREEN, BLUE, WHITE = (0.85, 0.08, 0.08), (0.10, 0.60, 0.16), (0.08, 0.20, 0.85), (0.96, 0.96, 0.96)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("pick-place-v3", "put the puck on the dark mark", "obj", RED),
        Task("bin-picking-v3", "move the cube from one bin into the other", "obj", GREEN, 0.7),
        Task("shelf-place-v3", "put the block on the shelf", "obj", BLUE, 0.8),
        Task("assembly-v3", "put the ring over the peg", "RoundNut", GREEN, 0.8),
        Task("peg-insert-side-v3", "insert the peg into the hole in the box", "peg", GREEN, 0.8),
        Task("drawer-open-v3", "open the drawer", "drawer_link", WHITE, grasp=False),
        Task("button-press-topdown-v3", "press the button from above", "button", RED, grasp=False),
        Task("window-open-v3", "slide the window open", "windowb_a", BLUE, grasp=False),
    )
}

HARD = tuple(name for name, task in TASKS.items() if task.grasp)
EASY = tuple(name for name, task in TASKS.items() if not task.grasp)
