"""`corpus find TEXT`: events nearest in meaning to a text."""

from __future__ import annotations

import click

from pipeline.cli.errors import mendable
from pipeline.corpus.view import Corpus
from schemas.ids import LEVELS
from stages import storage
from stages.text import printable

BY = ("all", "words", "caption", "label", "picture")


@click.command()
@click.argument("text")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--limit", type=click.IntRange(1, 1000), default=12, show_default=True, help="Events to show.")
@click.option("--level", type=click.Choice(LEVELS), help="Of the events; that of the shards if not given.")
@click.option(
    "--by", type=click.Choice(BY), default="all", show_default=True,
    help="Words alone, or the meaning of captions, labels or pictures alone.",
)  # fmt: skip
@click.option(
    "--where", metavar="SQL", help="Only events of which it is true, such as \"source = 'a' AND seconds < 2\"."
)
@click.option("--encoder", metavar="FOLDER", help="Where the model of embed.encoder lies on this machine.")
@click.option("--html", metavar="FILE", help="Write a page as well, with stills of each camera.")
@mendable
def find(
    text: str, root: str, limit: int, level: str | None, by: str, where: str | None, encoder: str | None,
    html: str | None,
) -> None:  # fmt: skip
    """Find the events nearest in meaning to TEXT ("missed grasp of a cup"), in any language that the corpus's text
    encoder reads."""
    from pipeline.find import find as search
    from pipeline.find.page import WORDS, render, scores_of

    corpus = Corpus(root)
    found = search(corpus, text, limit=limit, level=level, by=by, where=where, encoder=encoder)
    click.echo(f"{found.searched} events of {found.level}, by {'; '.join(WORDS[w] for w in found.ways) or 'nothing'}")
    for note in found.notes:
        click.echo(f"({printable(note)})")
    if found.missing:
        click.echo(printable(f"nothing says: {', '.join(found.missing)}"))
    if not found.hits:
        click.echo("nothing found")
    for hit in found.hits:
        what = f"{hit.primitive} ({hit.recovery})" if hit.recovery else hit.primitive
        span = f"{hit.start_s:.2f} to {hit.end_s:.2f} s"
        clock = f", source clock {hit.from_s:.2f} s" if hit.from_s != hit.start_s else ""
        click.echo(
            printable(
                f"{hit.rank:>3}  {hit.score:.3f}  {hit.event_id}  {span}{clock}  {what}\n"
                f"     {hit.caption or 'no caption'}{f' [{hit.object}]' if hit.object else ''}\n"
                f"     {scores_of(hit)}"
            )
        )
    if found.hits:
        click.echo(f"look at one: corpus explain {found.hits[0].episode_id} --corpus {root}")
    if html:
        storage.write_bytes(storage.normalise(html), render(corpus, found).encode())
        click.echo(f"page: {html}")
