"""The review page in a headless Chromium, with what a test wants to know of it: errors, bytes, ms from key to paint."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIZES = {"wide": (1720, 960), "laptop": (1366, 768)}
# From a key to the frame that shows what it changed: the first change of what is said about the event, or of the
# timeline's clock, then the message after the next animation frame, when that frame has been painted.
PAINTED = """
(() => {
  const waits = (globalThis.waits = []);
  let since = null, key = '';
  addEventListener('keydown', (e) => { since = performance.now(); key = e.key; }, true);
  const seen = () => {
    if (since == null) return;
    const from = since, which = key;
    since = null;
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => waits.push([which, performance.now() - from]);
      channel.port2.postMessage(0);
    });
  };
  addEventListener('DOMContentLoaded', () => {
    for (const id of ['side', 'clock', 'place', 'notice']) {
      const at = document.getElementById(id);
      const all = { subtree: true, childList: true, characterData: true, attributes: true };
      if (at) new MutationObserver(seen).observe(at, all);
    }
  });
})();
"""


WEIGHT = """(() => {
  const own = (e) => !/\\/(media|api)\\/|^blob:/.test(e.name);
  const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  return all.filter(own).reduce((sum, e) => sum + e.decodedBodySize, 0);
})()"""


def chromium() -> str | None:
    """Debian's, or another that is on the PATH; None: the one that playwright has installed."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return os.environ.get("CHROMIUM") or next((path for n in names if (path := shutil.which(n))), None)


class Page:
    """page: playwright's."""

    def __init__(self, page: Any) -> None:
        self.page, self.errors = page, list[str]()
        page.on("console", lambda m: self.errors.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: self.errors.append(str(e)))

    def bytes(self) -> int:
        """Of the page itself, without media and data."""
        return self.run(WEIGHT)

    def run(self, script: str) -> Any:
        return self.page.evaluate(script)

    def ready(self) -> None:
        """An event is shown, its lanes are, its cameras have pictures, and nothing is being saved."""
        self.until(
            "globalThis.review?.now && review.episode.lanes && !review.busy && !review.pending"
            " && review.player.cameras.every(c => c.video.readyState >= 2)"
        )

    def until(self, script: str, seconds: float = 20) -> None:
        """Asked again and again from here: the page's own rules forbid it to evaluate text."""
        ends = time.monotonic() + seconds
        while not self.run(f"Boolean({script})"):
            assert time.monotonic() < ends, f"{script}: not within {seconds} s; {self.errors}"
            self.page.wait_for_timeout(15)

    def press(self, key: str, pause: float = 40) -> None:
        self.page.keyboard.press(key)
        self.page.wait_for_timeout(pause)
        self.settled()

    def shot(self, path: Any) -> None:
        self.page.screenshot(path=str(path))

    def settled(self) -> None:
        self.until("!review.busy && !review.pending")


@contextmanager
def opened(url: str, size: str) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        arguments = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = play.chromium.launch(executable_path=chromium(), args=arguments)
        width, height = SIZES[size]
        page = browser.new_page(viewport={"width": width, "height": height})
        page.add_init_script(PAINTED)
        own = Page(page)
        page.goto(url)
        yield own
        browser.close()


def serious(page: Page) -> list[str]:
    """What axe finds of serious or critical impact."""
    from axe_playwright_python.sync_playwright import Axe

    response = Axe().run(page.page).response
    assert len(response["passes"]) > 10
    found = response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in found if v["impact"] in ("serious", "critical")]
