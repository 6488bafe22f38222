"""Links from a page about a corpus to the review page, at an event or an episode.

A page is a file more often than not, and there is no script in it: its links lead to where `corpus review` serves
unless told otherwise, and the page says what to type where nothing answers. The same page given out by a review server
(`served`) leads to that server, whatever its address.
"""

from __future__ import annotations

from html import escape
from urllib.parse import quote

PORT = 8500  # of `corpus review`
HOME = f"http://localhost:{PORT}/"
BEGINS = f'href="{HOME}#'  # of a link; no text of a log can look like it: quotes in text are escaped
TAB = "review"  # one tab for all links of a page


def event(event_id: str) -> str:
    """Address of an event: the page opens at what lies where it began, also when people have moved its edges since."""
    return f"{HOME}#event={quote(event_id, safe='/')}"


def episode(episode_id: str) -> str:
    """Address of an episode."""
    return f"{HOME}#episode={quote(episode_id, safe='/')}"


def around(event_id: str, inside: str) -> str:
    """SVG or HTML inside a link to an event."""
    return f'<a href="{escape(event(event_id))}" target="{TAB}">{inside}</a>'


def served(page: bytes) -> bytes:
    """The page with links that lead to whoever gives it out."""
    return page.replace(BEGINS.encode(), b'href="/#')
