"""The review page opens where its address says, and the report leads there, in a headless Chromium
(`make review-test`)."""

import os
import shutil
from pathlib import Path

import pytest

from pipeline.corpus.view import Corpus
from pipeline.report import write
from pipeline.report.reviewed import links
from tests.review.browser import SIZES, opened
from tests.review.running import Running

pytestmark = [pytest.mark.review, pytest.mark.timeout(600)]
SHOWN = "[review.now.episode, review.now.level, review.now.track, review.now.start_ms]"


@pytest.fixture(scope="module")
def corpus(request, tmp_path_factory):
    """A copy of the sample's corpus with its report; REVIEW_CORPUS names one that is built already."""
    built = os.environ.get("REVIEW_CORPUS") or request.getfixturevalue("sample_corpus")
    place = tmp_path_factory.mktemp("links") / "corpus"
    shutil.copytree(built, place, symlinks=True, ignore=shutil.ignore_patterns("decisions"))
    write(Corpus(str(place)))
    return place


@pytest.fixture
def server(corpus, tmp_path):
    running = Running(corpus, tmp_path / "s.sqlite")
    yield running
    running.stop()


def some(corpus, **wanted) -> tuple[str, list]:
    """(the last event of its kind, what the page says of it)."""
    row = Corpus(str(corpus)).table("events").filter(**wanted).sort("event_id").to_dicts()[-1]
    return row["event_id"], [row["episode_id"], row["level"], row["track"], round(row["start_s"] * 1000)]


def test_it_opens_at_the_event_that_its_address_names(corpus, server):
    name, about = some(corpus, level="L1", track="all", static=False)
    with opened(f"{server.url}/#event={name}", "laptop") as page:
        page.ready()
        assert page.run(SHOWN) == about
        assert (
            page.run("review.player.edges[0] <= review.now.start_ms && document.getElementById('level').value") == "L1"
        )
        other, there = some(corpus, level="L2", track="all")
        page.run(f"location.hash = '#event={other}'")
        page.until(f"{SHOWN}.join() === {list(map(str, there))}.join()")
        assert page.run("document.getElementById('level').value") == "L2"
        page.ready()
        episode = Corpus(str(corpus)).done("ingest")["item"].sort()[3]
        page.run(f"location.hash = '#episode={episode}'")
        page.until(f"review.now.episode === '{episode}'")
        assert page.run("review.now.start_ms") == 0
        assert page.errors == []


def test_an_event_whose_start_has_moved_is_found_where_it_began(corpus, server):
    row = Corpus(str(corpus)).table("events").filter(level="L1", track="all", static=False)
    row = row.filter((row["end_s"] - row["start_s"]) > 1).sort("event_id").to_dicts()[0]
    inside = f"{row['episode_id']}/L1/{round(row['start_s'] * 1000) + 333:07d}"
    with opened(f"{server.url}/#event={inside}", "laptop") as page:
        page.ready()
        assert page.run(SHOWN)[3] == round(row["start_s"] * 1000)


@pytest.mark.parametrize("name", ["event=nowhere/000000/L1/0000000", "event=%3Cb%3E", "episode=..%2F..%2Fetc"])
def test_an_address_that_names_nothing_shows_the_queue(server, name):
    with opened(f"{server.url}/#{name}", "laptop") as page:
        page.ready()
        assert page.run("review.queue.rows.some((r) => r.episode === review.now.episode)")
        assert all("404" in error for error in page.errors)  # the browser's own word on an episode that is not there


@pytest.mark.parametrize("size", SIZES)
def test_the_served_report_leads_to_events_and_plays(corpus, server, size, tmp_path):
    shots = Path(os.environ.get("REVIEW_SHOTS", tmp_path))
    with opened(f"{server.url}/report", size) as page:
        bar = page.page.locator('svg[aria-label^="timeline of"] a[href*="/L1/"]').nth(2)
        name = bar.get_attribute("href").removeprefix("/#event=")
        with page.page.expect_popup() as popup:
            bar.click()
        there = popup.value
        there.wait_for_selector("#when:not(:empty)")
        shown = there.evaluate("[review.now.episode, review.now.level, review.now.start_ms]")
        source, key, level, ms = name.split("/")
        assert shown == [f"{source}/{key}", level, int(ms)]
        page.page.locator("#clips").scroll_into_view_if_needed()
        assert clips_play(page)
        page.page.screenshot(path=str(shots / f"report-{size}-clips.png"))
        assert page.errors == []
        assert "script-src" not in page.page.request.get(f"{server.url}/report").headers["content-security-policy"]


def test_the_report_as_a_file_plays_and_says_what_its_links_need(corpus):
    with opened(f"file://{corpus}/report.html", "laptop") as page:
        assert clips_play(page)
        assert f"corpus review --corpus {corpus}" in page.page.inner_text(".note")
        link = page.page.locator("#clips ~ .clips a").first.get_attribute("href")
        assert link.startswith(f"{links.HOME}#event=")
        assert page.errors == []


def clips_play(page) -> bool:
    """Every clip has a picture, and its time goes on; none was loaded before it was asked for."""
    assert page.run("[...document.querySelectorAll('video')].every((v) => v.preload === 'none' && v.poster && v.muted)")
    found = page.run("""async () => {
      const found = [];
      for (const video of document.querySelectorAll('video')) {
        await video.play();
        const until = performance.now() + 5000;
        while (video.currentTime < 0.15 && performance.now() < until) await new Promise((done) => setTimeout(done, 30));
        found.push([video.currentTime, video.videoWidth, video.videoHeight]);
        video.pause();
      }
      return found;
    }""")
    assert len(found) > 3
    return all(time >= 0.15 and width > 100 and height > 100 for time, width, height in found)
