"""How quick the server answers over many events: `python -m tests.benchmarks.reviewing.large [EVENTS]`.

In: events that are made up (four an episode), gold among them, some hundred that were judged. Out: Markdown, ms.
Requests go through the whole application, without a network.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.review.loop.gold import Gold
from stages.review.spans import Span
from tests.review.rows import MACHINE
from tests.review.server import body, client, events, review

TIMES, JUDGED = 15, 400
GOLD = [Span(s.start, s.end, s.primitive, s.text) for s in MACHINE]


def varied(number: int) -> pl.DataFrame:
    """So many events, each with a confidence, cluster and primitive of its own."""
    found, rng = events(number // 4), np.random.default_rng(0)
    names = np.array(["reach", "grasp", "lift", "move", "place", "release", "push", "idle"])
    drawn = {
        "primitive": names[rng.integers(0, 8, found.height)], "confidence": rng.uniform(0.3, 1, found.height),
        "vl": rng.integers(0, 50, found.height), "rarity": rng.integers(1, 9999, found.height),
    }  # fmt: skip
    return found.with_columns(*(pl.Series(name, values) for name, values in drawn.items()))


def took(ask: Callable[[], object], times: int = TIMES) -> str:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        ask()
        found.append(1000 * (time.perf_counter() - started))
    return f"{statistics.median(found):.0f} | {max(found):.0f}"


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        gold = Gold({(f"lab/{n:06d}", "L1", "all"): GOLD for n in range(5000, 5000 + number // 100, 10)})
        own = review(Path(folder), varied(number), gold)
        web, rng = client(own), np.random.default_rng(1)
        asked = {"level": "L1", "track": "all", "state": "open", "limit": 200}

        def decide(n: int) -> None:
            name, k = f"lab/{n // 4 + 1:06d}", n % 4
            rows = sorted(web.get("/api/queue", params={"episode": name}).json()["events"], key=lambda r: r["start_ms"])
            action = "reject" if rows[k]["primitive"] in ("reach", "push") and rng.random() < 0.6 else "accept"
            answer = web.post("/api/decide", json=body(rows, k, action, f"{n + 1:032x}", spent_ms=3000 + 10 * n))
            assert answer.status_code == 200, answer.text

        for n in range(JUDGED):
            decide(n)
        started = time.perf_counter()
        assert own.learn()
        print(f"{number} events, {JUDGED} judged, {len(gold.answers)} levels of gold; learned in "
              f"{time.perf_counter() - started:.1f} s, beside requests\n")  # fmt: skip
        print("| what | median, ms | most, ms |\n| --- | --- | --- |")
        for order in ("episode", "confidence", "rarity", "worth"):
            print(f"| queue, {order} | {took(lambda o=order: web.get('/api/queue', params=asked | {'order': o}))} |")
        some = asked | {"order": "worth", "primitive": "push", "vl": 7}
        print(f"| by worth, of a primitive and a cluster | {took(lambda: web.get('/api/queue', params=some))} |")
        for words in ("arm moves", "zebra"):
            print(f"| search: {words} | {took(lambda w=words: web.get('/api/queue', params=asked | {'q': w}))} |")
        print(f"| progress | {took(lambda: web.get('/api/progress', params=asked))} |")
        numbers = iter(range(JUDGED, 10**6))
        print(f"| look at an episode's events and decide | {took(lambda: decide(next(numbers)))} |")
        again = threading.Thread(target=lambda: (setattr(own.learning, "_valued", None), own.learn()))
        again.start()
        waits = []
        while again.is_alive():
            started = time.perf_counter()
            decide(next(numbers))
            waits.append(1000 * (time.perf_counter() - started))
        print(f"| the same while it learns, {len(waits)} times | {statistics.median(waits):.0f} | {max(waits):.0f} |")
        own.store.close()


if __name__ == "__main__":
    main()
