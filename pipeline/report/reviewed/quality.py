"""What people have judged, for the report: decisions of the corpus, laid over its events.

In: a corpus. Out: `Judged`; figures are worked out by `stages.review.figures`, as for the review page. Events are read
for the episodes that somebody has decided about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from pipeline.corpus import decisions
from pipeline.corpus.view import Corpus
from pipeline.report.drawing import figure, rect, text
from pipeline.report.refusals import clipped
from schemas.review.decisions import DecisionRow
from stages.review.figures import Figures, Known, figures, shift_bins
from stages.review.fold import Place, place_of
from stages.review.spans import Span, built, ms

PEOPLE = 12  # rows of the table, those who decided most
TEXT = 300


@dataclass(frozen=True, slots=True)
class Judged:
    """decisions: how many there are; until: when the last of them was made, UTC; damage: why none can be read."""

    decisions: int = 0
    until: str = ""
    figures: Figures | None = None
    damage: str = ""


def load(corpus: Corpus) -> Judged:
    """Nothing where nobody has decided anything yet."""
    try:
        rows = decisions.read(corpus.root)
    except decisions.DamagedDecisions as error:
        return Judged(damage=clipped(str(error), TEXT))
    if not rows:
        return Judged()
    known = _known(corpus, rows)
    until = f"{datetime.fromtimestamp(rows[-1]['time_ms'] / 1000, UTC):%Y-%m-%d %H:%M} UTC"
    return Judged(len(rows), until, figures(rows, lambda place: known.get(place, ())))


def _known(corpus: Corpus, rows: Sequence[DecisionRow]) -> Mapping[Place, Known]:
    """The machine's spans of each level and track that somebody has decided about, in order."""
    places = {place_of(row) for row in rows}
    episodes = sorted({episode for episode, *_ in places})
    columns = ["event_id", "episode_id", "level", "track", "origin", "start_s", "end_s", "primitive", "confidence"]
    said = corpus.table("captions", episodes, ["event_id", "text", "source"]).rename({"source": "who"})
    events = corpus.table("events", episodes, [*columns, "label"]).join(said, on="event_id", how="left")
    found: dict[Place, list[tuple[Span, float]]] = {}
    for e in events.sort("start_s").with_columns(said=pl.coalesce("text", "label").fill_null("")).to_dicts():
        place = e["episode_id"], e["level"], e["track"]
        if place in places:
            span = built(ms(e["start_s"]), ms(e["end_s"]), e["primitive"], e["said"], e["origin"], e["who"] or "")
            found.setdefault(place, []).append((span, float(e["confidence"])))
    return found


def shifts(found: Figures, width: int = 440, height: int = 120) -> str:
    """How far edges were moved, as a histogram of uneven bins whose edges are written below it."""
    bins = shift_bins(found.shifts_s)
    step, most = width / len(bins), max(1, *(number for *_, number in bins))
    parts = []
    for n, (_, high, number) in enumerate(bins):
        size = (height - 36) * number / most
        parts.append(rect(n * step, height - 20 - size, step - 2, size, 'fill="var(--accent)"'))
        parts.append(text((n + 0.5) * step, height - 24 - size, str(number), "middle"))
        if high is not None:
            parts.append(text((n + 1) * step, height - 6, f"{high:+g} s" if high else "0", "middle"))
    return figure(width, height, "how far edges were moved", "".join(parts))


def reliability(found: Figures, width: int = 440, height: int = 160) -> str:
    """Share accepted as they were over confidence, a bar a bin; on the dashed line confidence says just that."""
    base, high = height - 20, height - 36
    step = width / len(found.reliability)
    parts = [f'<line x1="0" y1="{base}" x2="{width}" y2="{base - high}" class="cut"/>']
    for n, (low, events, share) in enumerate(found.reliability):
        x = n * step
        if share is not None:
            tip = f"confidence {low:.1f} to {low + 1 / len(found.reliability):.1f}: {share:.0%} of {events}"
            bar = rect(x, base - high * share, step - 3, max(1.0, high * share), 'fill="var(--accent)" opacity="0.75"')
            parts.append(f"<g><title>{tip}</title>{bar}</g>")
            parts.append(text(x + step / 2, base - max(1.0, high * share) - 4, str(events), "middle"))
        parts.append(text(x, height - 4, f"{low:.1f}"))
    return figure(width, height, "share accepted as they were, by confidence", "".join(parts))
