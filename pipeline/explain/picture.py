"""The picture of an explanation: speed, gripper, candidates, spans of all levels and tracks, thumbnails over one axis.

In: an `Explanation`. Out: PNG bytes. Drawn with matplotlib, for slides and issue threads; the page says more.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from pipeline.explain.gather import Explanation
from pipeline.report.drawing import COLOURS
from pipeline.report.episodes import Captioned, Timeline
from pipeline.report.timeline_drawing import mark_colour

INCHES = 14.0
ARMS = {"single": "#4e79a7", "left": "#4e79a7", "right": "#d98c2b"}
LETTER = 0.0075  # width of a letter, as a share of the picture's


def picture(found: Explanation) -> bytes:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False  # a $ in the words of a log is a $
    item = found.timeline
    lanes = [*item.spans.items(), *item.arms.items()]
    heights = [1.4, 1.0, 1.0, 0.38 * len(lanes) + 0.1, *(1.3 for _ in item.strips)]
    figure = Figure(figsize=(INCHES, 1.1 + sum(heights) * 0.95), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(heights), 1, sharex=True, gridspec_kw={"height_ratios": heights})
    end = max([float(item.time_s[-1]), *(s["end_s"] for spans in item.spans.values() for s in spans)])
    _lines(axes[0], "speed", item.time_s, item.speed, end)
    _lines(axes[1], "gripper", item.time_s, item.gripper, end)
    for axis in axes[:2]:
        for boundary in found.boundaries:
            if boundary.level != "L0":
                axis.axvline(boundary.time_s, color="#999", linewidth=0.8, linestyle=":")
    _sticks(axes[2], item)
    _spans(axes[3], lanes, end)
    for axis, (strip, times) in zip(axes[4:], item.strips, strict=True):
        _strip(axis, strip.camera, strip.pictures, times, end, heights[-1] * 0.95)
    axes[0].set_xlim(0, end)
    axes[-1].set_xlabel("seconds")
    title = f"{item.episode_id}   {item.robot}" + (f"   “{item.task}”" if item.task else "")
    axes[0].set_title(
        f"{title}\n{len(found.boundaries)} boundaries of {found.candidates} candidates", loc="left", fontsize=11
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def _lines(axis: Any, name: str, time: Any, lines: Mapping[str, Any], end: float) -> None:
    for arm, values in lines.items():
        axis.plot(time, values, color=ARMS.get(arm, "#333"), linewidth=1.2, label=arm)
    axis.set_ylabel(name)
    axis.set_ylim(-0.05, 1.05)
    axis.set_yticks([])
    if len(lines) > 1:
        axis.legend(loc="upper right", fontsize=8, frameon=False)
    if not lines:
        axis.text(end / 2, 0.5, "none is logged", ha="center", va="center", color="#777")


def _sticks(axis: Any, item: Timeline) -> None:
    """Candidates, as high as they are strong; pale ones are no boundaries."""
    for mark in item.marks:
        alpha = 1.0 if mark["level"] else 0.3
        axis.vlines(mark["time_s"], 0, mark["strength"], color=mark_colour(mark["kind"]), linewidth=2, alpha=alpha)
    axis.set_ylabel("evidence")
    axis.set_ylim(0, 1.05)
    axis.set_yticks([])


def _spans(axis: Any, lanes: Sequence[tuple[str, Sequence[Captioned]]], end: float) -> None:
    for row, (_, spans) in enumerate(lanes):
        for span in spans:
            width = span["end_s"] - span["start_s"]
            colour, alpha = COLOURS.get(span["primitive"], COLOURS["unknown"]), 0.3 if span["static"] else 1.0
            axis.barh(-row, width, 0.86, span["start_s"], color=colour, alpha=alpha, edgecolor="white", linewidth=0.8)
            if len(span["primitive"]) * LETTER * end < width:
                ink = "#222" if span["static"] else "white"
                axis.text(
                    span["start_s"] + width / 2,
                    -row,
                    span["primitive"],
                    ha="center",
                    va="center",
                    fontsize=8,
                    color=ink,
                )
    axis.set_ylim(-len(lanes) + 0.45, 0.55)
    axis.set_yticks([-row for row in range(len(lanes))], [name for name, _ in lanes])


def _strip(axis: Any, camera: str, pictures: Sequence[str], times: Sequence[float], end: float, height: float) -> None:
    """Thumbnails, each with its left edge at its time, as wide as there is room."""
    edges = [*times, end]
    for uri, left, right in zip(pictures, edges, edges[1:], strict=False):
        image = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))).convert("RGB"))
        natural = height * image.shape[1] / image.shape[0] / INCHES * end  # s, at the axis's height
        width = min(natural, right - left)
        shown = image[:, : max(1, round(image.shape[1] * width / natural))]
        axis.imshow(shown, extent=(left, left + width, 0, 1), aspect="auto", interpolation="bilinear")
    axis.set_xlim(0, end)
    axis.set_ylim(0, 1)
    axis.set_yticks([])
    axis.set_ylabel(camera)
