"""Text into Markdown: nothing that a source brought along may be more than text on a dataset's page.

In: any value. Out: one line of Markdown that renders as that text. Every character that Markdown or HTML gives a
meaning to is escaped (CommonMark 0.31, "Backslash escapes" and "Entity references"), the bar of tables with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from stages.text import plain

_SPECIAL = re.compile(r"[\\`*_{}\[\]()!|~^$@]|^[#+=-]|(?<=www)\.|(?<=:)//")  # and what begins a line or an address
_NUMBER = re.compile(r"^(\d+)([.)])")  # begins a list
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
NOTHING = "\\-"
LONGEST = 300  # characters of a text


def escaped(text: object, most: int = LONGEST) -> str:
    """As text, whatever it holds; `-` where it is empty."""
    line = _SPECIAL.sub(lambda found: f"\\{found[0]}", plain(text, most))
    line = "".join(_HTML.get(c, c) for c in _NUMBER.sub(r"\1\\\2", line))
    return line if line.strip() else NOTHING


def code(text: object, most: int = LONGEST) -> str:
    """In the type of code: for names, which hold no backtick once they are in it."""
    line = plain(text, most).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line.strip() else NOTHING


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table whose cells are Markdown already; none without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines, ""] if lines else []


def counted(number: int, word: str) -> str:
    """`1 episode`, `12,000 episodes`."""
    return f"{number:,} {word}{'s' * (number != 1)}"
