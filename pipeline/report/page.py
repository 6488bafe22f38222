"""The page itself: facts and drawings into the template, written as `report.html` in the corpus."""

from __future__ import annotations

from importlib.metadata import version
from importlib.resources import files

import jinja2

from pipeline.corpus import Corpus
from pipeline.report import drawing, facts
from stages import storage

NAME = "report.html"


def write(corpus: Corpus) -> str:
    """Write the report and return its URI."""
    uri = corpus.ledger.path(NAME)
    storage.write_bytes(uri, render(corpus).encode())
    return uri


def render(corpus: Corpus) -> str:
    """The page as text, everything it shows inside it."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((files("pipeline.report") / "page.html.j2").read_text())
    sources = facts.sources(corpus)
    observe, status = corpus.counts("observe"), corpus.status().to_dicts()
    balance = facts.balance(corpus)
    return template.render(
        name=storage.name_of(corpus.root),
        release=corpus.manifest["release"],
        sources=sources,
        lost=corpus.manifest["lost"],
        totals={
            "hours": sum(s["hours"] for s in sources),
            "episodes": len(corpus.wanted("ingest")),
            "samples": int(corpus.counts("shard").get("samples", 0)) if corpus.manifest["release"] else 0,
            "megabytes": corpus.counts("shard").get("bytes", 0) / 1e6 if corpus.manifest["release"] else 0.0,
            "decoded": int(observe.get("decoded_frames", 0)),
            "frames": int(observe.get("source_frames", 0)),
        },
        quarantine=facts.quarantine(corpus),
        levels=[
            {**row, "histogram": drawing.histogram(row["seconds"]), "bars": drawing.shares(row["primitives"])}
            for row in (facts.levels(corpus) if corpus.wanted("segment") else [])
        ],
        timelines=[(item, drawing.timeline(item)) for item in facts.timelines(corpus)],
        balance=balance,
        charts={space: drawing.clusters(balance[space]) for space in ("vl", "action") if space in balance},
        sheets=facts.sheets(corpus),
        stages=drawing.shares([(row["stage"], row["work_s"]) for row in status]),
        version=version("event-corpus"),
    )
