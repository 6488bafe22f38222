"""`corpus export`: a corpus as a dataset of another project."""

from __future__ import annotations

import click

from pipeline.cli.errors import mendable
from pipeline.corpus.view import Corpus


@click.group()
def export() -> None:
    """Write a corpus as a dataset of another project."""


@export.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--to", "target", required=True, metavar="DIR", help="A folder that is not there yet.")
@click.option(
    "--level", type=click.Choice(("L1", "L2")), help="Whose events become subtasks; shard.level if not given."
)
@click.option("--where", "rule", metavar="SQL", help="Episodes of which this is true, as ingest.where has it.")
@click.option(
    "--language/--no-language",
    default=True,
    show_default=True,
    help="Subtasks also as lerobot 0.6 has them, with which lerobot before 0.6 cannot open the dataset.",
)
@mendable
def lerobot(root: str, target: str, level: str | None, rule: str | None, language: bool) -> None:
    """LeRobot v3.0, a dataset a source: whole episodes, aligned, one subtask an event."""
    from pipeline.export.lerobot import write

    corpus = Corpus(root)
    for made in write(corpus, target, level or corpus.level(), rule, language):
        click.echo(
            f"{target}/{made.folder}: {made.episodes} episodes, {made.frames} frames, {made.cameras} cameras, "
            f"{made.events} events of {made.subtasks} subtasks"
        )
        if made.left_out:
            click.echo(f"    without {', '.join(made.left_out)}: not all of its episodes have it alike")
