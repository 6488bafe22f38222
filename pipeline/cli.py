"""The command line: `corpus build`, `status`, `show`, `quarantine`, `report`, `verify`, `repair`, `compact`, `gc`,
`config`.

Errors a person can mend end in one line and exit code 2; a build above the quarantine limit, or a fault that `verify`
finds, exits with 1; Ctrl-C and SIGTERM with 130.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import polars as pl

from pipeline import config as configs
from pipeline.compact import DamagedPart
from pipeline.config import ConfigError
from pipeline.corpus import WRITTEN_BY, Corpus
from pipeline.explain import UnknownEpisode
from pipeline.garbage import NotComplete
from pipeline.labels import FORMATS, LabelError
from pipeline.lock import Locked
from pipeline.nodes import NodeError
from pipeline.plan import STAGES
from pipeline.record import DamagedPlan, NoCorpus
from schemas.events import ORIGINS
from schemas.ids import LEVELS, TRACKS
from schemas.reasons import Quarantined
from stages import storage
from stages.ingest.sources import SourceError
from stages.text import printable

TABLE_NAMES = (*WRITTEN_BY, "quarantine")
MENDABLE = (
    ConfigError,
    SourceError,
    LabelError,
    UnknownEpisode,
    NoCorpus,
    DamagedPlan,
    Locked,
    NodeError,
    NotComplete,
    DamagedPart,
    storage.Unusable,
    storage.UnknownStore,
    PermissionError,
    FileExistsError,
    NotADirectoryError,
    IsADirectoryError,
    Quarantined,
)
LIST_PREVIEW = 6  # values of a list column that `show` prints


def _told(command: Callable[..., Any]) -> Callable[..., Any]:
    """Errors that a person can mend become one line; Ctrl-C and a scheduler's SIGTERM end a command alike."""

    @wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            return command(*args, **kwargs)
        except KeyboardInterrupt:
            click.echo("\nStopped. What is done is kept: run the same command to go on.", err=True)
            sys.exit(130)
        except MENDABLE as error:
            click.echo(f"corpus: {printable(str(error))}", err=True)
            sys.exit(2)

    return wrapper


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Turn robot teleoperation logs into a corpus of events in cluster-balanced WebDataset shards."""


@main.command()
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
@click.option("--until", type=click.Choice(STAGES), default="shard", help="Last stage to run.")
@_told
def build(sources: tuple[str, ...], root: str, path: str | None, overrides: tuple[str, ...], until: str) -> None:
    """Build a corpus, or bring it up to date: only what is missing is done."""
    from pipeline.build import Build, BuildFailedError
    from pipeline.progress import console
    from pipeline.report import page as reports
    from pipeline.session import wait_until_closed
    from pipeline.summary import failed_shares, summary_lines

    config, screen, started = configs.load(path, overrides), console(), time.monotonic()
    try:
        result = Build(root, config, screen).run(sources, until)
    except BuildFailedError as error:
        click.echo(f"corpus: {error}", err=True)
        sys.exit(1)
    corpus = Corpus(root)
    try:
        if any(result.computed.values()) or not storage.exists(corpus.ledger.path(reports.NAME)):
            reports.write(corpus)
    finally:
        wait_until_closed()
    for line in summary_lines(corpus, time.monotonic() - started, None if until == STAGES[-1] else until):
        screen.print(printable(line), highlight=False, markup=False, emoji=False)
    over = {s: x for s, x in failed_shares(corpus).items() if x > config.quarantine.max_share}
    if over:
        worst = ", ".join(f"{share:.0%} of {source}" for source, share in sorted(over.items()))
        click.echo(
            f"corpus: exit code 1, since nothing came of {worst} "
            f"(quarantine.max_share is {config.quarantine.max_share:.0%})",
            err=True,
        )
        sys.exit(1)


@main.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@_told
def status(root: str) -> None:
    """How far each stage has come, what it cost, and whether a build is at it now."""
    from pipeline.compact import small_parts
    from pipeline.lock import holder

    corpus = Corpus(root)
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        click.echo(corpus.status())
    left = [stage for stage in STAGES if not corpus.wanted(stage)]
    if left:
        click.echo(f"not reached yet: {', '.join(left)}")
    release, by = corpus.manifest["release"], holder(corpus.root)
    why = "" if corpus.manifest["complete"] or by else " (the last build stopped before its end)"
    click.echo(f"release: {release or 'none yet'}{why}")
    aside = corpus.quarantine(evidence=False)["reason"].value_counts(sort=True).rows()
    click.echo(f"quarantine: {', '.join(f'{n} x {reason}' for reason, n in aside) or 'empty'}")
    small = small_parts(corpus, corpus.manifest["config"]["run"]["episodes_per_part"])
    if small and corpus.manifest["complete"]:
        click.echo(f"parts: {small} could be merged away: corpus compact --corpus {root}")
    if by:
        click.echo(f"building: process {by['pid']} on {by['host']}")


@main.command()
@click.argument("table", type=click.Choice(TABLE_NAMES), metavar="TABLE")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--to", "target", metavar="F.parquet", help="Write the whole table to a Parquet file.")
@click.option("--rows", default=20, show_default=True, help="Rows to print.")
@_told
def show(table: str, root: str, target: str | None, rows: int) -> None:
    """Print a table of the corpus, or write it to a file."""
    _show(Corpus(root).table(table), target, rows)


@main.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--to", "target", metavar="F.parquet", help="Write the rows to a Parquet file.")
@_told
def quarantine(root: str, target: str | None) -> None:
    """What was set aside, and why."""
    table = Corpus(root).quarantine(evidence=target is not None)
    if target is None:
        for row in table.to_dicts():
            again = "  (retryable)" if row["retryable"] else ""
            click.echo(printable(f"{row['item']}  {row['stage']}  {row['reason']}{again}\n    {row['message']}"))
        click.echo(f"{table.height} in quarantine")
    else:
        _show(table, target, 0)


@main.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--to", "target", required=True, metavar="FILE", help="File to write; a folder for lerobot.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="By the name of FILE if not given.")
@click.option("--level", "levels", type=click.Choice(LEVELS), multiple=True, help="Repeats; L2 and L1 if not given.")
@click.option("--track", type=click.Choice(TRACKS), default="all", show_default=True)
@click.option("--origin", type=click.Choice(ORIGINS), help="Only spans of people, or only the machine's.")
@_told
def labels(root: str, target: str, form: str | None, levels: tuple[str, ...], track: str, origin: str | None) -> None:
    """Write spans to a label file, to correct them and give it to segment.labels."""
    from pipeline.labels import write

    form = form or ("json" if target.lower().endswith(".json") else "csv" if target.lower().endswith(".csv") else None)
    if form is None:
        raise ConfigError(f"--to {target}: give --format, one of {', '.join(FORMATS)}")
    number = write(Corpus(root), target, form, levels or ("L2", "L1"), track, origin)
    click.echo(f"{number} spans written to {target}")


@main.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@_told
def report(root: str) -> None:
    """Write report.html: one page that tells what the corpus is."""
    from pipeline.report import write

    click.echo(write(Corpus(root)))


@main.command()
@click.argument("episode", metavar="EPISODE")
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--to", "folder", default=".", show_default=True, metavar="FOLDER", help="Where the two files go.")
@_told
def explain(episode: str, root: str, folder: str) -> None:
    """Draw why an episode (source/000003) is cut where it is: a picture and a page."""
    from pipeline.explain import explain as draw

    for path in draw(Corpus(root), episode, folder):
        click.echo(path)


@main.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@_told
def verify(root: str) -> None:
    """Hash every file again, hold tables to their laws, read every sample; exit 1 on any fault."""
    from pipeline.lock import holder
    from pipeline.verify import look

    faults = look(root)
    for fault in faults:
        click.echo(f"{fault.kind}  {fault.where}: {fault.message}")
    click.echo(f"{len(faults)} faults" if faults else "no fault")
    if faults:
        by = holder(storage.normalise(root))
        if by:
            click.echo(
                f"a build is at it, process {by['pid']} on {by['host']}: what it has yet to do counts as missing"
            )
        else:
            click.echo(
                f"mend them: corpus repair --corpus {root} (what a stopped build has yet to do counts as missing)"
            )
        sys.exit(1)


@main.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@_told
def repair(root: str) -> None:
    """Do again just what `verify` finds broken, from the sources of the last build."""
    from pipeline.build import Build, BuildFailedError
    from pipeline.labels import read
    from pipeline.lock import locked
    from pipeline.progress import console
    from pipeline.repair import sources_of, take_back
    from pipeline.survey import survey
    from pipeline.verify import look

    sources, asked = sources_of(root)
    read(asked.segment.labels)  # before anything is taken back
    found, left = 0, look(root)
    for _ in range(2):  # a damaged plan hides what else is broken until it is written again
        if left:
            found += len(left)
            with locked(storage.normalise(root)):
                removed, kept = take_back(root, left, survey(sources, asked.ingest))
            for path in removed:
                click.echo(f"taken back: {path}")
            for path in kept:
                click.echo(f"kept as it is, since its source cannot be read now: {path}")
            try:
                Build(root, asked, console()).run(sources)
            except BuildFailedError as error:
                click.echo(f"corpus: {error}", err=True)
            left = look(root)
    for fault in left:
        click.echo(f"{fault.kind}  {fault.where}: {fault.message}")
    click.echo(f"{found} faults found, {len(left)} left" if found else "nothing to repair")
    sys.exit(1 if left else 0)


@main.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--releases", is_flag=True, help="Also remove every release but the newest.")
@click.option("--dry-run", is_flag=True, help="List what would be removed, and remove nothing.")
@_told
def gc(root: str, releases: bool, dry_run: bool) -> None:
    """Remove what newer builds have superseded: files that builds wrote, and nothing else."""
    from pipeline.garbage import collect_garbage
    from pipeline.lock import locked

    Corpus(root)  # before the lock, which would make the folder of a corpus that is not there
    with locked(storage.normalise(root)):
        removed, size = collect_garbage(Corpus(root), releases, dry_run)
    for path in removed if dry_run else ():
        click.echo(path)
    click.echo(f"{len(removed)} files {'would be ' * dry_run}removed, {size / 1e6:.1f} MB")


@main.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option(
    "--episodes", type=click.IntRange(2), help="Episodes in a part; the build's run.episodes_per_part if not given."
)
@_told
def compact(root: str, episodes: int | None) -> None:
    """Merge the small parts that nightly builds leave behind; nothing else changes."""
    from pipeline.compact import compact as merge
    from pipeline.lock import locked

    with locked(storage.normalise(root)):
        corpus = Corpus(root)
        merged = merge(corpus, episodes or corpus.manifest["config"]["run"]["episodes_per_part"])
    for stage, (before, after) in merged.items():
        click.echo(f"{stage:<8} {before} parts, now {after}")


@main.command()
@click.option("--config", "path", metavar="F")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE")
@_told
def config(path: str | None, overrides: tuple[str, ...]) -> None:
    """Print the resolved configuration, every key with what it means."""
    click.echo(configs.to_yaml(configs.load(path, overrides)), nl=False)


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
    with pl.Config(tbl_rows=rows, tbl_cols=-1, tbl_width_chars=10_000, fmt_str_lengths=48, float_precision=3):
        click.echo(printable(str(head)))
    if table.height > rows:
        click.echo(f"{table.height} rows in all; --rows N prints more, --to F.parquet writes them")
