"""Decisions that were made elsewhere become rows of the corpus' own, each once.

In: a corpus, all decisions about it, a file: decisions of another server, or spans as LeRobot and Label Studio have
them. Out: new rows, and what could not be taken, each with why. Decisions keep id, actor and time, so that they are one
wherever they go; spans become decisions about what stands here and differs, with ids that are hashes of what they do.
What people have decided here is never overruled by rows of a file that did not know of it.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pipeline.labels import LabelError
from pipeline.review.catalogue import Catalogue
from pipeline.review.files import rows, spans
from schemas.review.decisions import LATEST_MS, DecisionRow
from stages import storage
from stages.review.fold import Place, Touched, after, laid_over, place_of
from stages.review.given import Step, steps
from stages.review.spans import Span, of_rows, over, seen
from stages.text import plain

ROUNDS = 3  # what is left after the first is a word that the machine has about just the new borders
AHEAD_MS = 24 * 60 * 60 * 1000  # that another machine's clock may be ahead


@dataclass(slots=True)
class Taken:
    """new: in order of time; known: decisions that were here, or that changed nothing; refused: what, and why; stale:
    of the new ones those about spans that the corpus cuts otherwise."""

    new: list[DecisionRow] = field(default_factory=list)
    known: int = 0
    refused: list[str] = field(default_factory=list)
    stale: int = 0

    def actions(self) -> list[tuple[str, int]]:
        """(action, new decisions), most first."""
        return Counter(row["action"] for row in self.new).most_common()


class Standing:
    """What stands in a corpus under decisions, those of this import among them."""

    def __init__(
        self,
        catalogue: Catalogue,
        decided: Iterable[DecisionRow],
        forgotten: Mapping[str, int] | None = None,
        now_ms: int = LATEST_MS,
    ) -> None:
        """forgotten: {episode: ms since 1970 until which nothing of it may come back}; now_ms: by this clock."""
        self.catalogue, self.forgotten, self.now_ms = catalogue, forgotten or {}, now_ms
        self.decided: dict[str, DecisionRow] = {}
        self.touched: dict[Place, list[Touched]] = {}
        self.last_ms = 0
        self._stood: dict[Place, set[tuple[int, int]]] = {}
        for row in sorted(decided, key=lambda r: (r["time_ms"], r["decision_id"])):
            self.add(row)

    def spans(self, place: Place) -> list[Span]:
        return laid_over(self.catalogue.machine(place), self.touched.get(place, ())).spans

    def stood(self, place: Place) -> set[tuple[int, int]]:
        """(start, end) that spans of a place have, or had once."""
        return self._stood.get(place, set()) | {(s.start, s.end) for s in self.catalogue.machine(place)}

    def add(self, row: DecisionRow) -> None:
        self.decided[row["decision_id"]] = row
        self.last_ms = max(self.last_ms, row["time_ms"])
        if not row["blind"]:
            own = {(s["start_ms"], s["end_ms"]) for s in (*row["before"], *row["after"])}
            self._stood.setdefault(place_of(row), set()).update(own)
            self.touched[place_of(row)] = after(self.touched.get(place_of(row), ()), row)


def take_rows(standing: Standing, name: str) -> Taken:
    """Decisions of a file as another server wrote them. Raises LabelError."""
    form = name.lower().rpartition(".")[2]
    try:
        found = list(rows.read(form, storage.read_bytes(storage.normalise(name))))
    except FileNotFoundError as error:
        raise LabelError(f"{name}: there is no such file") from error
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise LabelError(f"{name} holds no decisions as corpus decisions export writes them: {error}") from error
    taken = Taken(refused=[f"{where}: {why}" for where, row, why in found if row is None])
    good = [(where, row) for where, row, _ in found if row is not None]
    own = [row for row in standing.decided.values() if not row["blind"]]
    given = {row["decision_id"] for _, row in good}
    here: dict[Place, list[DecisionRow]] = {}
    for row in own:
        if row["decision_id"] not in given:
            here.setdefault(place_of(row), []).append(row)
    for where, row in sorted(good, key=lambda w: (w[1]["time_ms"], w[1]["decision_id"])):
        known = standing.decided.get(row["decision_id"])
        other = [r for r in here.get(place_of(row), ()) if _same_stretch(r, row)]
        why = _objection(standing, other, row) if known is None else ""
        if known is not None and known != row:
            why = "another decision has its id here"
        if why:
            taken.refused.append(f"{where}: {row['action']} of {_words(place_of(row))} by {row['actor']}: {why}")
        elif known is not None or (other and _stands(standing, row)):
            taken.known += 1
        else:
            standing.add(row)
            taken.new.append(row)
    taken.stale = _stale(standing, taken.new)
    return taken


def _same_stretch(one: DecisionRow, other: DecisionRow) -> bool:
    return (
        one["before"][0]["start_ms"] < other["before"][-1]["end_ms"]
        and other["before"][0]["start_ms"] < one["before"][-1]["end_ms"]
    )


def _objection(standing: Standing, here: Sequence[DecisionRow], row: DecisionRow) -> str:
    """Why a decision of another server cannot be one here; empty: nothing speaks against it. here: decisions about the
    same stretch that the file does not have."""
    tiles = standing.catalogue.machine(place_of(row))
    first, last = row["before"][0]["start_ms"], row["before"][-1]["end_ms"]
    if not tiles:
        return "there is no such episode, level or track here"
    if row["time_ms"] <= standing.forgotten.get(row["episode_id"], -1):
        return "the episode that had this name then was forgotten on request"
    if first < tiles[0].start or last > tiles[-1].end:
        return f"it is about {first} to {last} ms, and the episode has {tiles[0].start} to {tiles[-1].end}"
    if row["time_ms"] > standing.now_ms + AHEAD_MS:
        return "it is of a time that has not come yet, and whatever is decided from now on would be later than that"
    if row["seen"] != seen(of_rows(row["before"])):
        return "its fingerprint is not that of the spans that it says were there"
    if row["undoes"] is not None and row["undoes"] not in standing.decided:
        return "it takes back a decision that is not here"
    if row["blind"] or not here or _stands(standing, row):
        return ""
    newest = max(here, key=lambda r: r["time_ms"])
    if newest["time_ms"] > row["time_ms"] or seen(over(standing.spans(place_of(row)), first, last)) != row["seen"]:
        return f"{newest['actor']} has decided otherwise about it here"
    return ""


def _stands(standing: Standing, row: DecisionRow) -> bool:
    """Whether what a decision would leave is there already, by another one's."""
    if row["blind"] or row["undoes"] is not None:
        return False
    first, last = row["after"][0]["start_ms"], row["after"][-1]["end_ms"]
    return seen(over(standing.spans(place_of(row)), first, last)) == seen(of_rows(row["after"]))


