"""The page by the mouse alone and by touch alone, each on a screen of its own: `make review-test`.

Letters of a caption come from outside (a keyboard on the screen, dictation): they are put in, no key is pressed. What
the table holds afterwards is just what was done.
"""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.review.browser import PAINTED, Page, chromium, serious
from tests.review.running import Running

pytestmark = [pytest.mark.review, pytest.mark.timeout(600)]
SCREENS = {
    "mouse": {"viewport": {"width": 1366, "height": 768}},
    "tablet": {"viewport": {"width": 1180, "height": 820}, "has_touch": True},
    "phone": {"viewport": {"width": 412, "height": 915}, "has_touch": True, "is_mobile": True},
}
WHERE = """(ms) => {
  const t = review.timeline, box = t.above.getBoundingClientRect();
  const bar = t.placed.bars.find((b) => b.level === review.now.level && b.track === review.now.track);
  return [box.left + t.x(ms), box.top + bar.y + bar.h / 2, box.top + 8];
}"""


class Hand:
    """A pointer. touch: a finger, else the mouse."""

    def __init__(self, page: Page, touch: bool) -> None:
        self.page, self.touch = page, touch
        self.cdp = page.page.context.new_cdp_session(page.page)

    def at(self, x: float, y: float) -> None:
        """A click or tap there."""
        self.page.page.touchscreen.tap(x, y) if self.touch else self.page.page.mouse.click(x, y)
        self.page.page.wait_for_timeout(60)
        self.page.settled()

    def on(self, selector: str) -> None:
        box = self.box(selector)
        self.at(*box)

    def box(self, selector: str) -> tuple[float, float]:
        found = self.page.page.locator(selector).first
        found.scroll_into_view_if_needed()
        box = found.bounding_box()
        assert box, selector
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def press(self, x: float, y: float) -> None:
        if self.touch:
            self.finger("touchStart", x, y)
        else:
            self.page.page.mouse.move(x, y)
            self.page.page.mouse.down()

    def lift(self) -> None:
        if self.touch:
            self.cdp.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        else:
            self.page.page.mouse.up()
        self.page.page.wait_for_timeout(60)
        self.page.settled()

    def drag(self, x: float, y: float, to: float) -> None:
        self.press(x, y)
        for n in range(1, 6):
            if self.touch:
                self.finger("touchMove", x + (to - x) * n / 5, y)
            else:
                self.page.page.mouse.move(x + (to - x) * n / 5, y)
            self.page.page.wait_for_timeout(30)
        self.lift()

    def finger(self, kind: str, x: float, y: float) -> None:
        self.cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})

    def timeline(self, ms: float, ruler: bool = False) -> tuple[float, float]:
        self.page.page.locator("#timeline").scroll_into_view_if_needed()
        x, bar, above = self.page.page.evaluate(WHERE, ms)
        return x, above if ruler else bar


def act(name: str) -> str:
    return f"#side [data-act={name}]"


@pytest.mark.parametrize("screen", SCREENS)
def test_all_that_is_done_to_an_event_by_pointer_alone(corpus, tmp_path, screen):
    from playwright.sync_api import sync_playwright

    shots = Path(os.environ.get("REVIEW_SHOTS", tmp_path))
    shutil.rmtree(corpus / "decisions", ignore_errors=True)
    server = Running(corpus, tmp_path / "s.sqlite")
    with sync_playwright() as play:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = play.chromium.launch(executable_path=chromium(), args=arguments)
        raw = browser.new_context(**SCREENS[screen]).new_page()
        raw.add_init_script(PAINTED)
        page = Page(raw)
        raw.goto(server.url)
        page.ready()
        done = worked(page, Hand(page, screen != "mouse"), shots / f"review-{screen}.png")
        assert page.errors == []
        assert serious(page) == []
        width = page.run("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1]  # nothing is cut off at the side
        assert page.run("waits.length") == 0  # not a key was pressed
        browser.close()
    rows = [json.loads(line) for line in urllib.request.urlopen(f"{server.url}/api/export").read().splitlines()]
    server.stop()
    assert [r["action"] for r in rows] == [action for action, _ in done]
    for row, (action, check) in zip(rows, done, strict=True):
        assert check(row["after"]), (action, row)


def worked(page: Page, hand: Hand, shot: Path) -> list[tuple]:
    """(action, what must be true of the spans that it left) of all that was done, in order."""
    done = []

    def did(action, check) -> None:
        done.append((action, check))
        page.ready()

    hand.on(act("edit"))
    page.page.keyboard.insert_text("what a person says")
    hand.on("[data-act=edit-save]")
    did("caption", lambda after: after[0]["text"] == "what a person says")
    hand.on("#digits button:nth-child(9)")
    did("primitive", lambda after: after[0]["primitive"] == "push")
    hand.on(act("accept"))
    did("accept", lambda after: after[0]["state"] == "accepted")

    start, end = page.run("[review.now.start_ms, review.now.end_ms]")
    (x, y), (to, _) = hand.timeline(end), hand.timeline((start + end) / 2)
    hand.drag(x, y, to)
    did("end", lambda after: start < after[0]["end_ms"] < end and after[0]["end_ms"] == after[1]["start_ms"])
    hand.at(*hand.timeline((3 * start + end) / 4))  # choose the event before that edge
    page.until(f"review.now.start_ms === {start}")
    for _ in range(2):
        hand.on(act("end-later"))
        did("end", lambda after: after[0]["end_ms"] == after[1]["start_ms"])
    page.shot(shot)
    hand.on(act("end-snap"))
    page.page.wait_for_timeout(400)
    did("end", lambda after: after[0]["end_ms"] == after[1]["start_ms"])
    start, end = page.run("[review.now.start_ms, review.now.end_ms]")
    hand.at(*hand.timeline((start + end) / 2, ruler=True))
    hand.on(act("split"))
    did("split", lambda after: (after[0]["start_ms"], after[1]["end_ms"]) == (start, end))
    hand.on(act("merge"))
    did("merge", lambda after: [(s["start_ms"], s["end_ms"]) for s in after] == [(start, end)])
    hand.on(act("undo"))
    did("undo", lambda after: len(after) == 2)
    hand.on(act("redo"))
    did("undo", lambda after: len(after) == 1)
    hand.on("#digits button:nth-child(4)")  # so that it is in sight, and not yet what it shall be
    did("primitive", lambda after: after[0]["primitive"] == "lift")
    where = hand.box("#digits button:nth-child(2)")
    page.run("(review.player.seek(review.now.start_ms), review.player.play())")
    page.page.wait_for_timeout(150)
    hand.press(*where)
    page.page.wait_for_timeout(500)
    hand.lift()
    page.page.wait_for_timeout(200)
    did("label", lambda after: "align" in [s["primitive"] for s in after])
    hand.on(act("flag"))
    did("flag", lambda after: after[0]["flagged"])
    hand.on(act("reject"))
    did("reject", lambda after: after[0]["state"] == "rejected")
    hand.on("header [data-act=queue]")
    hand.on("#list li:nth-child(3)")
    page.ready()
    hand.on(act("skip"))
    did("skip", lambda after: after[0]["state"] == "skipped")
    return done
