"""`corpus forget`: delete episodes for good, list what was forgotten, take a tombstone back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from pipeline.cli.errors import mendable
from pipeline.corpus.view import Corpus
from stages import storage
from stages.text import printable

if TYPE_CHECKING:
    from pipeline.forget.run import Forgotten

NAME = "report.html"
SHOWN = 12  # files that are named


@click.command()
@click.argument("episodes", nargs=-1, metavar="EPISODE...")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--reason", default="", metavar="TEXT", help="Kept with the tombstone.")
@click.option("--by", default="", metavar="NAME", help="Who asks for it; the user who runs this if not given.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and touch nothing.")
@click.option("--list", "listed", is_flag=True, help="Show what was forgotten: when, by whom, why.")
@click.option("--recall", is_flag=True, help="Take the tombstone away: the next build reads the episode again.")
@mendable
def forget(
    episodes: tuple[str, ...], root: str, reason: str, by: str, dry_run: bool, listed: bool, recall: bool
) -> None:
    """Delete episodes (source/000003) from tables, media, answers and all releases; a tombstone stays, so that no build
    reads them again. Sources, backups and copies are not touched: docs/forget.md."""
    from pipeline.build.progress import console
    from pipeline.corpus import tombstones
    from pipeline.corpus.lock import locked
    from pipeline.forget.inscribe import recall as taken_back
    from pipeline.forget.run import forget as forget_for_good

    if listed == bool(episodes):
        raise click.UsageError("name an episode, such as kitchen/000003, or give --list and none")
    root = Corpus(root).root
    if listed:
        stones = tombstones.read(root)
        for stone in stones:
            what = "" if stone.n_rows is None else f"  {stone.n_rows} rows, {stone.t1 - stone.t0:.1f} s"  # type: ignore[operator]
            left = "" if stone.finished else "  NOT FINISHED: forget it again"
            click.echo(printable(f"{stone.episode_id}  {stone.at}  by {stone.by}{what}  {stone.reason}{left}".rstrip()))
            if stone.releases:
                click.echo(f"    was in releases {', '.join(stone.releases)}")
        click.echo(f"{len(stones)} forgotten" if stones else "nothing was forgotten")
        return
    if recall:
        with locked(root):
            for stone in taken_back(root, episodes):
                click.echo(f"{stone.episode_id}: its tombstone of {stone.at} is gone; the next build reads it again")
        return
    found = forget_for_good(root, episodes, console(), by, reason, dry_run)
    for stone in found.again:
        click.echo(printable(f"{stone.episode_id}: forgotten already, on {stone.at} by {stone.by}"))
    if found.stones:
        for line in _lines(found, dry_run):
            click.echo(printable(line))
    if not dry_run and (found.stones or not storage.exists(storage.join(root, NAME))):
        _draw(root)


def _lines(found: Forgotten, dry_run: bool) -> Iterator[str]:
    gone = found.gone
    yield f"{'would forget' if dry_run else 'forgotten '} {', '.join(s.episode_id for s in found.stones)}"
    yield f"tables     {sum(gone.rows.values())} rows of {sum(n > 0 for n in gone.rows.values())} tables"
    yield f"media      {gone.media} proxies and thumbnails"
    if gone.answers or gone.answers_of_nobody:
        more = f", and {gone.answers_of_nobody} that do not say what they were asked about" * bool(
            gone.answers_of_nobody
        )
        yield f"answers    {gone.answers} of models{more}"
    if gone.tars:
        yield f"shards     {gone.tars} tars; what else is in them is dealt into new ones"
    verb = "would go" if dry_run else "is gone"
    for release in found.releases:
        if release != found.release or dry_run:
            yield f"releases   {release} {verb}: a loader that has it open must start anew"
    if found.drawn and not dry_run:
        none = f"none is in force until the next build: {found.why}"
        yield f"           {f'shards/latest is {found.release}, drawn without them' if found.release else none}"
    for name, others in found.twins.items():
        yield f"look       {', '.join(others)}: the same log as {name}, and not forgotten: forget it too?"
    for path in found.foreign[:SHOWN]:
        yield f"look       {path}: no build wrote it, and it names what is forgotten; it was left alone"
    if len(found.foreign) > SHOWN:
        yield f"           and {len(found.foreign) - SHOWN} other files"
    if not dry_run:
        yield "tombstones ledger/forgotten: no build reads them again (corpus forget --list)"
        yield "           not touched: sources, label files, exports, copies, backups, versions that a bucket keeps"
        yield "           (docs/forget.md)"


def _draw(root: str) -> None:
    """The report, which showed pictures of what is gone."""
    from pipeline.report import write

    click.echo(f"report     {write(Corpus(root))}")
