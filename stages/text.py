"""Text that came with a log, made harmless: it reaches terminals, tables, file names, pages and JSON.

In: any string. Out: one line of it without control characters (terminal escapes, changes of direction, zero bytes) and
without halves of UTF-16 pairs, which no encoder takes; each becomes U+FFFD, white space a space.
"""

from __future__ import annotations

import re
import unicodedata

NAME = 100  # characters of a name: of a robot, a column, a camera
BYTES = 120  # of a file name, of which file systems allow 255 with all that is added to it
SENTENCE = 2000  # characters of a task or instruction: it is repeated in every sample
UNSAFE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
KEPT = "\n\u200c\u200d"  # the joiners are of category Cf, and part of how some languages are written


def plain(text: object, most: int = SENTENCE) -> str:
    """The text in one line of at most `most` characters; what is cut away is told by an ellipsis."""
    line = printable(" ".join(str(text)[: 4 * most].split()))
    return line if len(line) <= most else line[: most - 1] + "…"


def printable(text: str) -> str:
    """The text as it is laid out, of one line or several, without what a terminal would obey."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in KEPT or unicodedata.category(c) not in UNSAFE else "\ufffd" for c in text)


def file_name(text: str) -> str:
    """A name that is a file name on every system: letters, digits, `-`, `_`, `.`, anything else `_`; not hidden."""
    name = re.sub(r"^\.+", lambda dots: "_" * len(dots[0]), re.sub(r"[^\w.\-]", "_", plain(text, NAME)))
    return name.encode()[:BYTES].decode(errors="ignore")
