"""What a model is asked after people have decided: about the events that they touched, and about no other."""

import json
import re

import pytest

from pipeline.corpus.view import Corpus
from tests.captioning.fake_vlm import FakeServer
from tests.faults.builds import SMALL, dataset
from tests.review.rebuilt.test_builds import Page


@pytest.fixture
def model():
    server = FakeServer()
    yield server
    server.stop()


def asked_about(model: FakeServer) -> list[tuple[float, float]]:
    """[start, end) of each event that was asked about; once for each answer that was paid for."""
    found = []
    for key, times in model.asked.items():
        texts = [p["text"] for p in json.loads(key)[0]["content"] if p["type"] == "text"]
        found += times * re.findall(r"time: ([\d.]+) to ([\d.]+)", texts[-1])[:1]
    return sorted((float(a), float(b)) for a, b in found)


def facts(corpus, episode: str) -> set[tuple]:
    """What a question says of each event of the levels that a model is asked about: [start, end) to a hundredth of a
    second, what is done before it, in it and after it."""
    found = set()
    events = Corpus(str(corpus)).table("events", [episode]).sort("start_s")
    for level in ("L0", "L1"):
        own = events.filter(level=level)["start_s", "end_s", "primitive"].rows()
        names = ["", *(name for *_, name in own), ""]
        found |= {(level, round(a, 2), round(b, 2), *names[n : n + 3]) for n, (a, b, _) in enumerate(own)}
    return found


def test_a_model_is_asked_about_just_the_events_that_people_touched(build, model, tmp_path):
    source, corpus = dataset(tmp_path / "logs", 3), tmp_path / "corpus"
    words = (f"caption.base_urls=[{model.url}]", "caption.captioner=openai", "caption.model=m")

    def captioned():
        model.asked.clear()
        return build([source], corpus, *SMALL, *words, until="caption")

    captioned()
    whole = len(asked_about(model))
    first, second, third = sorted(Corpus(str(corpus)).table("episodes")["episode_id"])
    before = facts(corpus, first)
    page = Page(corpus, tmp_path)
    one, two, *_ = page.spans(first)
    page.do("end", one, one, two, episode=first, to=one.end + 100)
    page.do("caption", page.spans(second)[1], episode=second, text="what a person says")
    page.do("accept", page.spans(third)[0], episode=third)
    page.close()
    result = captioned()
    asked, new = asked_about(model), facts(corpus, first) - before
    moved = {f[:3] for f in new} - {f[:3] for f in before}
    print(f"{whole} questions about events at first, then {len(asked)}: {len(moved)} events have other borders")
    assert result.computed["segment"] == 1
    assert moved
    assert asked == sorted({(a, b) for _, a, b, *_ in new})  # those, and whose neighbour is now called otherwise
    captioned()
    assert asked_about(model) == []
