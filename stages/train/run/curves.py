"""Curves of a run as SVG: lines of `metrics.jsonl` in, (title, drawing) out, small and without a library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

Series = list[tuple[float, float]]
WIDTH, HEIGHT, LEFT, BOTTOM = 420, 210, 46, 24
MOST = 300  # points of a line; more are averaged
COLOURS = ("var(--one)", "var(--two)")


def drawn(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The loss of each stage, errors on the val split beside their baselines, speed."""
    found = []
    for stage in dict.fromkeys(line["stage"] for line in lines):
        own = [line for line in lines if line["stage"] == stage]
        found.append((f"loss, stage {stage}", chart({"loss": _series(own, "loss")})))
        for what in ("video", "action"):
            error, baseline = _series(own, f"val/{what}"), _series(own, f"val/{what}_baseline")
            if len(error) > 1:
                found.append((f"{what} error on val, stage {stage}", chart({"model": error, "baseline": baseline})))
    found.append(("samples a second", chart({"samples/s": _series(lines, "samples_per_s")}, log=False)))
    return found


def _series(lines: Sequence[Mapping[str, Any]], name: str) -> Series:
    return [(float(line["step"]), float(line[name])) for line in lines if name in line]


def chart(series: Mapping[str, Series], log: bool = True) -> str:
    """log: the vertical axis, where all values are above 0."""
    points = [p for own in series.values() for p in own]
    if not points:
        return "<svg></svg>"
    low, high = min(y for _, y in points), max(y for _, y in points)
    log = log and low > 0 and high / low > 3
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    low, high = (math.log10(low), math.log10(high)) if log else (min(0.0, low), high)
    margin = (high - low or 1.0) * 0.04
    low, high = low - (margin if log else 0), high + margin

    top = 24 if len(series) > 1 else 8

    def x_of(x: float) -> float:
        return LEFT + (WIDTH - LEFT - 8) * (x - first) / (last - first or 1)

    def y_of(y: float) -> float:
        y = math.log10(y) if log else y
        return top + (HEIGHT - top - BOTTOM) * (high - y) / (high - low)

    parts = []
    for tick in ticks(low, high, log):
        y = y_of(tick)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for x, anchor in ((first, "start"), (last, "end")):
        parts.append(f'<text x="{x_of(x):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">step {x:,.0f}</text>')
    for number, (name, own) in enumerate(series.items()):
        line = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in thinned(own))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[number % 2]}" stroke-width="1.6"/>')
        if len(series) > 1:
            colour, at = COLOURS[number % 2], LEFT + 8 + 90 * number
            parts.append(f'<rect x="{at}" y="2" width="10" height="10" fill="{colour}"/>')
            parts.append(f'<text x="{at + 14}" y="11">{escape(name)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(parts)}</svg>'


def ticks(low: float, high: float, log: bool) -> list[float]:
    """Round values between the ends (of a logarithmic axis, their powers of ten), three to seven of them."""
    if log:
        wide = high - low
        steps = (1.0,) if wide > 3 else (1.0, 3.0) if wide > 1.2 else (1.0, 2.0, 5.0)
        found = [round(s * 10.0**e, 12) for e in range(math.floor(low), math.ceil(high) + 1) for s in steps]
        return [t for t in found if low <= math.log10(t) <= high]
    raw = (high - low) / 4 or 1.0
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(unit * s for s in (1, 2, 5, 10) if unit * s >= raw)
    first = math.ceil(low / step)
    return [round(n * step, 10) for n in range(first, math.floor(high / step) + 1)]


def thinned(points: Series) -> Series:
    """At most MOST points, each the mean of as many neighbours."""
    each = -(-len(points) // MOST)
    parts = [points[n : n + each] for n in range(0, len(points), each)]
    return [(sum(x for x, _ in p) / len(p), sum(y for _, y in p) / len(p)) for p in parts]
