"""Commands about captions: `corpus score-captions`, `corpus tune-captioner`, `corpus answers`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pipeline.cli.errors import mendable
from pipeline.corpus.view import Corpus
from stages.text import printable

if TYPE_CHECKING:
    from pipeline import scoring


@click.command("score-captions")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option(
    "--truth",
    "file",
    required=True,
    metavar="FILE",
    help="The recorder's truth.parquet, or CSV of events marked by eye.",
)
@click.option("--level", "levels", multiple=True, default=("L1", "L0"), show_default=True, metavar="LEVEL")
@click.option("--beside", "others", multiple=True, metavar="DIR", help="Another corpus of the same logs; repeats.")
@click.option("--worst", "number", default=5, show_default=True, help="Worst captions to print.")
@mendable
def score_captions(root: str, file: str, levels: tuple[str, ...], others: tuple[str, ...], number: int) -> None:
    """Hold captions against true events: verb, object, colour, destination, arm."""
    from pipeline import scoring

    corpus = Corpus(root)
    captions, events = corpus.table("captions"), corpus.table("events")
    true = scoring.truth(file, corpus)
    for level in levels:
        found = scoring.pairs(captions, events, true, level)
        unnamed = [p for p in found if not p.true.named]
        scored = {"captions": scoring.judged(found), "shuffled": scoring.judged(scoring.shuffled(found))}
        if unnamed:
            scored["text names no object"] = scoring.judged(unnamed)
        for other in others:
            theirs = _pairs(other, file, level)
            scored[other] = scoring.judged(theirs)
            if unnamed:
                scored[f"{other}, text names no object"] = scoring.judged([p for p in theirs if not p.true.named])
        click.echo(f"{level}: {len(found)} events whose span agrees with a true one; 95 % intervals")
        for line in scoring.table(scored):
            click.echo(line)
        own = captions.filter(level=level)
        asked = own.filter(source="vlm")
        click.echo(f"distinct sentences per 100 events: {scoring.distinct(own):.0f}")
        click.echo(
            f"contradictions with signals before checks: {int((asked['contradictions'] > 0).sum())} of {asked.height}"
        )
        for pair in scoring.worst(found, number):
            click.echo(printable(f"  {pair.caption['event_id']}: {pair.caption['text']}"))
            click.echo(f"    true: {pair.true.verb} {pair.true.colour} {pair.true.noun}")
        click.echo()


def _pairs(root: str, file: str, level: str) -> list[scoring.Pair]:
    from pipeline import scoring

    corpus = Corpus(root)
    return scoring.pairs(corpus.table("captions"), corpus.table("events"), scoring.truth(file, corpus), level)
