"""`python -m tests.benchmarks.finding --corpus DIR [--events 100000,1000000] [--write docs/find.md]`: a corpus of the
bundled sample is searched with queries whose answers its truth names, each way by itself and fused."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from pipeline.corpus.view import Corpus
from pipeline.find.ranking import K, best
from pipeline.find.search import WAYS, Scored, scored
from tests.benchmarks.finding.queries import Query, queries
from tests.benchmarks.finding.scale import measured

FIRST = 10
METHODS: dict[str, tuple[tuple[str, ...], int]] = {  # ways, and the K of their fusion
    "captions' vectors alone": (("caption",), K),
    "labels' vectors alone": (("label",), K),
    "words alone (BM25)": (("words",), K),
    "words and captions": (("words", "caption"), K),
    "words, captions and labels, K = 60": (("words", "caption", "label"), 60),
    f"words, captions and labels, K = {K}: `corpus find`": (("words", "caption", "label"), K),
}
HEAD = """\
# Finding events by what a text means

Written by `python -m tests.benchmarks.finding --corpus DIR --events {sizes}` on {date}.

`corpus find TEXT` ranks the events of one level in up to four ways and fuses the ranks (reciprocal rank fusion):
`words`, BM25 over caption, label and task; `caption`, the cosine of text and caption; `label`, that of the text and
the event's label, its recovery or primitive in plain words; `picture`, the cosine of text and pictures, only where
`embed.encoder` has both in one space. It takes the encoder that the corpus was embedded with and refuses another.

## How well

{number} queries made by rule from the sample's truth (what was recorded), never from captions: each true phase of each
thing ("missed grasp of a puck"); the same with its colour; in other words than captions are made of ("the robot fails
to pick up the puck"); in German and Chinese. An event answers where it and the true phase share half of their common
length, so that boundaries, captions and the name a thing was given count as well. P@10: share of the first ten that
answer (`best`: of an order that knows the answers); R@10: share of the answers, of ten where there are more, that are
among the first ten; MRR: mean of 1 / rank of the first answer. Which ways are fused, the phrases of labels and K were
chosen on these queries: nothing here is held out. Pictures are not measured: no joint encoder comes with the project.

"""
SCALE = """
## How fast

Planted corpora, 1,792 half floats an event, in parts of 4,000 events, files in the page cache; each search in a process
of its own on a machine of 2 cores with other work on it: core-seconds count what the search itself took. The first
one loads the text encoder. Parts are read one after another, only counts of words and cosines stay. Of a part's 0.08
core-seconds 0.07 go into decoding its vectors; an index (FAISS) would save those, at the price of keeping it in step
with every build. There is none: `--by words` is the quick way through millions, `--where` narrows what is ranked and
not what is read.
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", required=True)
    parser.add_argument("--events", default="", help="sizes of planted corpora, such as 100000,1000000")
    parser.add_argument("--write")
    given = parser.parse_args()
    corpus = Corpus(given.corpus)
    asked = queries(corpus)
    found = [scored(corpus, query.text) for query in asked]
    text = HEAD.format(date=date.today(), number=len(asked), sizes=given.events or "...")
    text += "\n".join(_table(asked, found)) + "\n"
    if given.events:
        text += "\n".join(_scale(tuple(int(n) for n in given.events.split(",")))) + "\n"
    print(text)
    if given.write:
        Path(given.write).write_text(text)


def _table(asked: Sequence[Query], found: Sequence[Scored]) -> Iterator[str]:
    groups = {"all": list(range(len(asked)))}
    for kind in ("plain", "colour", "otherwise", "foreign"):
        groups[kind] = [i for i, q in enumerate(asked) if q.kind == kind]
    groups["missed grasps"] = [i for i, q in enumerate(asked) if q.phase == "missed_grasp"]
    yield "| | " + " | ".join(f"{name} ({len(own)})" for name, own in groups.items()) + " |"
    yield "|---" * (len(groups) + 1) + "|"
    yield "| P@10, R@10, MRR | " + " | ".join(" " for _ in groups) + " |"
    orders = {name: [_order(s, ways, k) for s in found] for name, (ways, k) in METHODS.items()}
    orders["best"] = [sorted(q.answers) for q in asked]
    for name, order in orders.items():
        cells = [_figures([(asked[i].answers, order[i]) for i in own]) for own in groups.values()]
        yield f"| {name} | " + " | ".join(cells) + " |"


def _order(one: Scored, ways: Sequence[str], k: int) -> list[str]:
    own = [w for w in ways if w in WAYS and one.scores[w].null_count() < one.scores.height]
    if not own:
        return []
    names: list[str] = best(one.scores, own, one.scores.height, k)["event_id"].to_list()
    return names


def _figures(pairs: Sequence[tuple[frozenset[str], list[str]]]) -> str:
    hits = [sum(e in answers for e in order[:FIRST]) for answers, order in pairs]
    share = np.mean([h / FIRST for h in hits])
    recall = np.mean([h / min(FIRST, len(answers)) for h, (answers, _) in zip(hits, pairs, strict=True)])
    first = [next((1 / r for r, e in enumerate(order, 1) if e in answers), 0.0) for answers, order in pairs]
    return f"{share:.2f}, {recall:.2f}, {np.mean(first):.2f}"


def _scale(sizes: tuple[int, ...]) -> Iterator[str]:
    yield SCALE
    head = ("events", "searched", "embeddings", "first search", "another", "its core-seconds", "peak memory")
    yield f"| {' | '.join(head)} | bytes an event over the smallest |"
    yield "|---|---|---|---|---|---|---|---|"
    rows = measured(sizes)
    base = {r.way: r for r in reversed(rows)}
    for r in rows:
        least = base[r.way]
        more = "" if r.events == least.events else f"{(r.peak - least.peak) / (r.events - least.events):.0f}"
        yield (
            f"| {r.events:,} | {r.way} | {r.embeddings / 1e9:.2f} GB | {r.first:.1f} s | {r.second:.1f} s "
            f"| {r.cpu:.1f} | {r.peak / 1e6:.0f} MB | {more} |"
        )


if __name__ == "__main__":
    main()
