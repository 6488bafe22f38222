"""A hundred decisions of all kinds on the sample, then other settings of segment: what is kept, what is done again."""

from __future__ import annotations

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from pipeline.corpus import decisions
from pipeline.corpus.view import Corpus
from stages.review.fold import Touched, fold, place_of
from stages.review.spans import Span
from tests.conftest import ROOT, SAMPLE
from tests.review.running import Client, Running

pytestmark = [pytest.mark.review, pytest.mark.timeout(1800)]
MANY = 100
OTHER = ("segment.scale=1.5", "segment.min_l1_s=0.6")  # cuts less
KINDS = ("accept", "reject", "flag", "skip", "caption", "primitive", "end", "start", "split", "merge", "label", "undo")
STAGES = ("segment", "caption", "embed", "cluster", "shard")
SAME_MS = 2


@pytest.fixture(scope="module")
def corpora(request, tmp_path_factory):
    """Two copies of the sample's corpus, one for people and one without them; REVIEW_SIGNALS names one that is built
    already, from this checkout and as the fixture does."""
    sample_corpus = os.environ.get("REVIEW_SIGNALS") or request.getfixturevalue("sample_corpus")
    folder = tmp_path_factory.mktemp("hundred")
    for name in ("people", "machine"):
        shutil.copytree(sample_corpus, folder / name, symlinks=True)
    return folder / "people", folder / "machine"


