"""A server that is killed while people write: what was acknowledged is there, once, and nobody wrote over another."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter

import pytest

from pipeline.corpus import decisions
from pipeline.corpus.view import Corpus
from pipeline.review.catalogue import Catalogue, events_of
from stages.review.fold import fold, laid_over
from stages.review.spans import Span, seen
from tests.datasets import Episode, write_dataset
from tests.review.running import Client, Running

TOKEN = "0123456789abcdef"


class Annotator(threading.Thread):
    """Decides about events of episodes in turn, and notes what was acknowledged. Each answers for itself: what it has
    seen is what it sends, a conflict makes it look again."""

    def __init__(self, name: str, port: int, many: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.who, self.client, self.many, self.random = name, Client(port, name, TOKEN), many, random.Random(seed)
        self.acknowledged: dict[str, dict] = {}
        self.conflicts = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        episodes = sorted({e["episode"] for e in self.client.ask("/api/queue?level=L1&limit=500")[1]["events"]})
        while len(self.acknowledged) < self.many:
            episode = self.random.choice(episodes)
            spans = self.client.ask(f"/api/queue?level=L1&episode={episode}")[1]["events"]
            number = self.random.randrange(len(spans))
            action = self.random.choice(["accept", "reject", "flag", "caption", "end"])
            touched = spans[number : number + 1 + (action == "end")]
            asked = {
                "decision_id": f"{self.random.getrandbits(128):032x}", "episode": episode, "level": "L1",
                "track": "all", "at_ms": touched[0]["start_ms"], "action": action, "seen": [s["seen"] for s in touched],
                "text": f"{self.who} {len(self.acknowledged)}", "to_ms": touched[-1]["start_ms"] + 50,
            }  # fmt: skip
            status, answer = self.client.ask("/api/decide", asked)
            if status == 200:
                self.acknowledged[asked["decision_id"]] = asked
            elif status == 409:
                self.conflicts += 1
            elif status != 422:
                self.wrong.append(f"{status}: {answer}")


@pytest.fixture(scope="module")
def corpus(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    source = write_dataset(folder / "logs", [Episode(80, 0) for _ in range(6)], cameras=())
    build([source], folder / "corpus", until="caption")
    return folder / "corpus"


def kills(corpus, folder, people: int, many: int, times: int) -> dict[str, float]:
    names = [f"person{n}" for n in range(people)]
    (folder / "tokens").write_text("".join(f"{name} {TOKEN}\n" for name in names))
    options = ("--tokens", str(folder / "tokens"))
    store = folder / "s.sqlite"
    server = Running(corpus, store, *options)
    began = time.monotonic()
    workers = [Annotator(name, server.port, many, seed) for seed, name in enumerate(names)]
    for worker in workers:
        worker.start()
    for number in range(1, times + 1):
        enough = number * people * many // (times + 1)
        while sum(len(w.acknowledged) for w in workers) < enough:
            time.sleep(0.02)
        server.kill()
        server = Running(corpus, store, *options, port=server.port)
    for worker in workers:
        worker.join(timeout=900)
        assert not worker.is_alive()
        assert worker.wrong == []
    took = time.monotonic() - began
    status, _ = workers[0].client.ask("/api/progress")
    assert status == 200
    server.stop()
    check(corpus, workers)
    return {"seconds": took, "conflicts": sum(w.conflicts for w in workers)}


def check(corpus, workers) -> None:
    """Every acknowledged decision is there, once, and is what was asked; each was made about what was there then."""
    rows = decisions.read(str(corpus))
    counts = Counter(r["decision_id"] for r in rows)
    assert set(counts.values()) <= {1}
    acknowledged = {key: (w.who, asked) for w in workers for key, asked in w.acknowledged.items()}
    assert acknowledged.keys() <= counts.keys()
    for row in rows:
        if row["decision_id"] in acknowledged:
            who, asked = acknowledged[row["decision_id"]]
            assert (row["actor"], row["action"], row["episode_id"]) == (who, asked["action"], asked["episode"])
    assert len({r["time_ms"] for r in rows}) == len(rows)
    done: dict[tuple, list] = {}
    machine = spans_of(corpus)
    for row in rows:  # each was made about what all before it had left
        place = (row["episode_id"], row["level"], row["track"])
        now = laid_over(machine[place], fold(done.setdefault(place, [])).get(place, [])).spans
        first, last = row["before"][0]["start_ms"], row["before"][-1]["end_ms"]
        assert seen([s for s in now if first <= s.start < last]) == row["seen"], row["decision_id"]
        done[place].append(row)


def spans_of(corpus) -> dict[tuple, list[Span]]:
    """The machine's, as the page shows them."""
    catalogue = Catalogue(events_of(Corpus(str(corpus))))
    places = {(e["episode"], e["level"], e["track"]) for e in catalogue.find({}, "episode", 10**6)[0]}
    return {place: catalogue.machine(place) for place in places}


def test_nothing_acknowledged_is_lost_and_nothing_is_there_twice(corpus, tmp_path):
    kills(corpus, tmp_path, people=3, many=12, times=1)


@pytest.mark.review
@pytest.mark.timeout(1800)
def test_twenty_people_two_thousand_decisions_five_kills(corpus, tmp_path):
    print(kills(corpus, tmp_path, people=20, many=100, times=5))
