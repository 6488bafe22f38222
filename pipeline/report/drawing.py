"""Charts of the report as SVG text: event lengths, bars, cluster sizes. No script, no library.

In: numbers. Out: SVG. Colours are the page's CSS variables, so that light and dark follow the reader's setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

COLOURS = {
    "reach": "#4e79a7", "approach": "#4e79a7", "align": "#7aa6d1", "grasp": "#d1495b", "handover": "#d1495b",
    "lift": "#f28e2b", "move": "#9d6b98", "transport": "#9d6b98", "lower": "#9c755f", "place": "#8cb35a",
    "push": "#b86fb0", "pull": "#b86fb0", "press": "#b86fb0", "rotate": "#6b7fd1", "release": "#4c9a46",
    "retract": "#5fa8a3", "open": "#86b97f", "close": "#dd8a97", "hold": "#e3bb3a", "idle": "#a7a29c",
    "unknown": "#7f7f7f", "task": "#4e79a7",
}  # fmt: skip
SAID = (("before", "recorded"), ("sampled", "drawn"), ("target", "wanted"))  # wanted: at the level of the samples
COLUMNS = 48  # of a chart of cluster sizes; of more clusters, neighbours in size share a column


def histogram(seconds: npt.NDArray[np.float64], width: int = 440, height: int = 104) -> str:
    """Event lengths, s, up to their 98th percentile."""
    if not len(seconds):
        return ""
    top = max(0.5, float(np.percentile(seconds, 98)))
    counts, _ = np.histogram(np.minimum(seconds, top), bins=24, range=(0, top))
    step = width / len(counts)
    bars = "".join(
        rect(i * step, height - 18 - h, step - 1, h, 'fill="var(--accent)"')
        for i, h in enumerate((height - 20) * counts / counts.max())
    )
    ticks = "".join(
        text(x, height - 4, label, anchor)
        for x, anchor, label in (
            (0, "start", "0 s"),
            (width / 2, "middle", f"{top / 2:.1f} s"),
            (width, "end", f"{top:.1f} s and more"),
        )
    )
    return figure(width, height, "event lengths", bars + ticks)


def clusters(figures: Mapping[str, Any], width: int = 340, height: int = 74) -> str:
    """Share of each cluster as recorded (outline), as drawn (bar) and as wanted (dot), largest first."""
    sizes = {kind: np.asarray(figures[kind]["sizes"], dtype=float) for kind, _ in SAID if kind in figures}
    order = np.argsort(-sizes["before"], kind="stable")
    shares = {k: v[order] / max(float(v.sum()), 1e-9) for k, v in sizes.items()}
    groups = np.array_split(np.arange(len(order)), min(COLUMNS, len(order)))
    columns = {k: [float(v[g].mean()) for g in groups] for k, v in shares.items()}
    step, scale = width / len(groups), (height - 8) / max(max(v) for v in columns.values())
    even = height - scale / len(order)
    parts = [f'<line x1="0" x2="{width}" y1="{even:.1f}" y2="{even:.1f}" class="grid"/>']
    for i, group in enumerate(groups):
        x, w = i * step, max(1.0, step - 3)
        b, s = (columns[k][i] * scale for k in ("before", "sampled"))
        named = f"cluster {order[group[0]]}" if len(group) == 1 else f"{len(group)} clusters of like size, mean"
        words = ", ".join(f"{columns[k][i]:.1%} {said}" for k, said in SAID if k in columns)
        parts += [
            f"<g><title>{named}: {words}</title>",
            rect(x, height - s, w, s, 'fill="var(--accent)" opacity="0.55"'),
            rect(x + 0.5, height - b, w - 1, b, 'fill="none" stroke="var(--ink)"'),
        ]
        if "target" in columns:
            y = height - columns["target"][i] * scale
            parts.append(f'<circle cx="{x + w / 2:.1f}" cy="{y:.1f}" r="3" fill="var(--warm)"/>')
        parts.append("</g>")
    return figure(width, height, "cluster sizes", "".join(parts))


def lengths(seconds: npt.NDArray[np.float64], top: float, width: int = 130, height: int = 26) -> str:
    """Event lengths as a small histogram from 0 to `top` s, what is longer in the last column; for a table."""
    if not len(seconds):
        return ""
    counts, _ = np.histogram(np.minimum(seconds, top), bins=20, range=(0, top))
    step = width / len(counts)
    bars = "".join(
        rect(i * step, height - h, step - 0.8, h, 'fill="var(--accent)"')
        for i, h in enumerate((height - 1) * counts / counts.max())
    )
    return figure(width, height, f"event lengths from 0 to {top:.1f} s", bars)


def stack(counts: Sequence[tuple[str, int]], width: int = 330, height: int = 20) -> str:
    """Primitives as one bar, as wide as they are frequent."""
    total, x, parts = sum(number for _, number in counts), 0.0, []
    for name, number in counts:
        share = width * number / total
        parts.append(f"<g><title>{number} {escape(name)}</title>")
        parts.append(
            rect(x, 0, max(0.5, share - 0.8), height, f'fill="{COLOURS.get(name, COLOURS["unknown"])}"') + "</g>"
        )
        x += share
    return figure(width, height, ", ".join(f"{number} {name}" for name, number in counts), "".join(parts))


class Share(TypedDict):
    """A horizontal bar: its length is the share of the largest value, percent."""

    name: str
    value: float
    percent: float
    colour: str


def shares(rows: Sequence[tuple[str, float]]) -> list[Share]:
    """Rows for horizontal bars."""
    top = max((value for _, value in rows), default=1.0) or 1.0
    return [
        {"name": n, "value": v, "percent": 100 * v / top, "colour": COLOURS.get(n, "var(--accent)")} for n, v in rows
    ]


def figure(width: float, height: float, label: str, inside: str, role: str = "img") -> str:
    """role: `group` where there are links inside."""
    return f'<svg viewBox="0 0 {width:g} {height:g}" role="{role}" aria-label="{escape(label)}">{inside}</svg>'


def rect(x: float, y: float, width: float, height: float, style: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{max(0.0, height):.1f}" {style}/>'


def text(x: float, y: float, words: str, anchor: str = "start", style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {style}>{escape(words)}</text>'
