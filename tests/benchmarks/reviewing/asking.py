"""Which order of the queue finds most errors: `python -m tests.benchmarks.reviewing.asking CORPUS`.

In: the sample's corpus, its truth. Out: Markdown. A person is simulated who judges L1 events by the truth (right: both
boundaries within 0.5 s of true ones, the primitive agrees) and takes 2 s and the event's length for one that is right,
10 s more for one to correct, each time times a draw around 1 (log-normal, 0.3). All orders begin with the same 50
events by episode, episodes in an order that is drawn; from then on each goes its own way, and `worth` learns after each
ten.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.corpus.view import Corpus
from pipeline.review.catalogue import events_of
from stages.review.calibration import calibrate, fit, said_of
from stages.review.cases import Case
from stages.review.worth import pace, worth
from tests.benchmarks.segmentation import reliability
from tests.benchmarks.segmentation.truth import sample_spans

DRAWS, FIRST, STEP, LEARNS, UNTIL = 40, 50, 50, 10, 250
LOOK_S, MEND_S, SPREAD = 2.0, 10.0, 0.3


@dataclass(frozen=True)
class Event:
    case: Case  # without the time
    length_s: float


def events(root: str) -> list[Event]:
    """L1 events of the sample in order of episode and time, each with whether it is right."""
    corpus = Corpus(root)
    own = corpus.table("events").filter(track="all", level="L1").sort("start_s")
    clocks = corpus.table("alignments", columns=["episode_id", "time_s"]).to_dicts()
    times = {a["episode_id"]: np.asarray(a["time_s"]) for a in clocks}
    right: dict[str, bool] = {}
    for spans in (sample_spans(False), sample_spans(True)):
        for name, phases in spans.items():
            rows, clock = own.filter(episode_id=name).to_dicts(), times[name]
            found = reliability.judged(rows, phases, clock, float(2 * clock[-1] - clock[-2]))
            right |= {row["event_id"]: bool(r) for row, (_, r) in zip(rows, found, strict=True)}
    made = []
    for row in events_of(corpus).filter(level="L1", track="all").sort("episode", "start_ms").to_dicts():
        sure = min(row["confidence"], 1.0 if row["sure"] is None else row["sure"])
        said = {"primitive": row["primitive"], "sure": sure, "said_by": row["said_by"], "doubt": row["doubt"] > 0}
        length = row["end_ms"] - row["start_ms"]
        made.append(Event(Case(row["episode"], "L1", said, length, right[row["event_id"]], 0, 0), length / 1000))
    return made


def timed(event: Event, number: int, rng: np.random.Generator) -> Case:
    """As the person judged it, as their event of that number."""
    took = (LOOK_S + event.length_s + MEND_S * (not event.case.right)) * rng.lognormal(0, SPREAD)
    c = event.case
    return Case(c.episode, c.level, c.machine, c.length_ms, c.right, int(1000 * took), number)


Order = Callable[[list[Event], list[Case]], list[Event]]


def by_episode(left: list[Event], _: list[Case]) -> list[Event]:
    return left


def by_confidence(left: list[Event], _: list[Case]) -> list[Event]:
    return sorted(left, key=lambda e: e.case.machine["sure"])


def by_worth(left: list[Event], done: list[Case], timely: bool = True) -> list[Event]:
    curve = fit(said_of(done), np.array([c.right for c in done]))
    chance = curve.chance(said_of([e.case for e in left]))
    own = pace(done) if timely else None
    names = np.array([e.case.machine["primitive"] for e in left], dtype=object)
    seconds = own.seconds(np.array([e.length_s for e in left]), names) if own else 1.0
    return [left[n] for n in np.argsort(-worth(chance, seconds), kind="stable")]


def by_chance(left: list[Event], done: list[Case]) -> list[Event]:
    return by_worth(left, done, timely=False)


ORDERS: dict[str, Order] = {
    "by episode": by_episode, "least sure first": by_confidence,
    "lowest calibrated chance first": by_chance, "worth asking first": by_worth,
}  # fmt: skip


def reviewed(found: list[Event], order: Order, seed: int) -> list[Case]:
    rng = np.random.default_rng(seed)
    names = rng.permutation(sorted({e.case.episode for e in found})).tolist()
    left = [e for name in names for e in found if e.case.episode == name]
    done: list[Case] = []
    while len(done) < UNTIL:
        if len(done) >= FIRST:
            left = order(left, done)
        some, left = left[:LEARNS], left[LEARNS:]
        done += [timed(e, len(done) + n, rng) for n, e in enumerate(some)]
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    found = events(parser.parse_args().corpus)
    wrong = sum(not e.case.right for e in found)
    print(f"{len(found)} L1 events, {wrong} of them wrong ({100 * wrong / len(found):.0f} %); {DRAWS} draws.\n")
    parts = range(FIRST, UNTIL, STEP)
    print("| order | " + " | ".join(f"events {n + 1} to {n + STEP}" for n in parts) + " | errors a minute, 51 to 150 |")
    print("| --- " * (len(parts) + 2) + "|")
    runs = {name: [reviewed(found, order, seed) for seed in range(DRAWS)] for name, order in ORDERS.items()}
    for name, draws in runs.items():
        cells = []
        for n in parts:
            errors = [sum(not c.right for c in done[n : n + STEP]) for done in draws]
            low, high = np.quantile(errors, [0.05, 0.95])
            cells.append(f"{np.mean(errors):.1f} ({low:.0f} to {high:.0f})")
        some = [c for done in draws for c in done[FIRST : FIRST + 100]]
        rate = sum(not c.right for c in some) / (sum(c.spent_ms for c in some) / 60_000)
        print(f"| {name} | {' | '.join(cells)} | {rate:.1f} |")
    print("\n| judged, by episode | Brier: machine | calibrated, held out | calibration error: machine | calibrated |")
    print("| --- | --- | --- | --- | --- |")
    for number in (50, 100, UNTIL, len(found)):
        rows = []
        for seed, done in enumerate(runs["by episode"]):
            whole = [e.case for e in found] if number == len(found) else done[:number]
            told = calibrate(whole)
            assert told is not None
            rows.append([told.before.brier, told.after.brier, told.before.error, told.after.error])
            if number == len(found) and seed == 0:
                break
        print(f"| {number} | " + " | ".join(f"{x:.3f}" for x in np.mean(rows, axis=0)) + " |")


if __name__ == "__main__":
    main()
