"""People's spans into the machine's: a human span wins over its interval, machine spans are clipped, children
re-nested.

In: labels of an episode, its frames, the machine's boundaries of a track. Out: boundaries that still tile and nest,
and the labels that could not be used, each with why. Coarser labels win over finer ones that straddle them,
earlier-given over later ones that overlap them.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from schemas.episodes import Decided, Label, LabelRow
from schemas.ids import LEVELS
from stages.seconds import ROUNDING_S, at_least

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
COARSE_FIRST = tuple(reversed(LEVELS))
WHOLE = 0.9  # share of an episode that an L3 label must cover to be about it


@dataclass(frozen=True, slots=True)
class Placed:
    """A label on frames [start, end) of the episode."""

    label: Label
    start: int
    end: int


def place(label: Label, starts: Float, end: float, source_frames: Int | None) -> Placed:
    """The label on the episode's frames, cut to them; starts: of each frame, s; end: of the episode; source_frames: of
    the reference camera, int64[T], None without video. Nearest frame for seconds."""
    count = len(starts)
    if label.unit == "frames":
        shown = np.arange(count) if source_frames is None else source_frames
        first, last = np.searchsorted(shown, [label.start, label.end])
    else:
        edges = np.append(starts, end)
        first, last = np.searchsorted((edges[1:] + edges[:-1]) / 2, np.array([label.start, label.end]) - ROUNDING_S)
    return Placed(label, int(min(first, count)), int(min(last, count)))


def accept(placed: Iterable[Placed], frames: int) -> tuple[dict[str, list[Placed]], list[tuple[Label, str]]]:
    """({level: labels in order, none overlapping, none across a coarser label's edge}, refused with why). One in whose
    place the review page has put others is superseded, not refused: who decided there had it before them."""
    accepted: dict[str, list[Placed]] = {level: [] for level in COARSE_FIRST}
    refused: list[tuple[Label, str]] = []
    ranked = sorted(placed, key=lambda p: COARSE_FIRST.index(p.label.level))  # stable: as given within a level
    for item in ranked:
        why = _objection(item, accepted, frames)
        if not why:
            about_all = _is_about_all(item, ranked, frames)
            insort(accepted[item.label.level], Placed(item.label, 0, frames) if about_all else item, key=_start)
        elif not _superseded(item, accepted[item.label.level]):
            refused.append((item.label, why))
    return accepted, refused


def _objection(item: Placed, accepted: Mapping[str, Sequence[Placed]], frames: int) -> str | None:
    if item.end <= item.start:
        return "it holds no frame of the episode"
    for other in _around(accepted[item.label.level], item.start):
        if item.start < other.end and other.start < item.end:
            return f"it overlaps {_words(other)}"
    for level in COARSE_FIRST[: COARSE_FIRST.index(item.label.level)]:
        for other in _around(accepted[level], item.start):
            if any(item.start < edge < item.end for edge in (other.start, other.end)):
                return f"it goes across the edge of {_words(other)}"
    return None


def _is_about_all(item: Placed, ranked: Sequence[Placed], frames: int) -> bool:
    """Whether a task is that of the whole episode: it covers WHOLE of it, and no other was marked beside it."""
    if item.label.level != "L3" or item.end - item.start < WHOLE * frames:
        return False
    tasks = (p for p in ranked if p.label.level == "L3" and p.start < p.end)
    return not any(p.end <= item.start or item.end <= p.start for p in tasks)


def _superseded(item: Placed, own: Sequence[Placed]) -> bool:
    """Whether decisions cover all frames of a label that is none; own: labels in force of its level."""
    at = item.start
    for other in (p for p in own if isinstance(p.label, Decided) and not isinstance(item.label, Decided)):
        if other.start <= at < other.end:
            at = other.end
    return item.start < item.end <= at


def _start(item: Placed) -> int:
    return item.start


def _around(own: Sequence[Placed], frame: int) -> Sequence[Placed]:
    """Of labels in order that do not overlap: the one that starts last at or before a frame, and the one after it."""
    after = bisect_right(own, frame, key=_start)
    return own[max(0, after - 1) : after + 1]


def _holding(own: Sequence[Placed], cut: int) -> Placed | None:
    """The label that `cut` lies inside."""
    return next((p for p in _around(own, cut) if p.start < cut < p.end), None)


def _words(item: Placed) -> str:
    label = item.label
    where = ", decided on the review page, which counts for more" if isinstance(label, Decided) else ""
    return f"{label.level} {label.start:g} to {label.end:g} {label.unit} of {label.said_by}{where}"


def impose(
    cuts: Mapping[str, Int],
    accepted: Mapping[str, Sequence[Placed]],
    starts: Float,
    end: float,
    least: Mapping[str, float],
) -> dict[str, Int]:
    """{level: boundaries} of the machine's `cuts` (inner frames, rising) with the labels in force. A long recording may
    hold several tasks: an L3 label that does not cover the episode is one of them.

    A machine boundary inside a label of its level goes; one inside a label of a finer level, or so near to it that no
    span of that level fits between, moves to that label's nearer edge. A machine span left shorter than its level's
    minimum is given to its machine neighbour; between two edges that people have set it stays, however short.
    """
    edges, count, result = np.append(starts, end), len(starts), {}
    above = np.zeros(0, dtype=np.int64)
    for number, level in enumerate(COARSE_FIRST):
        fixed = {0, count, *above.tolist(), *(e for p in accepted[level] for e in (p.start, p.end))}
        kept = set[int]()
        for cut in cuts.get(level, above[:0]).tolist():
            if _holding(accepted[level], cut):
                continue
            kept.add(_moved(cut, {fine: accepted[fine] for fine in COARSE_FIRST[number + 1 :]}, edges, least))
        every = sorted(fixed | kept)
        stays = [every[0]]
        for cut, following in pairwise(every[1:]):
            shortest = min(edges[cut] - edges[stays[-1]], edges[following] - edges[cut])
            if cut in fixed or at_least(shortest, least[level]):
                stays.append(cut)
        above = np.array(stays[1:], dtype=np.int64)
        result[level] = above
    return result


def _moved(cut: int, finer: Mapping[str, Sequence[Placed]], edges: Float, least: Mapping[str, float]) -> int:
    """Where a machine boundary goes for the labels of finer levels."""
    for level, own in finer.items():
        for p in _around(own, cut):
            nearest = min((p.start, p.end), key=lambda f: abs(f - cut))
            if p.start < cut < p.end or not at_least(abs(float(edges[cut] - edges[nearest])), least[level]):
                return nearest
    return cut


def labels_from(rows: Iterable[LabelRow]) -> list[Label]:
    """Labels of `episodes.labels` rows."""
    return [
        Label(
            row["level"],
            row["start"],
            row["end"],
            row["text"],
            "frames" if row["unit"] == "frames" else "seconds",
            row["track"],
            row["primitive"],
            row["said_by"],
            "source",
        )
        for row in rows
    ]
