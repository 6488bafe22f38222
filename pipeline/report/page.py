"""The page itself: facts and drawings into the template, written as `report.html` in the corpus."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from importlib.metadata import version
from importlib.resources import files

import jinja2
import numpy as np

from pipeline.check import after
from pipeline.check.verdict import LEVELS
from pipeline.corpus.view import Corpus
from pipeline.report import captions, cluster_map, cutting, drawing, episodes, evenness, facts
from pipeline.report.clips import cutting as clips
from pipeline.report.refusals import refusals
from pipeline.report.reviewed import links, quality
from pipeline.report.sheets import sheets
from pipeline.report.signal_drawing import signals
from pipeline.report.timeline_drawing import timeline
from schemas.events import PRIMITIVES
from stages import storage

NAME = "report.html"
VERDICTS = 40  # sources whose verdict is shown, the worst first


class DrawnLevel(facts.LevelRow):
    """A level with its drawings; median: of its lengths, s."""

    median: float
    histogram: str
    bars: list[drawing.Share]


def write(corpus: Corpus) -> str:
    """Write the report and return its URI."""
    uri = corpus.ledger.path(NAME)
    storage.write_bytes(uri, render(corpus).encode())
    return uri


def render(corpus: Corpus) -> str:
    """The page as text, everything it shows inside it."""
    status, quarantine = corpus.by_stage(), corpus.quarantine()
    total = facts.overview(corpus, status, quarantine)
    sources, more = facts.sources(corpus, quarantine)
    aside = refusals(corpus, quarantine)
    verdicts = sorted(after.read(corpus), key=lambda v: LEVELS.index(v.level))
    balance, clusters = evenness.load(corpus), cluster_map.load(corpus)
    names = (
        {} if clusters is None else {(s, c): n for s, c, n in clusters.select("space", "cluster", "name").iter_rows()}
    )
    shown = episodes.timelines(corpus)
    events = cutting.load(corpus)
    by_source, sources_more = cutting.cuts(events)
    unsure = [
        (episodes.timeline_of(corpus, e, cameras=1), share)
        for e, share in cutting.least_confident(events, {item.episode_id for item in shown})
    ]
    used, fates = facts.fates(corpus)
    judged = quality.load(corpus)
    return template("page.html.j2").render(
        version=version("event-corpus"),
        total={**total, "duration": duration(total["hours"])},
        verdicts=verdicts[:VERDICTS],
        verdicts_more=max(0, len(verdicts) - VERDICTS),
        sources=[{**row, "duration": duration(row["hours"])} for row in sources],
        sources_more=more | {"duration": duration(more["hours"])},
        refusals=[(r, signals(r.proof) if r.proof and r.proof.lines else "") for r in aside],
        reason_bars=drawing.shares([(r.reason, r.count) for r in aside]),
        levels=[_level(row) for row in facts.levels(events)],
        cuts=_cuts(by_source),
        cuts_more=sources_more,
        unsure=[(item, share, timeline(item)) for item, share in unsure],
        timelines=[(item, timeline(item)) for item in shown],
        captioned=episodes.CAPTIONED,
        primitives=legend([*shown, *(item for item, _ in unsure)]),
        fates=fates,
        fates_used=used,
        balance=balance,
        charts={(lv, space): drawing.clusters(balance[lv][space]) for lv in balance for space in evenness.SPACES},
        sheets=sheets(corpus, names),
        maps={} if clusters is None else cluster_map.maps(corpus, clusters),
        cross="" if clusters is None else cluster_map.cross(corpus, clusters),
        captions=captions.levels(corpus),
        cards=captions.cards(corpus),
        stages=facts.stages(status),
        clips=clips.load(corpus),
        judged=judged,
        judged_shifts=quality.shifts(judged.figures) if judged.figures else "",
        judged_reliability=quality.reliability(judged.figures) if judged.figures else "",
        people=quality.PEOPLE,
        command=f"corpus review --corpus {shlex.quote(corpus.root)}",
    )


def duration(hours: float) -> str:
    """`7.9 min` below an hour, `12.3 h` from there on."""
    return f"{hours * 60:.1f} min" if hours < 1 else f"{hours:,.1f} h"


def _level(row: facts.LevelRow) -> DrawnLevel:
    median = float(np.median(row["seconds"])) if len(row["seconds"]) else 0.0
    charts = drawing.histogram(row["seconds"]), drawing.shares(row["primitives"])
    return {**row, "median": median, "histogram": charts[0], "bars": charts[1]}


def _cuts(rows: Sequence[cutting.Cut]) -> list[tuple[cutting.Cut, float, str, str]]:
    """(row, median length in s, its histogram on the level's own scale, its primitives as a bar)."""
    tops = {
        level: max(0.5, float(np.percentile(np.concatenate(own), 95)) if sum(map(len, own)) else 0.5)
        for level in cutting.LEVELS
        for own in [[r.seconds for r in rows if r.level == level] or [np.zeros(0)]]
    }
    return [
        (
            row,
            float(np.median(row.seconds)) if len(row.seconds) else 0.0,
            drawing.lengths(row.seconds, tops[row.level]),
            drawing.stack(row.primitives) if row.events else "",
        )
        for row in rows
    ]


def legend(shown: Sequence[episodes.Timeline]) -> list[tuple[str, str]]:
    """Primitives that occur in the timelines with their colour, in the order of the vocabulary; those of one colour
    together."""
    found = {s["primitive"] for item in shown for spans in (*item.spans.values(), *item.arms.values()) for s in spans}
    names: dict[str, list[str]] = {}
    for primitive in (p for p in PRIMITIVES if p in found):
        names.setdefault(drawing.COLOURS[primitive], []).append(primitive)
    return [(", ".join(some), colour) for colour, some in names.items()]


def template(name: str) -> jinja2.Template:
    """A page of the report package."""
    folder = files("pipeline.report") / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (folder / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["links"] = links
    return environment.get_template(name)
