"""Which thing an action is about: an episode parted into handlings, and the moments at which each is best seen.

A handling is everything done to one thing: reaching for it, taking, carrying, letting go, drawing back. In: the events
of an episode (both arms together). Out: handlings in order, and canonical frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.events import EventRow

TAKES = ("grasp", "handover")
LETS_GO = ("release", "place", "open")
WORKS = ("press", "push", "pull", "rotate")
SETS_OFF = ("reach", "align", "approach", "grasp", "press", "push", "pull")


@dataclass(frozen=True, slots=True)
class Handling:
    """Actions [first, last] of an episode's L1, and the canonical frames [start, end) that they cover."""

    first: int
    last: int
    start: int
    end: int


def actions(events: Sequence[EventRow]) -> list[EventRow]:
    """The L1 events in order of time."""
    return sorted((e for e in events if e["level"] == "L1"), key=lambda e: e["start_frame"])


def handlings(own: Sequence[EventRow]) -> list[Handling]:
    """Handlings of an episode's actions: a new one begins where a hand sets off after one has let go of something, or
    has worked on something and drawn back."""
    starts, took, let_go, worked = [0], False, False, False
    for number, event in enumerate(own):
        primitive = event["primitive"]
        sets_off = (let_go and primitive in SETS_OFF) or (worked and primitive in ("reach", "approach"))
        if sets_off and not event["recovery"] and not event["holds"]:
            starts.append(number)
            took = let_go = worked = False
        took = took or bool(event["holds"]) or (primitive in TAKES and not event["recovery"])
        let_go = (
            let_go or (took and primitive in LETS_GO and not event["recovery"]) or (worked and primitive == "retract")
        )
        worked = worked or (primitive in WORKS and not event["holds"])
    ends = [*(s - 1 for s in starts[1:]), len(own) - 1]
    return [
        Handling(a, b, own[a]["start_frame"], own[b]["end_frame"]) for a, b in zip(starts, ends, strict=True) if own
    ]


def handles(own: Sequence[EventRow], handling: Handling) -> bool:
    """Whether something is done to a thing in a handling: taken, held or worked on."""
    mine = own[handling.first : handling.last + 1]
    return any(e["holds"] or e["primitive"] in (*TAKES, *WORKS) for e in mine)


def takes(own: Sequence[EventRow], handling: Handling) -> bool:
    """Whether a hand takes or holds something in a handling."""
    mine = own[handling.first : handling.last + 1]
    return any(e["holds"] or (e["primitive"] in TAKES and not e["recovery"]) for e in mine)


def several(own: Sequence[EventRow], handling: Handling) -> bool:
    """Whether two arms each take a thing of their own in a handling: no one name is that of all its events."""
    mine = [e for e in own[handling.first : handling.last + 1] if not e["recovery"]]
    takes = {arm for e in mine if e["primitive"] == "grasp" and len(e["arms"]) == 1 for arm in e["arms"]}
    return len(takes) > 1 and not any(e["primitive"] == "handover" for e in mine)


def clearest(own: Sequence[EventRow], handling: Handling) -> list[int]:
    """Frames in which the thing is best seen: before anything hides it, as the hand takes hold or begins to work, and
    in the middle of what is done with it."""
    mine = list(own[handling.first : handling.last + 1])
    takes = next((e for e in mine if e["primitive"] in ("grasp", "handover") and not e["recovery"]), None)
    work = next((e for e in mine if e["primitive"] in WORKS), None)
    held = max((e for e in mine if e["holds"]), key=lambda e: e["end_s"] - e["start_s"], default=None)
    first = handling.start
    contact = takes or work
    at = contact["start_frame"] if contact else (first + handling.end) // 2
    shown = held or work
    middle = (shown["start_frame"] + shown["end_frame"]) // 2 if shown else (at + handling.end) // 2
    return sorted({first, at, min(middle, handling.end - 1)})


def moments(event: EventRow, most: int, times: Sequence[float] | npt.NDArray[np.float64]) -> list[int]:
    """At most `most` frames of an event, its first and its last among them: between those the instants of what bounds
    it, strongest first, then even ones. times: s of each canonical frame."""
    start, last = event["start_frame"], event["end_frame"] - 1
    chosen = [start, last][:most]
    apart = max(1, (last - start) // 4)  # frames: a picture next to another shows nothing new
    causes = sorted(event["evidence"], key=lambda e: -e["strength"])
    own = np.asarray(times[start : last + 1])
    inside = [start + int(np.abs(own - e["time_s"]).argmin()) for e in causes]
    even = [start + (last - start) * k // most for k in range(1, most)]
    for frame in [*inside, *even]:
        if len(chosen) < most and all(abs(frame - c) >= apart for c in chosen):
            chosen.append(frame)
    return sorted(set(chosen))
