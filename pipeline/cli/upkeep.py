"""`corpus verify`, `repair`, `gc`, `compact`: keep a corpus whole and small."""

from __future__ import annotations

import sys
import time

import click

from pipeline.cli.errors import mendable
from pipeline.corpus.view import Corpus
from stages import storage


@click.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@mendable
def verify(root: str) -> None:
    """Hash every file again, hold tables to their laws, read every sample; exit 1 on any fault."""
    from pipeline.corpus.lock import holder
    from pipeline.corpus.verify import faults_of

    faults = faults_of(root)
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


@click.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@mendable
def repair(root: str) -> None:
    """Do again just what `verify` finds broken, from the sources of the last build."""
    from pipeline.build.driver import Build, BuildFailedError
    from pipeline.build.progress import console
    from pipeline.corpus.lock import locked
    from pipeline.corpus.repair import invalidate, sources_of
    from pipeline.corpus.verify import faults_of
    from pipeline.labels import read
    from stages.ingest import INGEST
    from stages.ingest.survey import survey
    from stages.segment import SEGMENT

    sources, asked = sources_of(root)
    read(asked.of(SEGMENT).labels)  # before anything is taken back
    found, left = 0, faults_of(root)
    for _ in range(2):  # a damaged plan hides what else is broken until it is written again
        if left:
            found += len(left)
            with locked(storage.normalise(root)):
                left = faults_of(root)  # as it is now that no build is at it
                removed, kept = invalidate(root, left, survey(sources, asked.of(INGEST)))
            for path in removed:
                click.echo(f"taken back: {path}")
            for path in kept:
                click.echo(f"kept as it is, since its source cannot be read now: {path}")
            try:
                Build(root, asked, console()).run(sources)
            except BuildFailedError as error:
                click.echo(f"corpus: {error}", err=True)
            left = faults_of(root)
    for fault in left:
        click.echo(f"{fault.kind}  {fault.where}: {fault.message}")
    click.echo(f"{found} faults found, {len(left)} left" if found else "nothing to repair")
    sys.exit(1 if left else 0)


@click.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option("--releases", is_flag=True, help="Also remove every release but the newest.")
@click.option("--dry-run", is_flag=True, help="List what would be removed, and remove nothing.")
@mendable
def gc(root: str, releases: bool, dry_run: bool) -> None:
    """Remove what newer builds have superseded: files that builds wrote, and nothing else."""
    from pipeline.corpus.garbage import collect_garbage
    from pipeline.corpus.lock import locked

    Corpus(root)  # before the lock, which would make the folder of a corpus that is not there
    with locked(storage.normalise(root)):
        removed, size = collect_garbage(Corpus(root), releases, dry_run)
    for path in removed if dry_run else ():
        click.echo(path)
    click.echo(f"{len(removed)} files {'would be ' * dry_run}removed, {size / 1e6:.1f} MB")


@click.command()
@click.option("--corpus", "root", required=True, metavar="DIR")
@click.option(
    "--episodes", type=click.IntRange(2), help="Episodes in a part; the build's run.episodes_per_part if not given."
)
@mendable
def compact(root: str, episodes: int | None) -> None:
    """Merge the small parts that nightly builds and review servers leave behind; nothing else changes."""
    from pipeline.corpus import decisions
    from pipeline.corpus.compact import compact as merge
    from pipeline.corpus.lock import locked

    with locked(storage.normalise(root)):
        corpus = Corpus(root)
        before, after = decisions.merge(corpus.root, int(time.time() * 1000))
        click.echo(f"decisions {before} parts, now {after}")
        merged = merge(corpus, episodes or corpus.manifest["config"]["run"]["episodes_per_part"])
    for stage, (before, after) in merged.items():
        click.echo(f"{stage:<8} {before} parts, now {after}")
