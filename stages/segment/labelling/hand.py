"""One arm with what it holds: the running sums and states from which every span is labelled.

In: an arm's motion and its gripper changes. Out: per span mean speeds, way gone, whether its hand holds something, what
comes next, what its hold as a whole does (lifts, pushes, pulls).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stages.seconds import whole_steps
from stages.segment.kinematics.gripper import GRIPS_S, LOST, SHORT, SMALL, Change, carries
from stages.segment.kinematics.motion import GRID_HZ, ArmMotion

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Spans:
    """start, end: s on the log's clock, float64[N]; a, b: the grid points they reach over, b > a, int64[N]."""

    start: Float
    end: Float
    a: Int
    b: Int

    @property
    def seconds(self) -> Float:
        return np.maximum(self.end - self.start, 1e-9)

    @property
    def middle(self) -> Float:
        return (self.start + self.end) / 2


def spans_on(points: Float, start: Float, end: Float) -> Spans:
    """Spans on the grid: each reaches over one point at least."""
    a, b = (np.clip(np.round((t - points[0]) * GRID_HZ).astype(np.int64), 0, len(points)) for t in (start, end))
    a = np.minimum(a, len(points) - 1)
    return Spans(start, end, a, np.maximum(b, a + 1))


@dataclass(frozen=True, slots=True)
class State:
    """Per time, bool[N]: the hand holds something, and `sure`: that is proven; a closing is yet to come; the hand has
    let go before; its last try was in vain."""

    held: Bool
    sure: Bool
    ahead: Bool
    behind: Bool
    attempt: Bool