def _stale(standing: Standing, new: Sequence[DecisionRow]) -> int:
    stale = {
        (place, t.time_ms)
        for place in {place_of(r) for r in new}
        for t in laid_over(standing.catalogue.machine(place), standing.touched.get(place, ())).stale
    }
    return sum((place_of(r), r["time_ms"]) in stale for r in new)


def take_spans(
    standing: Standing, placed: spans.Placed, name: str, where: tuple[str, str], actor: str, now_ms: int
) -> Taken:
    """Spans of LeRobot or Label Studio as decisions of an actor. where: level and track, of a format that does not
    tell. Raises LabelError."""
    taken = Taken()
    for said in spans.read(name, *where):
        place = placed.place(said.place)
        if place is None:
            what = said.spans[0][4] if said.spans else name
            taken.refused.append(f"{what}: there is no {_words(said.place)} here")
            continue
        for number in range(ROUNDS):
            now = standing.spans(place)
            found, refused = steps(now, placed.given(said, place, now), standing.stood(place))
            if number == 0:
                taken.refused += [f"{own.where}: {_words(place)}: {why}" for own, why in refused]
                taken.known += not found
            new = list(_made(standing, place, found, said.by or actor, plain(storage.name_of(name), 200), now_ms))
            taken.new += new
            if not new:
                break
    return taken


def _made(
    standing: Standing, place: Place, found: Sequence[Step], actor: str, name: str, now_ms: int
) -> Iterator[DecisionRow]:
    """Rows of steps; one that was made from the same before, and taken back since, is not made again."""
    for step in found:
        before, new = [s.row() for s in step.before], [s.row() for s in step.after]
        said = json.dumps([place, step.action, actor, before, new], sort_keys=True)
        row: DecisionRow = {
            "decision_id": hashlib.sha256(said.encode()).hexdigest()[:32],
            "time_ms": max(now_ms, standing.last_ms + 1),
            "episode_id": place[0],
            "level": place[1],
            "track": place[2],
            "start_ms": step.before[0].start,
            "end_ms": step.before[0].end,
            "seen": seen(step.before),
            "actor": actor,
            "action": step.action,
            "before": before,
            "after": new,
            "undoes": None,
            "spent_ms": 0,
            "comment": f"from {name}",
            "blind": False,
            "gold": False,
            "machine": standing.catalogue.said(place, step.before[0]),
        }
        if row["decision_id"] not in standing.decided:
            standing.add(row)
            yield row


def _words(place: Place) -> str:
    """An episode, level and track for people."""
    return plain(f"{place[0]} {place[1]}" + (f" of the {place[2]} arm" if place[2] != "all" else ""), 200)
