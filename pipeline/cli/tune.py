"""`corpus tune-segment`: learn from people's spans where to cut."""

from __future__ import annotations

import click

from pipeline.cli.errors import mendable
from pipeline.corpus.view import Corpus
from pipeline.labels import LabelError
from stages import storage
from stages.text import printable


@click.command("tune-segment")
@click.option("--corpus", "root", required=True, metavar="DIR", help="Built to align at least.")
@click.option(
    "--truth",
    "files",
    required=True,
    multiple=True,
    metavar="FILE",
    help="Spans of people, as segment.labels takes them; repeats.",
)
@click.option("--level", type=click.Choice(["L2", "L1", "L0"]), help="Of the spans, where they are of several.")
@click.option("--to", "target", default="segment-model.yaml", show_default=True, metavar="F.yaml")
@mendable
def tune_segment(root: str, files: tuple[str, ...], level: str | None, target: str) -> None:
    """Learn from ten or so labelled episodes where people put boundaries."""
    from pipeline import tuning
    from stages.segment.tuning import tune

    try:
        own, episodes = tuning.episodes(Corpus(root), files, level)
    except LabelError as error:
        raise LabelError(str(error).replace("segment.labels=", "--truth ")) from error
    number = sum(len(e.true) for e in episodes)
    click.echo(f"{number} boundaries of {own} in {len(episodes)} episodes")
    model = tune(episodes, own, episodes[0].config)
    storage.write_bytes(storage.normalise(target), tuning.written(model).encode())
    for line in tuning.told(model):
        click.echo(printable(line))
    ends = "changes nothing" if model.kind == "nothing" else "is used by --set segment.model=" + target
    click.echo(f"{target} {ends}")