def decide(client: Client, episodes: list[str], number: int, rng: random.Random, done: list[dict]) -> None:
    """One decision through the HTTP API, of a kind and an episode in turn; another event where it cannot be done."""
    kind, episode = KINDS[number % len(KINDS)], episodes[number % len(episodes)]
    for _ in range(50):
        shown = client.ask(f"/api/episode?id={episode}")[1]
        spans = [e for e in shown["events"] if (e["level"], e["track"]) == ("L1", "all")]
        at = rng.randrange(len(spans) - 1)
        asked = {
            "decision_id": f"{rng.getrandbits(128):032x}", "episode": episode, "level": "L1", "track": "all",
            "at_ms": spans[at]["start_ms"], "action": kind, "seen": [spans[at]["seen"]],
        }  # fmt: skip
        edges, (own, after) = shown["about"]["edges_ms"], spans[at : at + 2]
        middle = edges[(edges.index(own["start_ms"]) + edges.index(own["end_ms"])) // 2]
        if kind in ("end", "merge"):
            asked["seen"].append(after["seen"])
        if kind == "start":
            asked |= {"at_ms": after["start_ms"], "seen": [own["seen"], after["seen"]]}
        if kind in ("end", "start", "split"):
            asked["to_ms"] = middle
        if kind == "label":
            asked |= {"to_ms": own["start_ms"], "until_ms": middle, "primitive": "push"}
        asked |= {"caption": {"text": f"words of a person, {number}"}, "primitive": {"primitive": "hold"}}.get(kind, {})
        if kind == "undo":
            last = done[-1]
            place = {"episode": last["episode"], "at_ms": last["at_ms"], "seen": []}
            asked |= place | {"undoes": last["decision_id"]}
        if client.ask("/api/decide", asked)[0] == 200:
            return done.append(asked)
    raise AssertionError(f"{kind} could not be done in {episode}")


def rebuilt(build, corpus: Path, *overrides: str) -> dict[str, int]:
    """{stage: units that were done again}; a unit is an episode, of shard a tar."""
    settings = ("caption.captioner=signals", "run.episodes_per_part=1", *overrides)
    result = build([SAMPLE], corpus, *settings, path=str(ROOT / "pipeline/configs/sample.yaml"))
    return {stage: result.computed.get(stage, 0) for stage in STAGES}


def fate(row: dict, left: list[Touched], later: list[dict], shown: dict) -> str:
    """What became of a decision: `kept`, spans of today say it; `stale`, it is shown as about a span that is no more;
    `superseded`, all that it said was decided anew or taken back. Anything else fails."""
    own = [t.span for t in left if t.time_ms == row["time_ms"] and not t.span.untouched]
    if not own:
        start, end = row["before"][0]["start_ms"], row["before"][-1]["end_ms"]
        again = [r for r in later if r["before"][0]["start_ms"] < end and start < r["before"][-1]["end_ms"]]
        assert again or row["action"] in ("undo", "flag"), row
        return "superseded"
    found = []
    for span in own:
        now = [e for e in shown["events"] if e["level"] == "L1" and same(e, span)]
        stale = [s for s in shown["stale"] if s["level"] == "L1" and same(s, span)]
        assert len(now) + len(stale) == 1, (row, now, stale)
        if now:
            (event,) = now
            assert (event["state"], event["flagged"]) == (span.state, span.flagged)
            assert set(span.own) <= set(event["own"])
            assert "primitive" not in span.own or event["primitive"] == span.primitive
            assert "text" not in span.own or event["text"] == span.text
        else:
            assert (stale[0]["state"], stale[0]["text"], stale[0]["by"]) == (span.state, span.text, row["actor"])
        found.append("kept" if now else "stale")
    return "kept" if "kept" in found else "stale"


def same(row: dict, span: Span) -> bool:
    return abs(row["start_ms"] - span.start) <= SAME_MS and abs(row["end_ms"] - span.end) <= SAME_MS


def test_other_settings_keep_a_hundred_decisions(build, corpora, tmp_path):
    people, machine = corpora
    episodes = sorted(Corpus(str(people)).table("episodes")["episode_id"])
    server, rng, done = Running(people, tmp_path / "s.sqlite"), random.Random(0), list[dict]()
    client = Client(server.port)
    for number in range(MANY):
        decide(client, episodes, number, rng, done)
    server.stop()
    rows = decisions.read(str(people))
    assert [r["decision_id"] for r in rows] == [d["decision_id"] for d in done]
    touched = {place: own for place, own in fold(rows).items() if any(not t.span.untouched for t in own)}
    print(f"\n{MANY} decisions in {len({d['episode'] for d in done})} of {len(episodes)} episodes")

    # the same settings: what people have set, in the episodes where they have set it
    first = rebuilt(build, people)
    cut = {p[0] for p, own in touched.items() if any({"span", "primitive"} & set(t.span.own) for t in own)}
    worded = {p[0] for p, own in touched.items() if any("text" in t.span.own for t in own)}
    print(f"same settings: {first}; borders or primitives in {len(cut)} episodes, words in {len(worded)}")
    assert (first["segment"], first["caption"]) == (len(cut), len(cut | worded))
    assert sum(rebuilt(build, people).values()) == 0

    # other settings: as much as without people, and every decision has its fate
    with_people, without = rebuilt(build, people, *OTHER), rebuilt(build, machine, *OTHER)
    print(f"other settings: {with_people} with decisions, {without} without")
    assert with_people["segment"] == without["segment"] == len(episodes)
    assert with_people["caption"] == without["caption"]
    assert decisions.read(str(people)) == rows
    server = Running(people, tmp_path / "s.sqlite")
    client = Client(server.port)
    shown = {e: client.ask(f"/api/episode?id={e}")[1] for e in episodes}
    server.stop()
    fates = Counter(
        (row["action"], fate(row, touched.get(place_of(row), []), rows[n + 1 :], shown[row["episode_id"]]))
        for n, row in enumerate(rows)
    )
    told = {
        name: {k: n for (k, f), n in sorted(fates.items()) if f == name} for name in ("kept", "stale", "superseded")
    }
    print("\n".join(f"{name} {sum(kinds.values())}: {kinds}" for name, kinds in told.items()))
    assert sum(fates.values()) == MANY
    assert all(told.values())  # there are some of each

    # the new tables: borders of people, their words, and nothing rejected in the release
    view = Corpus(str(people))
    events = view.table("events").filter(level="L1", track="all", origin="human")
    borders = {
        (e, round(1000 * a), round(1000 * b)) for e, a, b in events["episode_id", "start_s", "end_s"].iter_rows()
    }
    for (episode, *_), own in touched.items():
        for span in (t.span for t in own if "span" in t.span.own):
            assert any(
                e == episode and abs(a - span.start) <= SAME_MS and abs(b - span.end) <= SAME_MS for e, a, b in borders
            )
    samples = view.table("samples").filter(status="rejected")
    index = pl.read_parquet(people / "shards/latest/index.parquet")
    assert samples.height > 0
    assert not set(samples["event_id"]) & set(index["event_id"])
