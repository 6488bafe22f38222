"""`corpus review`: a page on which people correct events."""

from __future__ import annotations

import click

from pipeline.cli.errors import mendable
from pipeline.config import ConfigError


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
