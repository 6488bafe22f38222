"""`corpus status`, `show`, `quarantine`, `labels`, `report`, `explain`, `sheet`: look at a corpus."""

from __future__ import annotations

import time
from typing import Any

import click
import polars as pl

from pipeline.cli.errors import mendable
from pipeline.config import ConfigError
from pipeline.corpus import decisions, tombstones
from pipeline.corpus.view import Corpus
from pipeline.labels import FORMATS
from pipeline.stages import STAGES, shown, tables
from schemas.events import ORIGINS
from schemas.ids import LEVELS, TRACKS
from schemas.reasons import Reason
from stages import storage
from stages.text import printable

TABLE_NAMES = tuple(tables(STAGES))
LETTERS = 120  # of a text: a caption is shown whole
LIST_PREVIEW = 6  # values of a list column that `show` prints


@click.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@mendable
def status(root: str) -> None:
    """How far each stage has come, what it cost, and whether a build is at it now."""
    from pipeline.corpus.compact import small_parts
    from pipeline.corpus.lock import holder

    corpus = Corpus(root)
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        click.echo(corpus.status())
    left = [stage for stage in shown(corpus.stages) if not corpus.has(stage)]
    if left:
        click.echo(f"not reached yet: {', '.join(left)}")
    release, by = corpus.manifest["release"], holder(corpus.root)
    why = "" if corpus.manifest["complete"] or by else " (the last build stopped before its end)"
    click.echo(f"release: {release or 'none yet'}{why}")
    aside = corpus.quarantine(evidence=False)["reason"].value_counts(sort=True).rows()
    click.echo(f"quarantine: {', '.join(f'{n} x {reason}' for reason, n in aside) or 'empty'}")
    stones = tombstones.whole(corpus.root)
    if stones:
        open_ones = sum(not stone.finished for stone in stones)
        more = f", {open_ones} not to the end: corpus forget them again" if open_ones else ""
        click.echo(f"forgotten: {len(stones)}{more}")
    small = small_parts(corpus, corpus.manifest["config"]["run"]["episodes_per_part"])
    small += sum(len(group) - 1 for group in decisions.to_merge(corpus.root, int(time.time() * 1000)))
    if small and corpus.manifest["complete"]:
        click.echo(f"parts: {small} could be merged away: corpus compact --corpus {root}")
    if by:
        click.echo(f"building: process {by['pid']} on {by['host']}")


@click.command()
@click.argument("table", type=click.Choice(TABLE_NAMES), metavar="TABLE")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--to", "target", metavar="F.parquet", help="Write the whole table to a Parquet file.")
@click.option("--rows", default=20, show_default=True, help="Rows to print.")
@mendable
def show(table: str, root: str, target: str | None, rows: int) -> None:
    """Print a table of the corpus, or write it to a file."""
    _show(Corpus(root).table(table), target, rows)


@click.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--to", "target", metavar="F.parquet", help="Write the rows to a Parquet file.")
@mendable
def quarantine(root: str, target: str | None) -> None:
    """What was set aside, and why."""
    table = Corpus(root).quarantine(evidence=target is not None)
    if target is None:
        for row in table.to_dicts():
            again = "  (retryable)" if row["retryable"] else ""
            click.echo(printable(f"{row['item']}  {row['stage']}  {row['reason']}{again}\n    {row['message']}"))
        own = table.filter(pl.col("reason") == Reason.LEFT_OUT.value).height
        click.echo(f"{table.height - own} in quarantine" + (f", {own} left out by ingest.where" if own else ""))
        stones = tombstones.whole(storage.normalise(root))
        if stones:
            click.echo(f"{len(stones)} forgotten, in no table: corpus forget --list --corpus {root}")
    else:
        _show(table, target, 0)


