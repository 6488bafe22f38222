"""Which rows of a sample an item takes.

In: a sample's length and context, and either the whole event or an anchor in it. Out: rows of state, of action and of
pictures, each with a mask of those that are filled in because the sample does not reach so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Pad = npt.NDArray[np.bool_]
HORIZON = 16  # actions of a window


@dataclass(frozen=True, slots=True)
class Cut:
    """Of whole events: history: frames before them; horizon: they are cut after so many frames (None: never); frames:
    pictures, evenly spread over the event (None: of every `stride`-th frame; 0: none).

    Of windows (chunk) around an anchor t: history: rows of state before t; horizon: rows of action, from t + lead on;
    frames: pictures at these offsets from t (a number: so many up to t, `stride` apart; None: at t).
    """

    mode: str
    history: int
    horizon: int | None
    frames: int | Sequence[int] | None
    stride: int
    lead: int = 0

    @property
    def has_pictures(self) -> bool:
        return self.frames is None or (self.frames > 0 if isinstance(self.frames, int) else len(self.frames) > 0)

    def offsets(self) -> list[int]:
        """Of pictures from an anchor."""
        if self.frames is None:
            return [0]
        if isinstance(self.frames, int):
            return [-n * self.stride for n in range(self.frames)][::-1]
        return sorted(int(offset) for offset in self.frames)


def cut_of(
    mode: str,
    layout: str,
    history: int,
    horizon: int | None,
    frames: int | Sequence[int] | None,
    stride: int,
    lead: int,
) -> Cut:
    """A cut that can be: windows have HORIZON actions unless somebody says how many. Raises ValueError."""
    if layout != "event" and mode != "chunk":
        raise ValueError(f"layout={layout!r} is of windows: mode='chunk'")
    frames = int(frames) if isinstance(frames, Integral) else frames
    if isinstance(frames, int) and frames < 0:
        raise ValueError(f"frames={frames}: 0 or more")
    if mode == "event" and not (frames is None or isinstance(frames, int)):
        raise ValueError("frames: offsets are of mode='chunk'; of an event a number of pictures, or None for all")
    if min(history, stride - 1, 0 if horizon is None else horizon - 1) < 0:
        raise ValueError("history is 0 or more, stride and horizon 1 or more")
    horizon = HORIZON if mode == "chunk" and horizon is None else horizon
    return Cut(mode, history, horizon, frames, stride, lead)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Rows of the sample, and where each was filled in."""

    state: Rows
    state_pad: Pad
    action: Rows
    action_pad: Pad
    pictures: Rows
    pictures_pad: Pad


def length(
    cut: Cut, n_frames: npt.NDArray[np.int32], before: npt.NDArray[np.int32], after: npt.NDArray[np.int32]
) -> Rows:
    """int64[N]: rows of an item, to sort and pack by."""
    if cut.mode == "chunk":
        return np.full(len(n_frames), cut.horizon or 1, dtype=np.int64)
    own = n_frames - before - after
    own = own if cut.horizon is None else np.minimum(own, cut.horizon)
    return np.asarray(own + np.minimum(before, cut.history), dtype=np.int64)


def whole(cut: Cut, n_frames: int, before: int, after: int) -> Window:
    """The event with its history."""
    end = n_frames - after
    if cut.horizon is not None:
        end = min(end, before + cut.horizon)
    rows = np.arange(max(0, before - cut.history), end, dtype=np.int64)
    if cut.frames is None:
        pictures = rows[:: cut.stride]
    else:
        assert isinstance(cut.frames, int)
        pictures = np.rint(np.linspace(before, end - 1, cut.frames)).astype(np.int64)
    none = np.zeros(len(rows), dtype=bool)
    return Window(rows, none, rows, none, pictures, np.zeros(len(pictures), dtype=bool))


def limited(window: Window, rows: int) -> Window:
    """Of a whole event, its first rows, and the pictures of these."""
    if len(window.state) <= rows:
        return window
    seen = window.pictures < window.state[rows]
    return Window(
        window.state[:rows],
        window.state_pad[:rows],
        window.action[:rows],
        window.action_pad[:rows],
        window.pictures[seen],
        window.pictures_pad[seen],
    )


def around(cut: Cut, n_frames: int, anchor: int) -> Window:
    """The window of an anchor, which is a row of the sample. Before its first row and after its last these are
    repeated, and marked."""
    assert cut.horizon is not None
    wanted = (
        np.arange(anchor - cut.history, anchor + 1),
        np.arange(anchor + cut.lead, anchor + cut.lead + cut.horizon),
        anchor + np.array(cut.offsets(), dtype=np.int64),
    )
    clipped = [np.clip(rows, 0, n_frames - 1) for rows in wanted]
    state, action, pictures = ((own, own != rows) for own, rows in zip(clipped, wanted, strict=True))
    return Window(*state, *action, *pictures)
