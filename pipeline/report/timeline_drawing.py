"""An episode as SVG: speed, gripper, spans of three levels and thumbnails under one axis of time.

In: a `Timeline`. Out: SVG. Spans of the captioned level carry the number under which their caption is listed; each
is a link to the review page. A thumbnail's left edge is at its time, as in a video editor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from pipeline.report.drawing import COLOURS, figure, rect, text
from pipeline.report.episodes import CAPTIONED, Captioned, Mark, Timeline
from pipeline.report.pictures import Strip
from pipeline.report.reviewed import links

WIDTH, LEFT, RIGHT = 980, 74, 6
SPEED, GRIPPER, BAR = 52, 34, 20  # px, heights
MARKS = 40
MARK_COLOURS = (
    ("clos", "#d1495b"), ("open", "#4c9a46"), ("command", "#d1495b"), ("motion", "#4e79a7"), ("slow", "#7aa6d1"),
    ("turn", "#f28e2b"), ("tip", "#f28e2b"), ("contact", "#e3bb3a"),
)  # fmt: skip
TALL, LOW = 104, 36  # px, bounds of a thumbnail's height
POINTS = 500  # of a line
NAME = 11  # characters of a camera
LETTER = 6.4  # px, about the width of one
ARMS = {"single": "var(--accent)", "left": "var(--accent)", "right": "var(--warm)"}


class _Page:
    """SVG under construction, from top to bottom."""

    def __init__(self, end: float) -> None:
        self.parts: list[str] = []
        self.y = 6.0
        self.scale = (WIDTH - LEFT - RIGHT) / end

    def x(self, seconds: float) -> float:
        return LEFT + seconds * self.scale


def timeline(item: Timeline) -> str:
    """The whole drawing."""
    ends = [s["end_s"] for spans in item.spans.values() for s in spans]
    page = _Page(max(float(item.time_s[-1]), *ends, 1e-3))
    cuts = item.spans[CAPTIONED][1:]
    _graph(page, "speed", item.speed, item.time_s, SPEED, cuts)
    _graph(page, "gripper", item.gripper, item.time_s, GRIPPER, cuts)
    if item.marks:
        _marks(page, item.marks)
    for level, spans in item.spans.items():
        _spans(page, level, spans, numbered=level == CAPTIONED)
    for name, spans in item.arms.items():
        _spans(page, name, spans, numbered=False)
    _axis(page)
    for strip, times in item.strips:
        _strip(page, strip, times)
    return figure(WIDTH, page.y + 2, f"timeline of {item.episode_id}", "".join(page.parts), "group")


def _graph(
    page: _Page,
    name: str,
    lines: Mapping[str, npt.NDArray[np.float64]],
    time_s: npt.NDArray[np.float64],
    height: int,
    cuts: list[Captioned],
) -> None:
    """One line an arm, 0 at the bottom to 1 at the top."""
    if not lines:
        return
    top = page.y
    page.parts.append(rect(LEFT, top, WIDTH - LEFT - RIGHT, height, 'fill="var(--well)"'))
    page.parts.append(text(0, top + 12, name, style='class="name"'))
    for number, arm in enumerate(a for a in lines if a != "single" and height >= SPEED):  # the legend, once
        page.parts.append(text(0, top + 25 + 13 * number, arm, style=f'style="fill:{_colour(arm)}"'))
    for cut in cuts:
        x = page.x(cut["start_s"])
        page.parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{top + height + 6:.1f}" class="cut"/>')
    for arm, line in lines.items():
        keep = range(0, len(line), max(1, len(line) // POINTS))
        points = " ".join(f"{page.x(time_s[i]):.1f},{top + 2 + (height - 4) * (1 - line[i]):.1f}" for i in keep)
        page.parts.append(f'<polyline points="{points}" fill="none" stroke="{_colour(arm)}" stroke-width="1.5"/>')
    page.y += height + 6


def _marks(page: _Page, marks: Sequence[Mark]) -> None:
    """A stick a candidate boundary, as high as it is strong; pale where no span begins there."""
    top, bottom = page.y, page.y + MARKS
    page.parts.append(rect(LEFT, top, WIDTH - LEFT - RIGHT, MARKS, 'fill="var(--well)"'))
    page.parts.append(text(0, top + 12, "evidence", style='class="name"'))
    for mark in marks:
        x, height = page.x(mark["time_s"]), (MARKS - 4) * mark["strength"]
        tip = f"{mark['time_s']:.2f} s: {mark['kind']} of {mark['arm']}, strength {mark['strength']:.2f}"
        tip += f", a boundary of {mark['level']}" if mark["level"] else ", not a boundary"
        pale = "" if mark["level"] else ' stroke-opacity="0.35"'
        stick = f'x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:.1f}" y2="{bottom - height:.1f}"'
        stick += f' stroke="{mark_colour(mark["kind"])}"'
        page.parts.append(f'<g><title>{escape(tip)}</title><line {stick} stroke-width="2.5"{pale}/></g>')
    page.y += MARKS + 6


def mark_colour(kind: str) -> str:
    """Of what a candidate was seen in: hand, speed, path."""
    return next((colour for start, colour in MARK_COLOURS if kind.startswith(start)), "#7f7f7f")


def _colour(arm: str) -> str:
    return ARMS.get(arm, "var(--ink)")


def _spans(page: _Page, level: str, spans: list[Captioned], numbered: bool) -> None:
    page.parts.append(text(0, page.y + 14, level, style='class="name"'))
    drawn = -1.0
    for number, span in enumerate(spans, 1):
        start, end = page.x(span["start_s"]), page.x(span["end_s"])
        if end - drawn < 1:
            continue  # no wider than a pixel, and one is there already
        drawn = end
        page.parts.append(_bar(span, start, end, page.y, f"{number} " if numbered else ""))
    page.y += BAR + 3


def _bar(span: Captioned, start: float, end: float, y: float, number: str) -> str:
    colour, width = COLOURS.get(span["primitive"], COLOURS["unknown"]), max(1.0, end - start - 1)
    pale = ' fill-opacity="0.3"' if span["static"] else ""
    bar = rect(start, y, width, BAR, f'rx="2" fill="{colour}"{pale}')
    if width < 4:
        return links.around(span["event_id"], bar)
    fitting = (f"{number}{span['primitive']}", number.strip())
    label = next((words for words in fitting if len(words) * LETTER < width - 5), "")
    ink = "var(--ink)" if span["static"] else _ink_on(colour)
    said = text(start + 4, y + 14, label, style=f'class="onbar" style="fill:{ink}"') if label else ""
    seconds = f"{span['start_s']:.2f} to {span['end_s']:.2f} s, confidence {span['confidence']:.2f}"
    tip = escape(f"{seconds}: {span['caption'] or span['primitive']}")
    return links.around(span["event_id"], f"<title>{tip}</title>{bar}{said}")


def _ink_on(colour: str) -> str:
    """Black or white, whichever reads better on it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#111" if 0.299 * red + 0.587 * green + 0.114 * blue > 145 else "#fff"


