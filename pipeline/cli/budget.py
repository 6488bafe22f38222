"""`corpus budget`: several corpora agree on how many samples each draws of every cluster."""

from __future__ import annotations

import io
import os

import click

from pipeline.cli.errors import mendable
from stages import storage


@click.command()
@click.argument("corpora", nargs=-1, required=True, metavar="DIR...")
@click.option("--samples", required=True, type=click.IntRange(1), help="Train samples of all corpora together.")
@click.option("--out", default="budgets", metavar="DIR", help="Folder for a budget a corpus.", show_default=True)
@click.option("--config", "file", metavar="F", help="YAML file with shard.alpha, max_repeats, recovery_share.")
@click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="One value, such as shard.alpha=0. Repeats.")
@mendable
def budget(corpora: tuple[str, ...], samples: int, out: str, file: str | None, values: tuple[str, ...]) -> None:
    """Agree on one balance over corpora that share centroids, from their releases' cells.parquet alone."""
    from pipeline import config
    from pipeline.release.budget import NotComparable, budgets, told
    from stages.balance.figures import gini
    from stages.shard import SHARD

    asked = config.load(file, values).of(SHARD)
    try:
        found, agreed = budgets([told(root) for root in corpora], samples, asked)
    except (NotComparable, ValueError) as error:
        raise click.ClickException(str(error)) from error
    for number, (root, own) in enumerate(zip(corpora, found, strict=True)):
        name = os.path.basename(os.path.normpath(root)) or "corpus"
        uri = storage.join(storage.normalise(out), f"{number}-{name}.parquet")
        sink = io.BytesIO()
        own.write_parquet(sink)
        storage.write_bytes(uri, sink.getvalue())
        click.echo(f"{root}: {own['copies'].sum()} samples of {(own['copies'] > 0).sum()} cells")
        click.echo(f"    corpus build ... --corpus {root} --set shard.budget={uri}")
    for space, margin in (("vl", agreed.union.vl), ("action", agreed.union.action)):
        there = margin.recorded > 0
        before, after = gini(margin.recorded[there]), gini(margin.drawn[there])
        click.echo(f"{space}: Gini {before:.2f} as recorded in all, {after:.2f} as agreed")
    for note in agreed.union.notes:
        click.echo(note)
