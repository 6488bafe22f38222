"""What keys do besides judging: snap, hold to label, loop, speed, search, redo, own keys: `make review-test`."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.review.browser import opened
from tests.review.running import Running

pytestmark = [pytest.mark.review, pytest.mark.timeout(600)]
PEDAL = "F13"  # what many foot pedals send


@pytest.fixture
def page(corpus, tmp_path):
    shutil.rmtree(corpus / "decisions", ignore_errors=True)
    server = Running(Path(corpus), tmp_path / "s.sqlite")
    with opened(server.url, "laptop") as found:
        found.ready()
        found.server = server.url
        yield found
        assert found.errors == []
    server.stop()


def decided(page) -> list[dict]:
    return [json.loads(line) for line in urllib.request.urlopen(f"{page.server}/api/export").read().splitlines()]


def now(page) -> tuple[int, int]:
    start, end = page.run("[review.now.start_ms, review.now.end_ms]")
    return start, end


def frames(page) -> list[int]:
    return page.run("review.episode.about.edges_ms")


def press(page, *keys: str) -> None:
    for key in keys:
        if key == PEDAL:  # the driver's keyboard has none
            page.run("document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'F13', bubbles: true }))")
        else:
            page.press(key)
    page.page.wait_for_timeout(400)  # nudges that follow each other are one decision
    page.ready()


def test_an_edge_snaps_to_candidates_and_moves_by_frames_with_its_neighbour(page):
    press(page, "]")
    start, end = now(page)
    edges = frames(page)
    marks = page.run("review.episode.lanes.candidates.map((c) => c.ms)")
    nearest = sorted({min(edges, key=lambda e: abs(e - m)) for m in marks})
    to = max(m for m in nearest if m < end)
    assert start < to
    press(page, "Shift+O")
    assert now(page) == (start, to)
    press(page, "Shift+P")
    assert now(page)[1] == min(m for m in nearest if m > to)
    for key in "ppo":  # one decision
        page.page.keyboard.press(key)
    press(page)
    rows = decided(page)
    assert [r["action"] for r in rows] == ["end", "end", "end"]
    last = rows[-1]
    moved = edges[edges.index(rows[-2]["after"][0]["end_ms"]) + 1]
    assert [s["end_ms"] for s in last["after"]][:1] == [s["start_ms"] for s in last["after"]][1:] == [moved]
    press(page, "z", "z", "z")
    assert now(page) == (start, end)
    press(page, "y", "y", "y")
    assert now(page) == (start, moved)
    press(page, "w")  # the start of an event is the end of the one before it
    assert decided(page)[-1]["after"][0]["end_ms"] == decided(page)[-1]["after"][1]["start_ms"] > start


def test_loop_speed_steps_and_search(page):
    length = page.run("review.episode.about.edges_ms.at(-1)")
    press(page, "l")
    assert page.run("review.player.loop") == [0, length]
    press(page, "l")
    assert page.run("review.player.loop") == list(now(page))
    press(page, "=", "=")
    assert page.run("review.player.rate") == 4
    press(page, "-", "-", "-")
    assert page.run("review.player.rate") == 0.5
    press(page, " ", "Home", "ArrowRight", "ArrowRight", "ArrowLeft")
    assert page.run("review.player.frame()") == frames(page).index(now(page)[0]) + 1
    press(page, "/")
    page.page.keyboard.type("purple")
    page.page.keyboard.press("Enter")
    page.until("review.queue.rows.length && review.queue.rows.every((r) => /purple/i.test(r.text + r.task))")
    page.ready()
    before = page.run("review.now.event_id")
    press(page, "n")
    assert page.run("review.now.event_id") != before
    assert decided(page) == []


def test_a_key_of_ones_own_a_pedal_too_and_back(page):
    press(page, "?")
    page.page.get_by_role("button", name="Accept, and go to the next").click()
    press(page, PEDAL, "Escape")
    press(page, PEDAL)
    assert [r["action"] for r in decided(page)] == ["accept"]
    press(page, "a")  # the old key does nothing now
    assert len(decided(page)) == 1
    page.page.reload()
    page.ready()
    press(page, PEDAL)  # and after the page was left
    assert len(decided(page)) == 2
    press(page, "?")
    page.page.get_by_role("button", name="All keys as they were").click()
    page.page.keyboard.press("Escape")
    press(page, "a")
    assert len(decided(page)) == 3


def test_holding_a_key_labels_what_plays(page):
    press(page, "]")
    start, _ = now(page)
    page.run("(review.player.seek(review.now.start_ms), review.player.play())")
    page.page.wait_for_timeout(200)
    page.page.keyboard.down("0")
    page.page.wait_for_timeout(600)
    page.page.keyboard.up("0")
    page.page.wait_for_timeout(200)
    page.ready()
    (row,) = decided(page)
    assert row["action"] == "label"
    (made,) = [s for s in row["after"] if s["primitive"] == "idle"]
    assert start <= made["start_ms"] < made["end_ms"]
    assert {made["start_ms"], made["end_ms"]} <= set(frames(page))
    assert now(page) == (made["start_ms"], made["end_ms"])


def test_a_caption_with_html_is_words(page):
    words = "<img src=x onerror=\"document.title='taken'\"><b>bold</b>"
    press(page, "e")
    page.page.keyboard.insert_text(words)
    press(page, "Enter")
    press(page, "]")  # so that it is shown as the neighbour's too
    shown = page.run("[...document.querySelectorAll('#around dd, #list small')].map((x) => x.textContent)")
    assert shown.count(words) == 2
    press(page, "[")
    assert page.run("document.getElementById('caption').textContent") == words
    assert page.run("document.querySelectorAll('main img, main b').length") == 0
    assert page.run("document.title") != "taken"


def test_a_remark_takes_letters_and_is_kept_with_the_flag(page):
    press(page, "c")
    page.page.keyboard.type("odd one")
    press(page, "Control+Enter")
    (row,) = decided(page)
    assert (row["action"], row["comment"]) == ("flag", "odd one")


def test_where_nothing_is_left_no_key_is_about_an_event(page):
    press(page, "/")
    page.page.keyboard.type("zzzqq")
    page.page.keyboard.press("Enter")
    page.until("document.getElementById('caption').textContent.includes('Nothing is left')")
    for key in ("a", "x", "1", "e", "p"):
        page.page.keyboard.press(key)
    page.page.wait_for_timeout(400)
    assert decided(page) == []


def test_a_key_that_is_taken_changes_places_with_the_other(page):
    found = page.run("[review.keys.set('accept', 'x')[0], review.keys.key('accept'), review.keys.key('reject')]")
    assert found == ["reject", "x", "a"]
    page.run("review.keys.reset()")


def test_the_end_of_an_event_that_is_dragged_is_its_end(page):
    start, end = now(page)
    edges = frames(page)
    page.run(
        f"review.timeline.on.move(review.events().find((e) => e.start_ms === {end}), {edges[edges.index(end) - 1]})"
    )
    page.page.wait_for_timeout(400)
    (row,) = decided(page)
    assert (row["action"], row["start_ms"]) == ("end", start)
    press(page, "z")
    assert now(page) == (start, end)


def test_the_queue_is_in_the_order_that_is_shown(page):
    page.run("localStorage.setItem('order', 'confidence')")
    page.page.reload()
    page.ready()
    assert page.run("document.getElementById('order').value") == "confidence"
    sure = page.run("review.queue.rows.map((e) => Math.min(e.confidence, e.sure ?? 1))")
    assert sure == sorted(sure)
    assert len(sure) > 100
    page.run("localStorage.removeItem('order')")
