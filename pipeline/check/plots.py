"""Signals small enough for a line of a terminal, and as SVG for a page.

In: float64[N]. Out: text of `width` blocks, or an SVG figure.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from stages.episode import Signal

Float = npt.NDArray[np.float64]
BLOCKS = "▁▂▃▄▅▆▇█"
WIDTH, HEIGHT = 640, 60  # px of a figure


def course(signal: Signal) -> tuple[str, Float]:
    """(what is shown, float64[N]): the opening of a hand, the speed of an arm."""
    if signal.values.shape[1] == 1:
        return "value", signal.values[:, 0]
    if len(signal.time_s) < 2:
        return "speed", np.zeros(len(signal.time_s))
    moved = signal.values if signal.kind == "velocity" else np.gradient(signal.values, signal.time_s, axis=0)
    return "speed", np.linalg.norm(moved, axis=1)


def spark(values: Float, width: int = 60) -> str:
    """One block a stretch of equal length: its mean, from the smallest to the largest."""
    if not len(values):
        return ""
    means = np.array([part.mean() for part in np.array_split(values, min(width, len(values)))])
    low, high = float(means.min()), float(means.max())
    level = np.zeros(len(means)) if high <= low else (means - low) / (high - low)
    return "".join(BLOCKS[round(float(x) * (len(BLOCKS) - 1))] for x in level)


def figure(times: Float, values: Float, span: tuple[float, float]) -> str:
    """SVG of a course over [span) seconds."""
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    step = max(1, len(values) // WIDTH)
    x = (times[::step] - span[0]) / max(span[1] - span[0], 1e-9) * WIDTH
    y = HEIGHT - (values[::step] - low) / max(high - low, 1e-9) * (HEIGHT - 4) - 2
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="from {low:.3g} to {high:.3g}">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.2"/></svg>'
    )
