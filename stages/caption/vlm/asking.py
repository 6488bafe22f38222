"""The questions about an episode: one a handling (what is the thing called?), then one an event.

In: an episode's rows and a function that gives pictures. Out: `Request`s. L3 and L2 are not asked about: they are put
together from what is known of their children and the task (`stages/caption/compose.py`). A local event that is a whole
action by itself has that action's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.alignments import DEAD, AlignmentRow
from schemas.episodes import EpisodeRow
from schemas.events import EventRow
from stages.caption.signals.describe import Scene
from stages.caption.signals.scenes import scenes
from stages.caption.vlm.facts import facts, neighbours, task_line
from stages.caption.vlm.handling import Handling, actions, clearest, handlings, moments
from stages.caption.vlm.prompts import prompt
from stages.caption.vlm.requests import Picture, Request
from stages.episode import Signal, both_arms

NAME_FIELDS = ("object", "from", "to")
EVENT_FIELDS = ("verb", "object", "from", "to", "arm", "outcome", "caption")
ASKED = ("L1", "L0")
NAME_TOKENS, EVENT_TOKENS = 100, 250

See = Callable[[Iterable[int]], Mapping[tuple[str, int], bytes]]  # canonical frames -> {(camera, frame): JPEG}


@dataclass(frozen=True, slots=True)
class Asking:
    """An episode as it is asked about. `cameras` in order; `most`: moments of an event that are shown; `static`:
    whether events in which nothing moves are asked about; `of_arms`: events of each arm alone, which no model is asked
    about."""

    events: Sequence[EventRow]
    scenes: Mapping[str, Scene]
    signals: Mapping[str, Signal]
    alignment: AlignmentRow
    cameras: tuple[str, ...]
    most: int
    static: bool = False
    of_arms: Sequence[EventRow] = ()

    def handlings(self) -> list[Handling]:
        return handlings(actions(self.events))

    def handling_of(self, event: EventRow) -> int:
        """Number of the handling in which most of an event lies: in which it begins."""
        starts = [h.start for h in self.handlings()]
        return max(0, sum(start <= event["start_frame"] for start in starts) - 1)

    def asked(self) -> list[EventRow]:
        """Events that are asked about, in order; those that a person has named are not."""
        spans = {(e["start_frame"], e["end_frame"]) for e in actions(self.events)}
        return [
            e
            for e in self.events
            if e["level"] in ASKED
            and not e["label"]
            and (self.static or not e["static"])
            and (e["level"] == "L1" or (e["start_frame"], e["end_frame"]) not in spans)
        ]

    def frames(self, names: Sequence[Handling], events: Sequence[EventRow]) -> set[int]:
        """Canonical frames that the questions about these show."""
        own = actions(self.events)
        return {f for h in names for f in clearest(own, h)} | {f for e in events for f in self._moments(e)}

    def name(self, handling: Handling, seen: Mapping[tuple[str, int], bytes]) -> Request:
        """What is the thing of a handling called?"""
        own = actions(self.events)
        said = self.scenes[own[handling.first]["event_id"]].said
        shown = self._pictures(clearest(own, handling), seen)
        return Request(prompt("name"), shown, task_line(said), NAME_FIELDS, NAME_TOKENS)

    def event(self, event: EventRow, thing: str, seen: Mapping[tuple[str, int], bytes]) -> Request:
        """What happens in an event whose thing has that name?"""
        level = sorted((e for e in self.events if e["level"] == event["level"]), key=lambda e: e["start_frame"])
        beside = neighbours(level, [e["event_id"] for e in level].index(event["event_id"]))
        scene = self.scenes[event["event_id"]]
        text = facts(event, scene, beside, self.signals, self.alignment, thing)
        return Request(prompt("event"), self._pictures(self._moments(event), seen), text, EVENT_FIELDS, EVENT_TOKENS)

    def _moments(self, event: EventRow) -> list[int]:
        return moments(event, self.most, self.alignment["time_s"])

    def _pictures(self, frames: Sequence[int], seen: Mapping[tuple[str, int], bytes]) -> tuple[Picture, ...]:
        """By moment, then by camera; pictures in which nothing is to be seen are left out."""
        times = self.alignment["time_s"]
        return tuple(
            Picture(camera, float(times[frame]), seen[camera, frame])
            for frame in frames
            for camera in self.cameras
            if (camera, frame) in seen and not self._dead(camera, frame)
        )

    def _dead(self, camera: str, frame: int) -> bool:
        return any(
            bad["camera"] == camera and bad["kind"] in DEAD and bad["start_frame"] <= frame < bad["end_frame"]
            for bad in self.alignment["pictures"]
        )


def asking(
    episode: EpisodeRow,
    signals: Mapping[str, Signal],
    alignment: AlignmentRow,
    events: Sequence[EventRow],
    cameras: Sequence[str],
    most: int,
    static: bool = False,
) -> Asking:
    """events: of both arms together, and of each."""
    known = dict(zip((e["event_id"] for e in events), scenes(episode, signals, alignment, events), strict=True))
    both = both_arms(events)
    own = [e for e in events if e["track"] != "all"]
    return Asking(both, known, signals, alignment, tuple(cameras), most, static, own)
