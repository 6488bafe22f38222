"""A label file that is given back: only what differs from what was written out is somebody's word.

In: the rows of a file as `corpus labels` wrote it and people changed it, each with what it said at first (`exported`).
Out: labels. A row that says what it said then stays whose it was: the machine's is no label at all. An edge that a
person has moved is the edge of the row beside it too, which follows, and keeps the words that it had.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.labels.spans import TimedSpan
from schemas.episodes import Label
from stages.fingerprint import fingerprint
from stages.text import plain

FORM = re.compile(r"ms(-?\d+)to(-?\d+) (\w+) ([0-9a-f]{16})")


@dataclass(frozen=True, slots=True)
class Row:
    """A span of a file; was: (start, end) when it was written, s; whether its words and its primitive have changed."""

    label: Label
    was: tuple[float, float]
    said: bool
    done: bool
    person: bool = False  # it was a person's when it was written

    @property
    def moved(self) -> bool:
        return (self.label.start, self.label.end) != self.was

    @property
    def counts(self) -> bool:
        return self.person or self.said or self.done or self.moved


def exported(row: TimedSpan) -> str:
    """What a row says, for the column `exported`: `ms2600to4100 grasp <hash of its caption>`."""
    start, end = round(row["start_s"] * 1000), round(row["end_s"] * 1000)
    return f"ms{start}to{end} {row['primitive']} {fingerprint(plain(row['caption'] or ''))}"


def row_of(label: Label, origin: str | None, said_by: str | None, was: str | None) -> Row | None:
    """A row of a file that was given back; None where it does not say what it was, or where it counts frames: then it
    is a person's, as in any label file."""
    match = FORM.fullmatch((was or "").strip())
    if match is None or label.unit == "frames" or origin not in ("machine", "source", "human"):
        return None
    start, end = int(match[1]) / 1000, int(match[2]) / 1000
    said, done = fingerprint(label.text) != match[4], (label.primitive or "") != match[3]
    near = [abs(label.start - start) < 0.0006, abs(label.end - end) < 0.0006]  # a spreadsheet's rounding
    placed = replace(label, start=start if near[0] else label.start, end=end if near[1] else label.end)
    found = Row(placed, (start, end), said, done, origin == "human")
    if found.person and not (said or done or found.moved) and said_by:
        return replace(found, label=replace(placed, said_by=plain(said_by, 100)))
    return found


def labels_of(rows: Sequence[Row]) -> list[Label]:
    """Labels of one level and track of an episode."""
    changed = [r for r in rows if r.moved or r.said or r.done]
    beside = [r for r in rows if not (r.moved or r.said or r.done)]
    for own in changed:
        beside = [f for r in beside if (f := _followed(r, own)) is not None]
    return [_label(r) for r in sorted([*changed, *beside], key=lambda r: r.label.start) if r.counts]


def _followed(row: Row, own: Row) -> Row | None:
    """A row beside one that was changed: its edge goes where the other's went; None where nothing is left of it."""
    start, end = row.label.start, row.label.end
    if end == own.was[0]:
        end = own.label.start
    if start == own.was[1]:
        start = own.label.end
    if start < own.label.end and own.label.start < end:  # it went further than the next edge
        if start < own.label.start:
            end = own.label.start
        elif own.label.end < end:
            start = own.label.end
        else:
            return None
    return replace(row, label=replace(row.label, start=start, end=end)) if start < end else None


def _label(row: Row) -> Label:
    """What of a row is somebody's; the rest the machine says anew."""
    text = row.label.text if row.said or row.person else ""
    return replace(row.label, text=text, primitive=row.label.primitive if row.done or row.person else None)


def by_place(found: Iterable[tuple[str, Label, Row | None]], everything: bool) -> list[tuple[str, Label]]:
    """(episode, label) of a file's rows in order; everything: each row counts, as when a file is the truth."""
    plain_ones: list[tuple[str, Label]] = []
    given: dict[tuple[str, str, str], list[Row]] = {}
    for episode, label, row in found:
        if row is None or everything:
            plain_ones.append((episode, label))
        else:
            given.setdefault((episode, label.level, label.track), []).append(row)
    for (episode, *_), rows in given.items():
        plain_ones += [(episode, label) for label in labels_of(rows)]
    return plain_ones
