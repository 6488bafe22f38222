"""`corpus train`: the reference trainer on a release's shards."""

from __future__ import annotations

import sys

import click

from pipeline.cli.errors import mendable


@click.command()
@click.option("--shards", multiple=True, metavar="URL", help="A release, shards/latest or a corpus; several are one.")
@click.option("--config", metavar="FILE", help="YAML or JSON; without: the defaults.")
@click.option("--out", default="training", show_default=True, metavar="DIR", help="Where the run lies.")
@click.option("--resume", is_flag=True, help="Go on with the run that lies there, if one does.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Over the file's, such as run.seed=1.")
@click.option("--show-config", is_flag=True, help="Print all keys with their defaults, and end.")
@mendable
def train(
    shards: tuple[str, ...],
    config: str | None,
    out: str,
    resume: bool,
    overrides: tuple[str, ...],
    show_config: bool,
) -> None:
    """Train the two towers of the reference model (the same as python -m stages.train)."""
    from stages.train.command import command
    from stages.train.config import described

    if show_config:
        click.echo(described())
        return
    if not shards:
        raise click.UsageError("--shards: where does the release lie?")
    sys.exit(command(shards, config, out, resume, overrides, "corpus train"))
