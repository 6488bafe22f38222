"""`corpus plan`: a plan over a subset of a release, or with other clusters, for `EventDataset(plan=)`; `corpus budget`:
several corpora agree on how many samples each draws of every cluster."""

from __future__ import annotations

import io
import os

import click

from pipeline.cli.errors import mendable
from stages import storage


@click.command()
@click.option("--corpus", "root", default="corpus", metavar="DIR", help="The corpus.", show_default=True)
@click.option("--release", metavar="NAME", help="One of its releases; default: the current one.")
@click.option(
    "--where",
    metavar="SQL",
    help="Samples for which this holds: columns of plan.npz, and caption, verb, object, status, said_by.",
)
@click.option(
    "--labels",
    "file",
    metavar="FILE",
    help="Other clusters: Parquet, CSV or JSON lines with event_id, vl_cluster, action_cluster.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1),
    help="Balance anew: cluster shares go with size ** alpha. [default: as drawn; 0.5 with --labels or --samples]",
)
@click.option("--samples", type=click.IntRange(1), help="Samples of a pass in all.")
@click.option("--max-repeats", default=3, type=click.IntRange(1), help="No event more often.", show_default=True)
@click.option("--to", "target", default="plan.npz", metavar="FILE", help="Where to write it.", show_default=True)
@mendable
def plan(
    root: str,
    release: str | None,
    where: str | None,
    file: str | None,
    alpha: float | None,
    samples: int | None,
    max_repeats: int,
    target: str,
) -> None:
    """Write a plan over samples of a release that its tars hold already; nothing else is written."""
    from pipeline.corpus.view import Corpus
    from pipeline.release.subset import NoSubset, held, read_labels, subset
    from schemas.plan import to_bytes

    try:
        corpus = Corpus(storage.normalise(root))
        labels = None if file is None else read_labels(storage.normalise(file))
        found = subset(corpus, release, where, labels, alpha, samples, max_repeats)
        name, _ = held(corpus, release)
    except NoSubset as error:
        raise click.ClickException(str(error)) from error
    storage.write_bytes(storage.normalise(target), to_bytes(found.plan))
    weight = found.plan.numbers["weight"]
    split = found.plan.text("split")
    train = split == "train"
    there, whole = found.taken
    passed = f"{weight[train].sum():.0f} a pass over train, {(~train).sum()} of val"
    click.echo(f"{there} of {whole} samples of release {name}, {passed}")
    for note in found.notes:
        click.echo(note)
    click.echo(f"EventDataset({storage.join(root, 'shards', name)!r}, plan={target!r})")


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
    from pipeline.release.budget import NotComparable, budgets, cells_of
    from stages.balance.figures import gini
    from stages.shard import SHARD

    asked = config.load(file, values).of(SHARD)
    try:
        found, agreed = budgets([cells_of(root) for root in corpora], samples, asked)
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