def _axis(page: _Page) -> None:
    seconds = (WIDTH - LEFT - RIGHT) / page.scale
    step = next((s for s in (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800) if seconds / s <= 14), seconds / 10)
    for tick in np.arange(0, seconds + 1e-9, step):
        x = page.x(float(tick))
        page.parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{page.y:.1f}" y2="{page.y + 4:.1f}" class="tick"/>')
        anchor = "start" if tick == 0 else "end" if x > WIDTH - 20 else "middle"
        page.parts.append(text(x, page.y + 15, f"{tick:g} s", anchor))
    page.y += 20


def _strip(page: _Page, strip: Strip, times: list[float]) -> None:
    """Each picture from its own time to the next one's; what does not fit is cut off at the right."""
    edges = [page.x(t) for t in times] + [float(WIDTH - RIGHT)]
    slot = float(np.median(np.diff(edges[:-1]))) if len(times) > 1 else edges[1] - edges[0]
    height = min(TALL, max(LOW, slot / strip.aspect))
    for left, right, uri in zip(edges[:-1], edges[1:], strip.pictures, strict=True):
        width = max(0.0, min(right - left, height * strip.aspect) - 2)
        size = f'x="{left:.1f}" y="{page.y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        page.parts.append(f'<image {size} preserveAspectRatio="xMinYMid slice" href="{uri}"/>')
    name = strip.camera if len(strip.camera) <= NAME else strip.camera[: NAME - 1] + "…"
    page.parts.append(text(0, page.y + 12, name, style='class="name"'))
    page.y += height + 4
