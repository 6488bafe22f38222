"""Decisions as a test makes them: `decide` acts on spans of today and gives the row and the spans after it."""

from __future__ import annotations

from itertools import count

from schemas.review.decisions import DecisionRow
from stages.review.edit import Ask, change
from stages.review.fold import Touched, after, laid_over
from stages.review.spans import Span, seen

EPISODE, LEVEL, TRACK = "lab/000001", "L1", "all"
EDGES = list(range(0, 4001, 100))  # 40 frames of 100 ms
MACHINE = [
    Span(0, 1000, "reach", "The arm reaches."),
    Span(1000, 1500, "grasp", "The gripper closes."),
    Span(1500, 3000, "lift", "The arm moves up."),
    Span(3000, 4000, "place", "The arm puts it down."),
]
_numbers = count(1)


def row(before: list[Span], new: list[Span], action: str = "accept", undoes: str | None = None, actor: str = "ada"):
    number = next(_numbers)
    made: DecisionRow = {
        "decision_id": f"{number:032x}",
        "time_ms": number,
        "episode_id": EPISODE,
        "level": LEVEL,
        "track": TRACK,
        "start_ms": before[0].start,
        "end_ms": before[0].end,
        "seen": seen(before),
        "actor": actor,
        "action": action,
        "before": [s.row() for s in before],
        "after": [s.row() for s in new],
        "undoes": undoes,
        "spent_ms": 0,
        "comment": "",
        "blind": False,
        "gold": False,
        "machine": None,
    }
    return made


class Reviewed:
    """The spans of a level under decisions, one by one."""

    def __init__(self, machine: list[Span] = MACHINE) -> None:
        self.machine, self.rows, self.touched = machine, [], list[Touched]()

    @property
    def spans(self) -> list[Span]:
        return laid_over(self.machine, self.touched).spans

    def do(self, action: str, at: int, **more) -> None:
        self.add(row(*change(self.spans, Ask(action, at, **more), EDGES), action))

    def undo(self) -> None:
        last = self.rows[-1]
        made = row(self.spans, self.spans, "undo", last["decision_id"])
        made |= {k: last[k] for k in ("start_ms", "end_ms")} | {"before": last["after"], "after": last["before"]}
        self.add(made)

    def add(self, made: DecisionRow) -> None:
        self.rows.append(made)
        self.touched = after(self.touched, made)
