"""What `corpus check` saw, as one HTML page: verdicts, signals, first cuts, pictures.

In: verdicts and what was seen. Out: text; everything it shows is inside it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files

import jinja2
import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.check.inspection import Inspection
from pipeline.check.plots import course, figure
from pipeline.check.verdict import Verdict
from stages.ingest.inference.arms import Finding


def render(found: Sequence[tuple[Verdict, Inspection | None, Sequence[Finding]]]) -> str:
    """One section a source."""
    template = (files("pipeline.check") / "templates" / "check.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    sources = [
        {
            "verdict": verdict,
            "findings": [str(f) for f in findings],
            "seen": seen,
            "plots": _plots(seen) if seen else [],
            "cuts": _cuts(seen) if seen else [],
            "strips": [(n, [_jpeg(p) for p in pictures]) for n, pictures in seen.pictures.items()] if seen else [],
        }
        for verdict, seen, findings in found
    ]
    return environment.from_string(template).render(version=version("event-corpus"), sources=sources)


def _plots(seen: Inspection) -> list[tuple[str, str, str]]:
    """(stream, what is shown, SVG)."""
    if seen.episode is None:
        return []
    span = seen.episode["t0"], seen.episode["t1"]
    found = []
    for name, signal in seen.signals.items():
        if signal.kind in ("state", "action", "extra", "orientation"):
            continue
        text, values = course(signal)
        found.append((name, text, figure(signal.time_s, values, span)))
    return found


def _cuts(seen: Inspection) -> list[tuple[str, float, float]]:
    """(primitive, start in percent, length in percent) of the first episode's L1 events."""
    end = max((e["end_s"] for e in seen.events), default=0.0)
    return [(e["primitive"], 100 * e["start_s"] / end, 100 * (e["end_s"] - e["start_s"]) / end) for e in seen.events]


def _jpeg(picture: npt.NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
