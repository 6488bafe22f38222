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
    """(what is shown and its range, float64[N]): the opening of a hand, the speed of an arm."""
    values = signal.values
    if values.shape[1] == 1:
        return _words("value", values[:, 0], "" if signal.unit == "1" else signal.unit), values[:, 0]
    if len(signal.time_s) < 2:
        return "a single row", np.zeros(len(signal.time_s))
    given = signal.kind == "velocity"
    speed = np.linalg.norm(values if given else np.gradient(values, signal.time_s, axis=0), axis=1)
    return _words("speed", speed, signal.unit if given else f"{signal.unit}/s"), speed


def _words(what: str, values: Float, unit: str) -> str:
    return f"{what}, {values.min():.3g} to {values.max():.3g} {unit}".rstrip() if len(values) else "empty"


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
    label = f"from {low:.3g} to {high:.3g}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.2" '
        f'vector-effect="non-scaling-stroke"/></svg>'
    )
