"""`corpus review`: a page on which people correct events; `corpus decisions`: what they decided, as files."""

from __future__ import annotations

import sys

import click

from pipeline.cli.errors import mendable
from pipeline.config import ConfigError
from pipeline.corpus.view import Corpus
from schemas.ids import LEVELS, TRACKS
from stages import storage
from stages.text import printable


@click.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; off loopback people must sign in.")
@click.option("--port", type=click.IntRange(0, 65535), default=8500, show_default=True, help="0 takes a free one.")
@click.option("--tokens", metavar="FILE", help="A line `name token` for each who may sign in.")
@click.option("--store", metavar="FILE", help="Where decisions are kept until they are in the corpus: a local disk.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="The server's name behind a proxy. Repeats.")
@click.option(
    "--gold", multiple=True, metavar="FILE", help="Spans that are right, every one of a level: dealt in blind. Repeats."
)
@click.option("--lead", "leads", multiple=True, metavar="NAME", help="Who sees how people do at --gold. Repeats.")
@click.option("--no-browser", is_flag=True, help="Open no browser.")
@mendable
def review(
    root: str,
    host: str,
    port: int,
    tokens: str | None,
    store: str | None,
    names: tuple[str, ...],
    gold: tuple[str, ...],
    leads: tuple[str, ...],
    no_browser: bool,
) -> None:
    """Serve the review page of a corpus: correct captions, boundaries and primitives, accept, reject."""
    try:
        from pipeline.review.serve import Options, serve
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise ConfigError(f"{error.name} is not installed: it comes with 'event-corpus[review]'") from error
    from pipeline.review.access import NoAccess
    from pipeline.review.store import StoreInUse

    options = Options(root, host, port, tokens, store, names, not no_browser, gold, leads)
    try:
        serve(options, click.echo)
    except (NoAccess, StoreInUse) as error:
        raise ConfigError(str(error)) from error


@click.group()
def decisions() -> None:
    """What people decided on the review page, to files and from them."""


TRACK_OF = click.option("--track", type=click.Choice(TRACKS), default="all", show_default=True, help="Of spans.")


@decisions.command("export")
@click.argument("target", metavar="FILE")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option(
    "--format", "form", type=click.Choice(("jsonl", "csv", "parquet", "lerobot", "labelstudio")),
    help="By the name of FILE if not given.",
)  # fmt: skip
@click.option(
    "--level", "levels", type=click.Choice(LEVELS), multiple=True,
    help="Of spans; repeats for labelstudio. shard.level if not given.",
)  # fmt: skip
@TRACK_OF
@mendable
def export_decisions(target: str, root: str, form: str | None, levels: tuple[str, ...], track: str) -> None:
    """Write decisions that are in the corpus (jsonl, csv, parquet), or spans as they left them (lerobot: a folder,
    labelstudio)."""
    from pipeline.corpus import decisions as published
    from pipeline.review.catalogue import Catalogue, events_of
    from pipeline.review.files import rows, spans
    from pipeline.review.files.take import Standing

    form = form or {"json": "labelstudio"}.get(end := target.lower().rpartition(".")[2], end)
    corpus = Corpus(root)
    found = published.read(corpus.root)
    uri = storage.normalise(target)
    if form in rows.FORMATS:
        storage.write_bytes(uri, rows.FORMATS[form](found))
        click.echo(f"{len(found)} decisions written to {target}")
    elif form in spans.FORMATS:
        standing = Standing(Catalogue(events_of(corpus)), found)
        made = spans.files(corpus, form, levels or (corpus.level(),), track, standing.spans)
        for name, blob in made.items():
            storage.write_bytes(storage.join(uri, name) if form == "lerobot" else uri, blob)
        click.echo(f"spans under {len(found)} decisions written to {target}")
    else:
        raise ConfigError(f"{target}: give --format, one of jsonl, csv, parquet, lerobot, labelstudio")


@decisions.command("import")
@click.argument("file", metavar="FILE")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--actor", metavar="NAME", help="Who says so, where the file does not tell; you if not given.")
@click.option("--level", type=click.Choice(LEVELS), help="Of LeRobot's subtasks; shard.level if not given.")
@TRACK_OF
@click.option("--store", metavar="FILE", help="As `corpus review` has it.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken, and write nothing.")
@mendable
def import_decisions(
    file: str, root: str, actor: str | None, level: str | None, track: str, store: str | None, dry_run: bool
) -> None:
    """Take up decisions of another server (.jsonl, .csv, .parquet), or spans that were changed elsewhere: Label
    Studio's export (.json), a folder with LeRobot's subtask columns (source=DIR names the source). What is not taken is
    told, and exits with 1."""
    from pipeline.review.files.run import bring
    from pipeline.review.store import StoreInUse

    try:
        taken = bring(Corpus(root), file, actor, level, track, store, dry_run)
    except StoreInUse as error:
        raise ConfigError(f"{error}; end it, import, start it again") from error
    for words in taken.refused:
        click.echo(printable(f"not taken: {words}"))
    for action, number in taken.actions():
        click.echo(f"{number:6} {action}")
    click.echo(
        f"{len(taken.new)} decisions {'would be ' * dry_run}taken up, {taken.known} known or as it stands, "
        f"{len(taken.refused)} not taken"
        + (f"; {taken.stale} are about spans that are not here any more" if taken.stale else "")
    )
    sys.exit(1 if taken.refused else 0)
