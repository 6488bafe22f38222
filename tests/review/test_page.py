"""A scripted annotator on the review page: `make review-test`.

Thirty events by keys alone; what the table then holds is just what was done, computed again by the core from what the
server said at first.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import urllib.request
from pathlib import Path

import pytest

from stages.review.edit import Ask, change
from stages.review.fold import Touched, after, laid_over
from stages.review.spans import Span, of_rows, seen
from tests.datasets import Episode, write_dataset
from tests.review.browser import SIZES, opened, serious
from tests.review.running import Running

pytestmark = [pytest.mark.review, pytest.mark.timeout(600)]
MOST_MS = 60  # from a key to what it changed, painted, in the median
MOST_BYTES = 300_000
KEYS = {"accept": "a", "reject": "x", "skip": "s", "flag": "f", "split": "b", "merge": "m", "undo": "z", "redo": "y"}


def get(url):
    with urllib.request.urlopen(url) as answer:
        return json.loads(answer.read())


class Annotator:
    """Presses keys, and works out what each must leave."""

    def __init__(self, page, url) -> None:
        self.page, self.url = page, url
        self.expected: list[tuple] = []  # action, place, before, after
        self.spans: dict[tuple, list[Span]] = {}
        self.edges: dict[str, list[int]] = {}

    def now(self) -> tuple[tuple, int]:
        """(place, start) of the event that is shown."""
        e = self.page.run("({...review.now})")
        place = (e["episode"], e["level"], e["track"])
        if place not in self.spans:
            shown = get(f"{self.url}/api/episode?id={e['episode']}")
            own = [x for x in shown["events"] if (x["level"], x["track"]) == place[1:]]
            self.spans[place] = [
                Span(x["start_ms"], x["end_ms"], x["primitive"], x["text"], x["state"], x["flagged"], tuple(x["own"]))
                for x in own
            ]
            self.edges[place[0]] = shown["about"]["edges_ms"]
        return place, e["start_ms"]

    def expect(self, action: str, **more) -> None:
        place, at = self.now()
        self.change(place, action, *change(self.spans[place], Ask(action, at, **more), self.edges[place[0]]))

    def change(self, place, action, before, new) -> None:
        start, end = before[0].start, before[-1].end
        kept = [s for s in self.spans[place] if s.end <= start or end <= s.start]
        self.spans[place] = sorted([*kept, *new], key=lambda s: s.start)
        self.expected.append((action, place, before, new))

    def do(self, action: str, **more) -> None:
        self.expect(action, **more)
        self.page.press(KEYS[action])

    def undo(self) -> None:
        _, place, before, new = next(e for e in reversed(self.expected) if e[0] != "undo")
        self.change(place, "undo", new, before)
        self.page.press(KEYS["undo"])

    def caption(self, text: str) -> None:
        self.expect("caption", text=text)
        self.page.press("e")
        self.page.page.keyboard.type(text)
        self.page.press("Enter")

    def nudge(self, side: str, frames: int) -> None:
        place, at = self.now()
        span = next(s for s in self.spans[place] if s.start == at)
        edges = self.edges[place[0]]
        to = edges[edges.index(span.start if side == "start" else span.end) + frames]
        self.expect(side, to=to)
        key = {("start", 1): "w", ("start", -1): "q", ("end", 1): "p", ("end", -1): "o"}[side, 1 if frames > 0 else -1]
        for _ in range(abs(frames)):
            self.page.page.keyboard.press(key)
        self.page.press("Home", 500)

    def split(self, frames: int) -> None:
        place, at = self.now()
        edges = self.edges[place[0]]
        for key in ("ArrowRight", "Home", *["ArrowRight"] * frames):  # the first one stops it
            self.page.press(key)
        self.do("split", to=edges[edges.index(at) + frames])

    def primitive(self, digit: str, name: str) -> None:
        self.expect("primitive", primitive=name)
        self.page.press(digit)

    def label_while_playing(self, digit: str, name: str) -> None:
        """Where it begins and ends is up to the clock: read from what is there then."""
        place, _ = self.now()
        self.page.run("(review.player.seek(review.now.start_ms), review.player.play())")
        self.page.page.wait_for_timeout(150)
        self.page.page.keyboard.down(digit)
        self.page.page.wait_for_timeout(450)
        self.page.page.keyboard.up(digit)
        self.page.settled()
        self.page.page.wait_for_timeout(150)
        e = self.page.run("({...review.now})")
        ask = Ask("label", 0, e["start_ms"], e["end_ms"], name)
        self.change(place, "label", *change(self.spans[place], ask, self.edges[place[0]]))

    def length(self) -> int:
        """Frames of the event that is shown."""
        place, at = self.now()
        span, edges = next(s for s in self.spans[place] if s.start == at), self.edges[place[0]]
        return edges.index(span.end) - edges.index(span.start)

    def is_last(self) -> bool:
        place, at = self.now()
        return self.spans[place][-1].start == at


def work(annotator: Annotator, number: int) -> None:
    """One event."""
    kind, long, last = number % 10, annotator.length() > 6, annotator.is_last()
    if kind == 1:
        annotator.caption(f"the arm does what it does, number {number}")
    elif kind == 2 and long and not last:
        annotator.nudge("end", -2)
    elif kind == 3 and long:
        annotator.primitive("9", "push")
    elif kind == 4 and long:
        annotator.split(3)
    elif kind == 5 and not last:
        annotator.do("merge")
    elif kind == 6:
        annotator.do("flag")
        annotator.undo()
    elif kind == 7 and long:
        annotator.label_while_playing("2", "align")
    elif kind == 8:
        return annotator.do("reject")
    annotator.do("accept")
    return None


@pytest.mark.parametrize("size", SIZES)
def test_thirty_events_by_keys_alone(corpus, tmp_path, size):
    shots = Path(os.environ.get("REVIEW_SHOTS", tmp_path))
    shutil.rmtree(corpus / "decisions", ignore_errors=True)
    server = Running(corpus, tmp_path / "s.sqlite")
    with opened(server.url, size) as page:
        page.ready()
        annotator = Annotator(page, server.url)
        for number in range(30):
            work(annotator, number)
            page.ready()
            if number in (2, 17):
                page.page.screenshot(path=str(shots / f"review-{size}-{number}.png"))
        waits = page.run("waits")
        page.press("?")
        page.page.screenshot(path=str(shots / f"review-{size}-keys.png"))
        page.press("Escape")
        assert page.errors == []
        weight = page.bytes()
        assert 10_000 < weight < MOST_BYTES
        assert serious(page) == []
    rows = [json.loads(line) for line in urllib.request.urlopen(f"{server.url}/api/export").read().splitlines()]
    server.stop()
    assert [r["action"] for r in rows] == [e[0] for e in annotator.expected]
    for row, (action, place, before, new) in zip(rows, annotator.expected, strict=True):
        assert (row["episode_id"], row["level"], row["track"]) == place
        assert of_rows(row["before"]) == before, action
        assert of_rows(row["after"]) == new, action
        assert row["seen"] == seen(before)
    folded: dict[tuple, list[Touched]] = {}
    for row in rows:
        place = (row["episode_id"], row["level"], row["track"])
        folded[place] = after(folded.get(place, []), row)
    for place, own in folded.items():
        assert laid_over(annotator.spans[place], own).spans == annotator.spans[place]
    median = statistics.median(ms for _, ms in waits)
    keys = f"median of {len(waits)} keys, {len(waits) / 30:.1f} an event"
    print(f"{size}: {median:.0f} ms from key to paint ({keys}); {weight} bytes")
    assert median < MOST_MS


NUMBER = """(camera) => {
  // the number that the painted frame carries as bars, of 12 bits
  const canvas = new OffscreenCanvas(192, 96), c = canvas.getContext('2d', { willReadFrequently: true });
  c.drawImage(camera.canvas, 0, 0, 192, 96);
  let number = 0;
  for (let bit = 0; bit < 12; bit++) {
    const data = c.getImageData(bit * 16 + 4, 24, 8, 48).data;
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i + 1];
    if (sum / (data.length / 4) > 128) number |= 1 << bit;
  }
  return number;
}"""


@pytest.fixture(scope="module")
def numbered(request, tmp_path_factory):
    """Three cameras, whose frames carry their numbers; REVIEW_NUMBERED names a corpus of them that is built already."""
    if "REVIEW_NUMBERED" in os.environ:
        return Path(os.environ["REVIEW_NUMBERED"])
    build = request.getfixturevalue("build")
    folder = tmp_path_factory.mktemp("numbered")
    source = write_dataset(folder / "logs", [Episode(300, 0)], cameras=("front", "side", "wrist"), fps=20)
    build([source], folder / "corpus", until="caption")
    return folder / "corpus"


def test_cameras_are_within_a_frame_of_each_other(numbered, tmp_path):
    """Over a minute of play in a loop, and 50 seeks."""
    server = Running(numbered, tmp_path / "s.sqlite")
    with opened(server.url, "laptop") as page:
        page.ready()
        page.run("(review.looped = 'episode', review.loop(), review.player.play())")
        page.page.wait_for_timeout(1000)
        played = page.run(f"""async () => {{
          const number = {NUMBER}, found = [], until = performance.now() + 60000;
          while (performance.now() < until) {{
            await new Promise((done) => setTimeout(done, 97));
            const ready = review.player.cameras.every((c) => !c.busy && !c.video.seeking);
            if (ready) found.push([review.player.frame(), ...review.player.cameras.map(number)]);
          }}
          return found;
        }}""")
        page.run("review.player.pause()")
        sought = page.run(f"""async () => {{
          const number = {NUMBER}, found = [];
          for (let i = 0; i < 50; i++) {{
            const frame = (i * 7919) % 299;
            review.player.seek(review.player.edges[frame]);
            do await new Promise((done) => setTimeout(done, 60));
            while (review.player.cameras.some((c) => c.busy || c.video.seeking));
            found.push([frame, ...review.player.cameras.map(number)]);
          }}
          return found;
        }}""")
        stepped = page.run(f"""async () => {{
          const number = {NUMBER}, found = [];
          review.player.seek(0);
          for (let i = 1; i <= 20; i++) {{
            review.player.step(1);
            do await new Promise((done) => setTimeout(done, 60));
            while (review.player.cameras.some((c) => c.busy || c.video.seeking));
            found.push([i, ...review.player.cameras.map(number)]);
          }}
          return found;
        }}""")
        assert page.errors == []
    server.stop()
    apart = [max(n) - min(n) for _, *n in played]
    off = [max(abs(n - frame) for n in own) for frame, *own in played]
    unlike = sum(a > 0 for a in apart)
    print(f"{len(played)} looks: {max(apart)} frames apart at most, {unlike} times; {max(off)} off the clock at most")
    assert len(played) > 300
    assert max(apart) <= 1
    assert [own for _, *own in sought] == [[frame] * 3 for frame, *_ in sought]
    assert [own for _, *own in stepped] == [[i] * 3 for i, *_ in stepped]