@click.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--to", "target", required=True, metavar="FILE", help="File to write; a folder for lerobot.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="By the name of FILE if not given.")
@click.option("--level", "levels", type=click.Choice(LEVELS), multiple=True, help="Repeats; L2 and L1 if not given.")
@click.option("--track", type=click.Choice(TRACKS), default="all", show_default=True)
@click.option("--origin", type=click.Choice(ORIGINS), help="Only spans of people, or only the machine's.")
@mendable
def labels(root: str, target: str, form: str | None, levels: tuple[str, ...], track: str, origin: str | None) -> None:
    """Write spans to a label file, to correct them and give it to segment.labels."""
    from pipeline.labels import write

    end = target.lower().rpartition(".")[2]
    form = form or (end if end in ("csv", "json", "jsonl", "parquet") else None)
    if form is None:
        raise ConfigError(f"--to {target}: give --format, one of {', '.join(FORMATS)}")
    number = write(Corpus(root), target, form, levels or ("L2", "L1"), track, origin)
    click.echo(f"{number} spans written to {target}")


@click.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@mendable
def report(root: str) -> None:
    """Write report.html: one page that tells what the corpus is."""
    from pipeline.report import write

    click.echo(write(Corpus(root)))


@click.command()
@click.argument("episode", metavar="EPISODE")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--to", "folder", default=".", show_default=True, metavar="FOLDER", help="Where the two files go.")
@mendable
def explain(episode: str, root: str, folder: str) -> None:
    """Draw why an episode (source/000003) is cut where it is: a picture and a page."""
    from pipeline.explain import explain as draw

    for path in draw(Corpus(root), episode, folder):
        click.echo(path)


@click.command()
@click.argument("events", nargs=-1, metavar="[EVENT]...")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--random", "number", type=click.IntRange(1, 200), help="So many events drawn at random instead.")
@click.option("--level", type=click.Choice(LEVELS), default="L1", show_default=True, help="Of the random ones.")
@click.option("--source", help="Of the random ones.")
@click.option("--seed", default=0, show_default=True, help="Of the draw.")
@click.option("--to", "target", default="sheet.png", show_default=True, metavar="F.png")
@mendable
def sheet(
    events: tuple[str, ...], root: str, number: int | None, level: str, source: str | None, seed: int, target: str
) -> None:
    """Draw events (source/000003/L1/0004250) with their captions and what each camera saw: one picture."""
    from pipeline.explain.sheet import drawn
    from pipeline.explain.sheet import sheet as draw

    if bool(events) == bool(number):
        raise ConfigError("sheet: name events, or give --random N")
    if not target.lower().endswith(".png"):
        raise ConfigError(f"--to {target}: a sheet is a PNG; give a name that ends in .png")
    corpus = Corpus(root)
    wanted = list(events) or drawn(corpus, number or 0, level, source, seed)
    storage.write_bytes(storage.normalise(target), draw(corpus, wanted))
    click.echo(target)


def _short(value: pl.Series | list[Any] | dict[str, Any]) -> str:
    """A list in a table cell: its first values, or how many there are."""
    if isinstance(value, dict):
        return "{" + ", ".join(value) + "}"
    values = list(value)
    plain = all(isinstance(v, str | float | int) for v in values)
    if plain and len(values) <= LIST_PREVIEW:
        return ", ".join(str(v) for v in values)
    return f"[{len(values)}]"


def _show(table: pl.DataFrame, target: str | None, rows: int) -> None:
    if target is not None:
        if not target.lower().endswith((".parquet", ".pq")):
            raise ConfigError(f"--to {target}: tables are written as Parquet; give a name that ends in .parquet")
        import io

        buffer = io.BytesIO()
        table.write_parquet(buffer)
        storage.write_bytes(storage.normalise(target), buffer.getvalue())
        click.echo(f"{table.height} rows written to {target}")
        return
    head = table.head(rows).with_columns(
        pl.col(n).map_elements(_short, pl.String) for n, t in table.schema.items() if t.is_nested()
    )
    with pl.Config(tbl_rows=rows, tbl_cols=-1, tbl_width_chars=10_000, fmt_str_lengths=LETTERS, float_precision=3):
        click.echo(printable(str(head)))
    if table.height > rows:
        click.echo(f"{table.height} rows in all; --rows N prints more, --to F.parquet writes them")
