"""`corpus build` and `corpus config`: make a corpus, and what it can be told."""

from __future__ import annotations

import sys
import time

import click

from pipeline import config as configs
from pipeline.cli.errors import mendable
from pipeline.corpus.view import Corpus
from pipeline.stages import STAGES, shown
from stages import storage
from stages.text import printable


@click.command()
@click.option(
    "--source",
    "sources",
    multiple=True,
    required=True,
    metavar="URI",
    help="Dataset or folder of datasets; name=URI names it. Repeats.",
)
@click.option("--corpus", "root", required=True, metavar="DIR", help="Where the corpus is, or will be.")
@click.option("--config", "path", metavar="F", help="YAML file; see `corpus config`.")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One value, such as shard.alpha=0. Repeats."
)
@click.option("--until", type=click.Choice(shown(STAGES)), default=shown(STAGES)[-1], help="Last stage to run.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and what a captioner would be asked, and stop.")
@mendable
def build(
    sources: tuple[str, ...], root: str, path: str | None, overrides: tuple[str, ...], until: str, dry_run: bool
) -> None:
    """Build a corpus, or bring it up to date: only what is missing is done."""
    from pipeline.build.driver import Build, BuildFailedError
    from pipeline.build.progress import console
    from pipeline.build.session import wait_until_closed
    from pipeline.check import after
    from pipeline.report import page as reports
    from pipeline.report.summary import Summary
    from stages.ingest import INGEST

    if dry_run:
        _say_what_would_be_done(configs.load(path, overrides), sources, root)
        return
    config, screen, started = configs.load(path, overrides), console(), time.monotonic()
    try:
        result = Build(root, config, screen).run(sources, until)
    except BuildFailedError as error:
        click.echo(f"corpus: {error}", err=True)
        sys.exit(1)
    done = any(result.computed.values()) or not storage.exists(storage.join(storage.normalise(root), after.NAME))
    found = result.plan.survey if done else None
    del result  # the plan of a large corpus: what follows reads the corpus
    corpus = Corpus(root)
    try:
        if found is not None:
            after.write(after.of_build(found, corpus, config.of(INGEST).certainty), corpus)
        if done or not storage.exists(corpus.ledger.path(reports.NAME)):
            reports.write(corpus)
    finally:
        wait_until_closed()
    del found
    summary = Summary(corpus)
    for line in summary.lines(time.monotonic() - started, None if until == shown(STAGES)[-1] else until):
        screen.print(printable(line), highlight=False, markup=False, emoji=False)
    over = {s: x for s, x in summary.failed_shares().items() if x > config.quarantine.max_share}
    if over:
        worst = ", ".join(f"{share:.0%} of {source}" for source, share in sorted(over.items()))
        click.echo(
            f"corpus: exit code 1, since nothing came of {worst} "
            f"(quarantine.max_share is {config.quarantine.max_share:.0%})",
            err=True,
        )
        sys.exit(1)


def _say_what_would_be_done(config: configs.CorpusConfig, sources: tuple[str, ...], root: str) -> None:
    from pipeline.build.estimate import estimate
    from stages.caption import CAPTION

    found = estimate(storage.normalise(root), config, list(sources))
    for stage, number in found.missing.items():
        click.echo(f"{stage:<8} {number} to do")
    if found.captioner == "signals":
        return
    if found.unknown:
        click.echo(f"{found.unknown} episodes are not segmented yet and not counted: build with --until segment first")
    click.echo(
        f"questions  at most {found.names + found.events}: {found.names} names of things, {found.events} events, with "
        f"{found.pictures} pictures, of {found.episodes} episodes; what was paid for is not asked again"
    )
    by = "by the answers so far" if found.measured else "a guess until there are answers"
    click.echo(f"tokens     about {found.tokens[0]} of questions, {found.tokens[1]} of answers ({by})")
    prices = config.of(CAPTION).prices
    if prices is not None:
        click.echo(f"cost       about {found.cost(prices):.2f} at caption.prices")


@click.command()
@click.option("--config", "path", metavar="F")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE")
@mendable
def config(path: str | None, overrides: tuple[str, ...]) -> None:
    """Print the resolved configuration, every key with what it means."""
    click.echo(configs.to_yaml(configs.load(path, overrides)), nl=False)
