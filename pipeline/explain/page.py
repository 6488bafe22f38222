"""The page of an explanation: the drawing, and every boundary with its evidence. One self-contained HTML file."""

from __future__ import annotations

from pipeline.explain.gather import Explanation
from pipeline.report.page import legend, template
from pipeline.report.timeline_drawing import MARK_COLOURS, timeline

GROUPS = (
    ("a hand closes", "clos"), ("a hand opens", "open"), ("motion sets in or stops", "motion"),
    ("a slow stretch is entered or left", "slow"), ("the path turns, tips are farthest or nearest", "turn"),
    ("something touches", "contact"),
)  # fmt: skip


def page(found: Explanation) -> str:
    """HTML text."""
    colours = dict(MARK_COLOURS)
    return template("explain.html.j2").render(
        item=found.timeline,
        drawing=timeline(found.timeline),
        primitives=legend([found.timeline]),
        groups=[(words, colours[start]) for words, start in GROUPS],
        boundaries=found.boundaries,
        candidates=found.candidates,
    )
