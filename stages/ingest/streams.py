"""A dataset's streams, resolved: which values of which columns are an arm's pose, joints and gripper, in which units.

A `Layout` comes of a profile (stages.ingest.profile) or is inferred (stages.ingest.inference); ingest reads by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from schemas.reasons import Flag

Kind = Literal["position", "orientation", "joints", "velocity", "gripper", "gripper_command", "hand"]
Arm = Literal["single", "left", "right"]
HANDS = ("gripper", "gripper_command", "hand")
ORDER: tuple[Arm, ...] = ("single", "left", "right")
MOTION = ("position", "joints", "velocity")  # kinds of which one must be there


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Stream(Frozen):
    """A stream of one arm: `places`, the (column, index) of each of its values. For a gripper, a command of one, or a
    hand (a gripper of which nobody can tell which end is closed: `open` is then merely the larger end) the values at
    both ends of its range; `guessed`: the range was read off the log."""

    kind: Kind
    arm: Arm
    places: tuple[tuple[str, int], ...]
    unit: str
    open: tuple[float, ...] = ()
    closed: tuple[float, ...] = ()
    guessed: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(column for column, _ in self.places))

    @property
    def origin(self) -> str:
        """As people read it: `observation.state[0, 1, 2]`."""
        return origin(self.places)


class Layout(Frozen):
    """How a dataset is read. `state`, `action`: the columns that a sample's arrays of that name are made of, side by
    side. `inferred` where no profile fitted."""

    profile: str
    inferred: bool = False
    frame: str = ""
    forward: str = ""
    action_mode: str = ""
    state: tuple[str, ...] = ()
    action: tuple[str, ...] = ()
    streams: tuple[Stream, ...]
    flags: tuple[Flag, ...] = ()  # for every episode

    @property
    def arms(self) -> tuple[Arm, ...]:
        return tuple(a for a in ORDER if any(s.arm == a for s in self.streams))

    @property
    def range_inferred(self) -> bool:
        """Whether the range of a measured gripper is the log's own."""
        return any(s.guessed for s in self.streams if s.kind in ("gripper", "hand"))

    @property
    def moves(self) -> bool:
        """Whether there is a signal to segment by."""
        return any(s.kind in MOTION for s in self.streams)

    def raw(self) -> dict[str, tuple[str, ...]]:
        """{array of a sample: its columns}."""
        return {name: columns for name, columns in (("state", self.state), ("action", self.action)) if columns}


def origin(places: Sequence[tuple[str, int]]) -> str:
    """`a[0, 1], b[0]`."""
    by_column: dict[str, list[int]] = {}
    for column, index in places:
        by_column.setdefault(column, []).append(index)
    return ", ".join(f"{column}{indices}" for column, indices in by_column.items())