class Hand:
    """An arm's motion on the grid `points` and those of its changes that act; every question is answered for all spans
    at once, from sums that are run up once. `unsure`: the same with changes of which nobody knows what they do,
    `empty`: with those that take and let go nothing; or None."""

    def __init__(self, motion: ArmMotion, changes: Sequence[Change], points: Float) -> None:
        self.motion, self.points = motion, points
        self.changes = [c for c in changes if c.arm == motion.arm and c.acts]
        idle = [c for c in changes if c.arm == motion.arm and not c.acts]
        unsure = [c for c in idle if not c.known]
        empty = [c for c in idle if c.known and c.swing > SMALL]
        self.unsure, self.empty = (
            Hand(motion, [c._replace(acts=True, known=True) for c in own], points) if own else None
            for own in (unsure, empty)
        )
        rows = zip(*self.changes, strict=True) if self.changes else ((),) * len(Change._fields)
        of = dict(zip(Change._fields, rows, strict=True))
        self.starts, self.ends = (np.array(of[n], dtype=np.float64) for n in ("start", "end"))
        self.closes, self.missed, self.flips = (np.array(of[n], dtype=bool) for n in ("closes", "missed", "flips"))
        self.given = np.array([passed is not None for passed in of["passed"]], dtype=bool)
        self._firm, self._lost = self._proven(), self._losses()
        self._changed = np.where(self.closes, np.maximum(self.starts, self.ends - GRIPS_S), self.starts)
        self._way = np.append(0.0, np.cumsum(motion.speed))
        self._turned = np.append(0.0, np.cumsum(motion.spin)) if motion.spin is not None else None
        self._holds: tuple[Float, Float, Float] | None = None

    def speed(self, spans: Spans) -> Float:
        """Mean scaled speed."""
        return np.asarray((self._way[spans.b] - self._way[spans.a]) / (spans.b - spans.a))

    def spin(self, spans: Spans) -> Float | None:
        """Mean scaled turning speed of the hand."""
        return None if self._turned is None else (self._turned[spans.b] - self._turned[spans.a]) / (spans.b - spans.a)

    def shift(self, spans: Spans, path: Float) -> Float:
        """float64[N, D]: from where to where a path (float64[G, D]) leads in each span."""
        last = len(path) - 1
        return np.asarray(path[np.minimum(spans.b, last)] - path[spans.a])

    def state(self, time: Float) -> State:
        """At each time."""
        if not self.changes:
            no = np.zeros(len(time), dtype=bool)
            return State(no, no, no, no, no)
        past = np.searchsorted(self.starts, time, side="right") - 1
        known, which = past >= 0, np.maximum(past, 0)
        holds = self.closes & ~self.missed
        held = np.where(known, holds[which], ~self.closes[0])
        firm = np.searchsorted(self._changed, time, side="right") - 1  # fingers that still close hold nothing yet
        sure = np.where(firm >= 0, self._firm[np.maximum(firm, 0)] & (time < self._lost[firm]), ~self.closes[0])
        coming = np.append(np.cumsum(self.closes[::-1])[::-1], 0)
        behind = known & ~self.closes[which]
        return State(held, sure, coming[past + 1] > 0, behind, behind & self.missed[which])

    def _losses(self) -> Float:
        """float64[C]: of each closing when what it took is lost, s: fingers that had stopped on it go on to where they
        can close to. Infinity where it stays."""
        lost = np.full(len(self.changes), np.inf)
        opening = self.motion.opening
        if opening is None or opening.flips:
            return lost
        closed = float(opening.values.min()) + LOST
        until = np.append(self.starts[1:], self.points[-1])
        for i in np.flatnonzero(self.closes & ~self.missed).tolist():
            a, b = (whole_steps(t - self.points[0], GRID_HZ) for t in (self.ends[i], until[i]))
            held = opening.values[a : max(a, b)]
            if len(held) and held[0] > closed + SHORT - LOST and float(held.min()) < closed:
                lost[i] = self.points[a + int(np.argmax(held < closed))]
        return lost

    def _proven(self) -> Bool:
        """Of each closing: the fingers stopped on something, or what they closed on was carried and let go."""
        full = np.array([c.full for c in self.changes], dtype=bool)
        carried = carries(self.closes, self.starts, self.ends, self.motion, self.points) if len(full) else full
        return np.asarray(self.closes & ~self.missed & (full | carried))

    def close_to(self, edge: Float, closing: bool, seconds: float) -> Bool:
        """Is the start of a closing (or the end of an opening) within so many seconds of each `edge`?"""
        marks = self.starts[self.closes] if closing else self.ends[~self.closes]
        return np.asarray(np.searchsorted(marks, edge + seconds) > np.searchsorted(marks, edge - seconds))

    def lets_go_after(self, edge: Float, seconds: float) -> Bool:
        """Does the hand begin to open within so many seconds after each `edge`?"""
        marks = self.starts[~self.closes]
        return np.asarray(np.searchsorted(marks, edge + seconds) > np.searchsorted(marks, edge - 0.2))

    def hold(self, time: Float) -> tuple[Float, Float, Float]:
        """Of the stretch between two changes that each time lies in: highest rise, way gone, how much nearer to the
        base it ends; m, float64[N] each. Needs a position."""
        if self._holds is None:
            self._holds = self._all_holds()
        past = np.searchsorted(self.starts, time, side="right")
        rise, way, nearer = self._holds
        return rise[past], way[past], nearer[past]

    def _all_holds(self) -> tuple[Float, Float, Float]:
        position = self.motion.position
        assert position is not None
        last = len(position) - 1
        edges = np.append(self.points[0], self.ends), np.append(self.starts, self.points[-1])
        a, b = (np.clip(np.round((e - self.points[0]) * GRID_HZ).astype(np.int64), 0, last) for e in edges)
        b = np.maximum(b, a)
        a = np.minimum(a, last)
        bounds = np.stack([a, np.minimum(b + 1, last)], axis=1).ravel()
        highest = np.maximum.reduceat(position[:, 2], bounds)[::2]
        rise = highest - position[a, 2]
        way = np.linalg.norm(position[b] - position[a], axis=1)
        nearer = np.linalg.norm(position[a, :2], axis=1) - np.linalg.norm(position[b, :2], axis=1)
        return rise, way, nearer
