"""Whether an event's confidence means what it says: how often events so sure are right, beside what they say.

An event is right where both of its boundaries lie within 0.5 s of a true one (or are the episode's ends) and its
primitive agrees with the true phase that it overlaps most. In: L1 events and true phases. Out: Markdown, a drawing.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

TOLERANCE_S = 0.5
AGREES: Mapping[str, frozenset[str]] = {  # a true phase: primitives that say the same
    "missed_grasp": frozenset({"grasp", "close"}), "reopen": frozenset({"release", "open"}),
    "hold": frozenset({"hold", "idle"}), "idle": frozenset({"idle", "hold", "unknown"}),
    "place": frozenset({"place", "lower", "move"}), "insert": frozenset({"move", "place", "push", "lower"}),
    "push": frozenset({"push", "press", "move"}), "pull": frozenset({"pull", "move"}),
    "reach": frozenset({"reach", "align"}), "lower": frozenset({"lower", "place"}),
}  # fmt: skip
BINS = np.array([0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.01])

FEWEST = 3  # events that make a dot
Said = tuple[float, bool]  # confidence, whether the event is right


def judged(
    events: Iterable[Mapping[str, Any]], phases: Sequence[tuple[int, int, str]], times: np.ndarray, end: float
) -> list[Said]:
    """Of an episode's L1 events; phases: half-open frame ranges; times: of its frames, s."""
    edges = np.append(times, end)
    true = np.unique([edges[min(frame, len(times))] for a, b, _ in phases for frame in (a, b)] + [edges[0], end])
    found = []
    for event in events:
        near = all(np.abs(true - event[k]).min() <= TOLERANCE_S + 1e-9 for k in ("start_s", "end_s"))
        shared: dict[str, int] = {}
        for a, b, phase in phases:
            shared[phase] = shared.get(phase, 0) + max(0, min(b, event["end_frame"]) - max(a, event["start_frame"]))
        phase = max(shared, key=lambda name: shared[name])
        found.append((event["confidence"], near and event["primitive"] in AGREES.get(phase, {phase})))
    return found


def table(said: Mapping[str, Sequence[Said]]) -> list[str]:
    """Markdown: confidence, number and share that is right of each set, and the expected calibration error."""
    lines = ["| confidence | " + " | ".join(f"{name}: events | say | are right" for name in said) + " |"]
    lines.append("| --- " * (1 + 3 * len(said)) + "|")
    for low, high in pairwise(BINS):
        cells = []
        for own in said.values():
            some = [(c, r) for c, r in own if low <= c < high]
            sure, right = (f"{x:.2f}" for x in np.mean(some, axis=0)) if some else ("", "")
            cells += [str(len(some)), sure, right]
        lines.append(f"| {low:.1f} to {min(high, 1.0):.1f} | {' | '.join(cells)} |")
    errors = ", ".join(f"{name} {error(own):.3f}" for name, own in said.items())
    return [*lines, "", f"Expected calibration error: {errors}."]


def error(said: Sequence[Said]) -> float:
    """Mean distance of what is said from what is, over bins by their size."""
    which = np.digitize([c for c, _ in said], BINS)
    right = np.array([r for _, r in said], dtype=float)
    sure = np.array([c for c, _ in said])
    parts = [(which == k) for k in np.unique(which)]
    return float(sum(p.mean() * abs(sure[p].mean() - right[p].mean()) for p in parts))


def drawing(said: Mapping[str, Sequence[Said]]) -> bytes:
    """SVG: each set a line of dots, as large as their bins, beside the line on which sure is right."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "reliability"  # the same bytes each time
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#bbb", linestyle="--")
    for name, own in said.items():
        bins = [[(c, r) for c, r in own if low <= c < high] for low, high in pairwise(BINS)]
        means = [(*np.mean(some, axis=0), len(some)) for some in bins if len(some) >= FEWEST]
        x, y, number = zip(*means, strict=True)
        (line,) = axis.plot(x, y, label=name)
        axis.scatter(x, y, s=[4 * n for n in number], color=line.get_color(), alpha=0.5)
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share of L1 events that is right")
    axis.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()
