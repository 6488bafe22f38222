"""What the server does, without HTTP: list, get, decide, lease, publish.

In: a store, a catalogue. Out: rows and answers. One lock around all of it: a decision takes about as long as the disk
takes to say that it has it. Raises `Conflict` where somebody decides about what is not there any more as it was seen.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from pipeline.corpus import decisions, tombstones
from pipeline.review.catalogue import Catalogue, ShownEvent, StaleSpan
from pipeline.review.episode import Episodes
from pipeline.review.loop.gold import Gold, chosen, dealt
from pipeline.review.loop.learning import Learning
from pipeline.review.store import Store
from schemas.ids import LEVELS, unit_hash
from schemas.review.decisions import DecisionRow
from stages.review.edit import Ask, Impossible, change
from stages.review.figures import Figures, figures
from stages.review.fold import Place, Touched, after, fold, laid_over, place_of
from stages.review.gold import Score, score
from stages.review.spans import REVIEWED, Span, of_rows, over, seen
from stages.text import plain

SECOND = 0.15  # share of episodes that are judged twice
LEASE_S = 120.0  # an episode is somebody's for so long after the last thing they did with it
LETTERS = 1000  # of a comment
AT_WORK_S = 15 * 60.0  # who has decided nothing for longer is not at work
KEYS: Mapping[str, Callable[[ShownEvent], Any]] = {  # as catalogue.ORDERS
    "episode": lambda e: (e["episode"], e["start_ms"]),
    "confidence": lambda e: min(e["confidence"], 1.0 if e["sure"] is None else e["sure"]),
    "rarity": lambda e: e["rarity"],
    "worth": lambda e: -(e["worth"] or 0.0),
}
MOST_SPENT_MS = 10 * 60 * 1000  # who has gone for lunch has not looked at an event


class Conflict(Exception):
    """Somebody else was first, or holds the episode. kind: changed or leased."""

    def __init__(self, kind: str, words: str, by: str = "") -> None:
        super().__init__(words)
        self.kind, self.by = kind, by


@dataclass(frozen=True, slots=True)
class Request:
    """What a person asks: `ask`, about a place, having seen `seen` (fingerprint of the spans that it touches)."""

    decision_id: str
    place: Place
    ask: Ask
    seen: str
    undoes: str | None = None
    spent_ms: int = 0
    comment: str = ""
    blind: bool = False


class Progress(TypedDict):
    """How far people are. people: name, decisions, ms spent; pace_s, together_s: s that an event takes whoever asks,
    and all who are at work; None where that is not known yet."""

    states: dict[str, int]
    people: list[tuple[str, int, int]]
    version: int
    pace_s: float | None
    together_s: float | None
    at_work: list[str]


class Review:
    """All that is known of a corpus and of what people have decided."""

    def __init__(
        self,
        root: str,
        store: Store,
        catalogue: Catalogue,
        episodes: Episodes,
        clock: Callable[[], float] = time.time,
        gold: Gold | None = None,
    ) -> None:
        self.root, self.store, self.clock, self.gold = root, store, clock, gold or Gold()
        self.lock = threading.RLock()
        self.leases: dict[str, tuple[str, float]] = {}  # episode: who, until when
        self.touched: dict[Place, list[Touched]] = {}
        self.second: dict[tuple[str, Place], list[Touched]] = {}  # by who, of blind second passes
        self.stale: dict[Place, list[Touched]] = {}
        self.learning = Learning()
        self.version = 0  # of the corpus
        self.store.add(decisions.read(root), published=True)
        self.forget()
        self._fold()
        self.take(catalogue, episodes)

    def take(self, catalogue: Catalogue, episodes: Episodes) -> None:
        """Go on with the events of another build: decisions are laid over what is there now, while people still decide
        about what was; they wait only until what they decided meanwhile lies there too."""
        laid, stale = dict[Place, Sequence[Touched]](), dict[Place, list[Touched]]()

        def lay() -> None:
            for place in {*laid, *self.touched}:
                own = self.touched.get(place, ())
                if laid.get(place) is not own:  # a decision makes the list anew
                    laid[place], stale[place] = own, _lay(catalogue, place, own)

        catalogue.keep_gold(self.gold.answers)
        lay()
        with self.lock:
            lay()
            self.catalogue, self.episodes, self.stale = catalogue, episodes, stale
            self.version += 1

    def _fold(self) -> None:
        rows = self.store.all()
        self.touched, self.second = fold(rows), dict[tuple[str, Place], list[Touched]]()
        for row in (r for r in rows if r["blind"]):
            key = row["actor"], place_of(row)
            if row["gold"] and key[1] not in self.gold.answers:
                continue  # its right answer is gone, and a second pass it was not
            self.second[key] = after(self.second.get(key, ()), row)
        self.learning.restart(rows)

    def learn(self) -> bool:
        """Learn from what was judged since; whether there was anything new."""
        with self.lock:
            touched = {place: own for place, own in self.touched.items() if place not in self.gold.answers}
            catalogue = self.catalogue
        return self.learning.learn(catalogue, touched, self.lock)

    def spans(self, place: Place, blind: str = "") -> list[Span]:
        """As they are now; blind: as somebody sees them in a second pass, without what others have decided."""
        touched = self.second.get((blind, place), ()) if blind else self.touched.get(place, ())
        return laid_over(self.catalogue.machine(place), touched).spans

    def decide(self, request: Request, actor: str) -> DecisionRow:
        """The row, on disk. Raises Conflict, Impossible."""
        with self.lock:
            known = self.store.get(request.decision_id)
            if known is not None:  # sent twice: the answer to the first was lost
                if known["actor"] != actor or place_of(known) != request.place:
                    raise Impossible("there is another decision of this id")
                return known
            if request.place in self.gold.answers:
                request = replace(request, blind=True)
            if not request.blind:
                self._hold(request.place[0], actor)
            row = self._undo(request, actor) if request.ask.action == "undo" else self._row(request, actor)
            self.store.add([row])
            if request.blind:
                self.second[actor, request.place] = after(self.second.get((actor, request.place), ()), row)
            else:
                self.learning.add(row)
                self.touched[request.place] = after(self.touched.get(request.place, ()), row)
                self.stale[request.place] = _lay(self.catalogue, request.place, self.touched[request.place])
            return row

    def _row(self, request: Request, actor: str) -> DecisionRow:
        spans, ask = self.spans(request.place, actor if request.blind else ""), request.ask
        if not spans:
            raise Impossible("no such episode, level or track in the corpus")
        try:
            before, new = change(spans, ask, self.episodes.edges(request.place[0]))
        except Impossible:
            if ask.action != "label" and all(s.start != ask.at for s in spans):
                raise self._changed(request.place, ask.at, ask.at + 1) from None
            raise
        if seen(before) != request.seen:
            raise self._changed(request.place, before[0].start, before[-1].end)
        about = next((s for s in before if s.start == ask.at), before[0])
        return self._made(request, actor, about, before, new)

    def _undo(self, request: Request, actor: str) -> DecisionRow:
        undone = self.store.get(request.undoes or "")
        if undone is None or place_of(undone) != request.place or undone["blind"] != request.blind:
            raise Impossible("there is no such decision to take back")
        if undone["actor"] != actor:
            raise Impossible(f"that was {undone['actor']}'s decision; only they take it back")
        before, new = of_rows(undone["after"]), of_rows(undone["before"])
        spans = self.spans(request.place, actor if request.blind else "")
        now = over(spans, before[0].start, before[-1].end)
        if seen(now) != seen(before):
            raise self._changed(request.place, before[0].start, before[-1].end)
        return self._made(request, actor, Span(undone["start_ms"], undone["end_ms"], ""), before, new)

    def _made(
        self, request: Request, actor: str, about: Span, before: Sequence[Span], new: Sequence[Span]
    ) -> DecisionRow:
        episode, level, track = request.place
        return {
            "decision_id": request.decision_id,
            "time_ms": max(int(self.clock() * 1000), self.store.last_ms + 1),
            "episode_id": episode,
            "level": level,
            "track": track,
            "start_ms": about.start,
            "end_ms": about.end,
            "seen": seen(before),
            "actor": actor,
            "action": request.ask.action,
            "before": [s.row() for s in before],
            "after": [s.row() for s in new],
            "undoes": request.undoes,
            "spent_ms": min(max(0, request.spent_ms), MOST_SPENT_MS),
            "comment": plain(request.comment, LETTERS),
            "blind": request.blind,
            "gold": request.place in self.gold.answers,
            "machine": self.catalogue.said(request.place, about),
        }

    def _changed(self, place: Place, start: int, end: int) -> Conflict:
        last = max(
            (t for t in self.touched.get(place, ()) if t.span.start < end and start < t.span.end),
            key=lambda t: t.time_ms,
            default=None,
        )
        who = f"{last.actor} has changed it since" if last else "the corpus was built again, and it has moved"
        return Conflict(
            "changed", f"This event is not as you saw it: {who}. Nothing was written.", last.actor if last else ""
        )

    def _hold(self, episode: str, actor: str) -> None:
        who, until = self.leases.get(episode, (actor, 0.0))
        if who != actor and until > self.clock():
            raise Conflict("leased", f"{who} is at this episode just now. Nothing was written.", who)
        self.leases[episode] = actor, self.clock() + LEASE_S

    def lease(self, episode: str, actor: str) -> None:
        """Hold an episode, and let go of others. Raises Conflict."""
        with self.lock:
            if any(place[0] == episode for place in self.gold.answers):
                return  # everybody has it to themselves
            self._hold(episode, actor)
            for other in [e for e, (who, _) in self.leases.items() if who == actor and e != episode]:
                del self.leases[other]

    def held_by_others(self, actor: str) -> dict[str, str]:
        """{episode: who is at it}."""
        with self.lock:
            now = self.clock()
            return {e: who for e, (who, until) in self.leases.items() if who != actor and until > now}

    def find(self, wanted: Mapping[str, Any], order: str, limit: int, offset: int) -> tuple[list[ShownEvent], int]:
        with self.lock:
            return self.catalogue.find(wanted, order, limit, offset)

    def queue(
        self, actor: str, wanted: Mapping[str, Any], order: str, limit: int, offset: int
    ) -> tuple[list[ShownEvent], int]:
        """(rows of somebody's queue, how many there are): what is wanted, and their share of gold among it."""
        with self.lock:
            gold = sorted(self._gold(actor, wanted), key=KEYS[order])
            rows, total = self.catalogue.find(wanted, order, limit, offset)
            own = chosen(gold, order, limit, total)
            if own and offset:
                rows, _ = self.catalogue.find(wanted, order, limit, max(0, offset - len(own)))
                own = []
            return dealt(rows[: limit - len(own)], own, order, actor), total + len(gold)

    def _gold(self, actor: str, wanted: Mapping[str, Any]) -> list[ShownEvent]:
        """Somebody's gold of what is wanted, as they have left it."""
        level, found = wanted.get("level"), list[ShownEvent]()
        if not self.gold.answers or wanted.get("track") not in (None, "", "all"):
            return found
        like = {**wanted, "gold": True, "state": None, "flagged": False, "primitive": None}
        places = [p for k in LEVELS if level in (None, k) for p in self.gold.of(actor, k, self.catalogue.size(k))]
        if wanted.get("episode"):
            places = [p for p in self.gold.answers if p[0] == wanted["episode"] and level in (None, p[1])]
        for place in places:
            rows, _ = self.catalogue.find({**like, "episode": place[0]}, "episode", 500)
            starts = {r["start_ms"] for r in rows}
            if starts:
                spans = self.catalogue.dressed(place, self.spans(place, actor))
                found += [s for s in spans if s["start_ms"] in starts or "span" in s["own"]]
        state, primitive = wanted.get("state") or None, wanted.get("primitive") or None
        return [
            e
            for e in found
            if (state is None or e["state"] == ("" if state == "open" else state))
            and (e["flagged"] or not wanted.get("flagged"))
            and primitive in (None, e["primitive"])  # what it is now, as of any other event
        ]

    def gold_scores(self) -> dict[str, Score]:
        """{person: how well they did at events whose right answer is known}."""
        with self.lock:
            pairs: dict[str, list[tuple[Sequence[Span], Sequence[Span]]]] = {}
            for who, place in self.second:
                if place in self.gold.answers:
                    pairs.setdefault(who, []).append((self.spans(place, who), self.gold.answers[place]))
        found = {who: score(own) for who, own in sorted(pairs.items())}
        return {who: own for who, own in found.items() if own is not None}

    def members(self, wanted: Mapping[str, Any], limit: int) -> list[tuple[ShownEvent, int]]:
        """(event, ms that its episode has) of some that are wanted, from all over them."""
        with self.lock:
            rows, _ = self.catalogue.find(wanted, "spread", limit, 0)
            return [(row, self.catalogue.end(row["episode"])) for row in rows]

    def second_pass(self, actor: str, level: str) -> list[ShownEvent]:
        """Events that somebody is to judge once more, blind: of a share of the episodes whose events of a level others
        have all judged, and of which the corpus holds no person's borders yet."""
        with self.lock:
            found = []
            for place in sorted(p for p in self.touched if p[1:] == (level, "all")):
                mine = any(t.actor == actor for t in self.touched[place])
                if unit_hash(f"second:{place[0]}") >= SECOND or mine or place in self.gold.answers:
                    continue
                whole = all(s.state in REVIEWED for s in self.spans(place))
                if whole and not any("span" in s.own for s in self.catalogue.machine(place)):
                    found += self.catalogue.dressed(place, self.spans(place, actor))
            return [e for e in found if not e["state"]]

    def quality(self) -> Figures:
        """How good the machine's events were, how far people agree."""
        with self.lock:
            rows = self.store.all()
            known = {place: self.catalogue.known(place) for place in {place_of(r) for r in rows}}
        return figures(rows, known.__getitem__)

    def of(self, episode: str, actor: str, blind: bool = False) -> tuple[list[ShownEvent], list[StaleSpan]]:
        """(spans of an episode as somebody sees them, what people have said of spans that are not there any more);
        blind: in a second pass."""
        with self.lock:
            own = [p for p in self.catalogue.places(episode) if blind or p in self.gold.answers]
            mine = [e for p in own for e in self.catalogue.dressed(p, self.spans(p, actor))]
            if blind:
                return mine, []
            stale: list[StaleSpan] = [
                {"level": level, "track": track, "by": t.actor, **t.span.row()}
                for (name, level, track), own in self.stale.items()
                if name == episode and (name, level, track) not in self.gold.answers
                for t in own
            ]
            return [e for e in self.catalogue.of(episode) if (episode, e["level"], e["track"]) not in own] + mine, stale

    def progress(self, wanted: Mapping[str, Any], actor: str) -> Progress:
        """Counts by state of what is wanted, decisions and ms spent by person, s that an event takes: `pace_s` of
        whoever asks, `together_s` of all who are at work, None where that is not known yet; who those are."""
        with self.lock:
            states = self.catalogue.states(wanted)
            for event in self._gold(actor, wanted):
                states[event["state"]] = states.get(event["state"], 0) + 1
            since = int((self.clock() - AT_WORK_S) * 1000)
            paces = {who: self.store.seconds(who) for who in {*self.store.active(since), actor}}
            mine = paces.pop(actor) if actor not in self.store.active(since) else paces[actor]
            known = {who: pace for who, pace in paces.items() if pace}
            return {
                "states": states,
                "people": self.store.pace(),
                "version": self.version,
                "pace_s": mine,
                "together_s": 1 / sum(1 / pace for pace in known.values()) if known else None,
                "at_work": sorted(known),
            }

    def last(self, actor: str, most: int = 200) -> list[DecisionRow]:
        """Somebody's decisions, newest first, as if none were about gold."""
        with self.lock:
            rows = self.store.of(actor, most)
        return [{**row, "blind": False, "gold": False} if row["gold"] else row for row in rows]

    def forget(self) -> None:
        """What `corpus forget` took out of the corpus goes from the store too: up to when that was asked for, since
        another recording may have the name of one that is gone."""
        for episode, until in tombstones.until_ms(self.root).items():
            with self.lock:
                if self.store.forget(episode, until):
                    self._fold()

    def publish(self) -> int:
        """Put what is not in the corpus yet there; how many rows. Raises storage.Unusable."""
        self.forget()
        with self.lock:
            rows = self.store.unpublished()
        if rows:
            decisions.publish(self.root, rows)  # the network may be slow: nobody waits for it
            with self.lock:
                self.store.note_published(rows)
        return len(rows)


def _lay(catalogue: Catalogue, place: Place, touched: Sequence[Touched]) -> list[Touched]:
    """Lay decisions over a place of a catalogue; what people have said of spans that are not there."""
    laid = laid_over(catalogue.machine(place), touched)
    catalogue.lay(place, laid.spans)
    return laid.stale
