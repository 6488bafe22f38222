"""Charts of the report as SVG text: histograms, bars, cluster sizes, an episode's timeline. No script, no library.

In: numbers. Out: SVG. Colours are the page's CSS variables, so that light and dark follow the reader's setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.report.facts import Timeline

COLOURS = {
    "reach": "#4e79a7", "approach": "#4e79a7", "grasp": "#e15759", "lift": "#f28e2b", "move": "#b07aa1",
    "transport": "#b07aa1", "lower": "#9c755f", "release": "#59a14f", "retract": "#76b7b2", "hold": "#edc948",
    "idle": "#bab0ac", "unknown": "#7f7f7f", "task": "#4e79a7",
}  # fmt: skip
SAID = (("before", "recorded"), ("sampled", "in shards"), ("weighted", "weighted"))
LINE_COLOURS = ("#4e79a7", "#e15759", "#59a14f", "#f28e2b")


def histogram(seconds: npt.NDArray[np.float64], width: int = 440, height: int = 96) -> str:
    """Event lengths, s, up to their 98th percentile."""
    if not len(seconds):
        return ""
    top = max(0.5, float(np.percentile(seconds, 98)))
    counts, _ = np.histogram(np.minimum(seconds, top), bins=24, range=(0, top))
    step = width / len(counts)
    bars = "".join(
        _rect(i * step, height - 14 - h, step - 1, h, 'fill="var(--accent)"')
        for i, h in enumerate((height - 16) * counts / counts.max())
    )
    ticks = "".join(
        f'<text x="{x}" y="{height - 2}" text-anchor="{anchor}">{label}</text>'
        for x, anchor, label in (
            (0, "start", "0 s"),
            (width / 2, "middle", f"{top / 2:.1f}"),
            (width, "end", f"{top:.1f} s"),
        )
    )
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="event lengths">{bars}{ticks}</svg>'


def clusters(figures: Mapping[str, Any], width: int = 460, height: int = 130) -> str:
    """Share of each cluster before (outline), in the shards (bar) and as weighted (dot), largest first."""
    before = np.asarray(figures["before"]["sizes"], dtype=float)
    order = np.argsort(-before, kind="stable")
    shares = {k: np.asarray(figures[k]["sizes"], dtype=float)[order] for k in ("before", "sampled", "weighted")}
    shares = {k: v / max(v.sum(), 1e-9) for k, v in shares.items()}
    top = max(float(v.max()) for v in shares.values())
    step, scale = width / len(order), (height - 10) / top
    even = height - scale / len(order)
    parts = [f'<line x1="0" x2="{width}" y1="{even:.1f}" y2="{even:.1f}" class="grid"/>']
    for i in range(len(order)):
        x, w = i * step, max(1.0, step - 3)
        b, s, d = (float(shares[k][i]) * scale for k in ("before", "sampled", "weighted"))
        words = ", ".join(f"{shares[k][i]:.1%} {said}" for k, said in SAID)
        parts += [
            f"<g><title>cluster {order[i]}: {words}</title>",
            _rect(x, height - s, w, s, 'fill="var(--accent)" opacity="0.55"'),
            _rect(x, height - b, w, b, 'fill="none" stroke="var(--ink)"'),
            f'<circle cx="{x + w / 2:.1f}" cy="{height - d:.1f}" r="3" fill="var(--warm)"/></g>',
        ]
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="cluster sizes">{"".join(parts)}</svg>'


def _rect(x: float, y: float, width: float, height: float, style: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" {style}/>'


def timeline(item: Timeline, width: int = 960) -> str:
    """Speed and gripper over time, and the spans of L2, L1 and L0 below; captions show on hover."""
    end = max(float(item.time_s[-1]), *(s["end_s"] for spans in item.spans.values() for s in spans))
    left, top, graph = 30, 16, 70
    scale = (width - left) / end

    def x(seconds: float) -> float:
        return float(left + seconds * scale)

    parts = []
    for number, (name, line) in enumerate(item.lines.items()):
        colour = LINE_COLOURS[number % len(LINE_COLOURS)]
        keep = range(0, len(line), max(1, len(line) // 600))
        points = " ".join(f"{x(item.time_s[i]):.1f},{top + graph * (1 - line[i]):.1f}" for i in keep)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"/>')
        parts.append(
            f'<text x="{left + 110 * number}" y="10" fill="{colour}" style="fill:{colour}">{escape(name)}</text>'
        )
    y = top + graph + 6
    for level, spans in item.spans.items():
        parts.append(f'<text x="0" y="{y + 13}">{level}</text>')
        for span in spans:
            parts.append(_bar(span, x(span["start_s"]), x(span["end_s"]), y))
        if level == "L1":
            parts += [
                f'<line x1="{x(s["start_s"]):.1f}" x2="{x(s["start_s"]):.1f}" y1="{top}" y2="{y}" class="cut"/>'
                for s in spans[1:]
            ]
        y += 22
    ticks = [t for t in range(0, int(end) + 1, max(1, round(end / 10)))]
    parts += [f'<text x="{x(t):.1f}" y="{y + 10}" text-anchor="middle">{t} s</text>' for t in ticks]
    label = f"timeline of {escape(item.episode_id)}"
    return f'<svg viewBox="0 0 {width} {y + 14}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _bar(span: Mapping[str, Any], start: float, end: float, y: float) -> str:
    colour = COLOURS.get(span["primitive"], "#7f7f7f")
    width = max(1.0, end - start - 1)
    label = (
        f'<text x="{start + 4:.1f}" y="{y + 13}" class="onbar">{span["primitive"]}</text>'
        if width > 9 * len(span["primitive"]) * 0.75
        else ""
    )
    tip = escape(
        f"{span['start_s']:.2f} to {span['end_s']:.2f} s, confidence {span['confidence']:.2f}: {span['caption']}"
    )
    opacity = 0.35 if span["static"] else 0.9
    return (
        f'<g><title>{tip}</title><rect x="{start:.1f}" y="{y}" width="{width:.1f}" height="18" rx="2" fill="{colour}" '
        f'opacity="{opacity}"/>{label}</g>'
    )


def shares(rows: Sequence[tuple[str, float]]) -> list[dict[str, Any]]:
    """Rows for horizontal bars: name, value, share of the largest in percent, colour."""
    top = max((value for _, value in rows), default=1.0) or 1.0
    return [
        {"name": n, "value": v, "percent": 100 * v / top, "colour": COLOURS.get(n, "var(--accent)")} for n, v in rows
    ]
