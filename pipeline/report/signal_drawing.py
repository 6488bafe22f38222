"""The proof of a refusal as SVG: signals around the bad row, that row marked, values that are no numbers marked where
they are.

In: a `Proof` with lines. Out: SVG, one small graph a line over a common axis of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from pipeline.report.drawing import figure, rect, text
from pipeline.report.refusals import Line, Proof

WIDTH, LEFT, RIGHT = 460, 62, 14
GRAPH, GAP, TOP = 46, 20, 16  # px: a graph's height, between two of them (its name is there), above the first
CHARACTERS = 58  # of a name


def signals(proof: Proof) -> str:
    """Lines of one proof, above each other."""
    first = min(line.first_row for line in proof.lines)
    last = max(line.first_row + len(line.values) for line in proof.lines) - 1
    step = (WIDTH - LEFT - RIGHT) / max(1, last - first)

    def x(row: float) -> float:
        return LEFT + (row - first) * step

    bottom = TOP + len(proof.lines) * (GRAPH + GAP) - GAP
    parts = [rect(x(proof.row) - 1.5, TOP - 2, 3, bottom - TOP + 6, 'fill="var(--bad)" opacity="0.35"')]
    for number, line in enumerate(proof.lines):
        parts += _graph(line, TOP + number * (GRAPH + GAP), x)
    parts.append(_row_labels(first, last, proof.row, x(proof.row), bottom + 16))
    label = f"{', '.join(line.name for line in proof.lines)} around row {proof.row}"
    return figure(WIDTH, bottom + 20, label, "".join(parts))


def _graph(line: Line, top: float, x: Callable[[float], float]) -> Iterator[str]:
    finite = [v for v in line.values if math.isfinite(v)]
    odd = len(line.values) - len(finite)
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    spread = high - low

    def y(value: float) -> float:
        return top + GRAPH * ((high - value) / spread if spread else 0.5)

    name = line.name if len(line.name) <= CHARACTERS else line.name[: CHARACTERS - 1] + "…"
    if odd:
        name += f": {odd} here {'are' if odd > 1 else 'is'} NaN or infinite"
    yield text(LEFT, top - 5, name, style='class="name"')
    yield rect(LEFT, top, WIDTH - LEFT - RIGHT, GRAPH, 'fill="none" stroke="var(--line)"')
    for value in [high, low] if spread else [high] if finite else []:
        yield text(LEFT - 6, y(value) + 4, f"{value:.4g}", "end")
    for run in _runs(line):
        points = " ".join(f"{x(row):.1f},{y(value):.1f}" for row, value in run)
        if len(run) == 1:
            yield f'<circle cx="{x(run[0][0]):.1f}" cy="{y(run[0][1]):.1f}" r="1.6" fill="var(--accent)"/>'
        else:
            yield f'<polyline points="{points}" fill="none" stroke="var(--accent)" stroke-width="1.5"/>'
    for row, value in enumerate(line.values, line.first_row):
        if not math.isfinite(value):
            yield _mark(value, x(row), top)


def _runs(line: Line) -> Iterator[list[tuple[int, float]]]:
    """Stretches of finite values with their rows."""
    run: list[tuple[int, float]] = []
    for row, value in enumerate(line.values, line.first_row):
        if math.isfinite(value):
            run.append((row, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _mark(value: float, x: float, top: float) -> str:
    """NaN is a cross in the middle, infinity an arrow head at the edge that it leaves by."""
    if math.isnan(value):
        middle = top + GRAPH / 2
        path = f"M{x - 3:.1f} {middle - 3:.1f}l6 6m0 -6l-6 6"
        return f'<path d="{path}" class="nan"><title>NaN</title></path>'
    edge, tip = (top + 8, top + 1) if value > 0 else (top + GRAPH - 8, top + GRAPH - 1)
    path = f"M{x - 4:.1f} {edge:.1f}L{x:.1f} {tip:.1f}L{x + 4:.1f} {edge:.1f}Z"
    return f'<path d="{path}" class="inf"><title>{"" if value > 0 else "-"}infinity</title></path>'


def _row_labels(first: int, last: int, row: int, at: float, y: float) -> str:
    """The bad row, and the ends of the axis where they do not run into it."""
    said = f"row {row}"
    room = 7 * len(said)
    anchor = "start" if at < LEFT + room else "end" if at > WIDTH - RIGHT - room else "middle"
    parts = [text(at, y, said, anchor, 'style="fill:var(--bad);font-weight:600"')]
    if at > LEFT + 1.6 * room:
        parts.append(text(LEFT, y, str(first), "middle"))
    if at < WIDTH - RIGHT - 1.6 * room:
        parts.append(text(WIDTH - RIGHT, y, str(last), "end"))
    return "".join(parts)
