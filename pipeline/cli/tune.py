"""`corpus tune-segment`: learn from people's spans where to cut."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.cli.errors import mendable
from pipeline.config import ConfigError
from pipeline.corpus.view import Corpus
from pipeline.labels import LabelError
from stages import storage
from stages.text import printable

SHOWN = 5  # labels that cannot be used, a line each


@click.command("tune-segment")
@click.option("--corpus", "root", required=True, metavar="DIR", help="Built to align at least.")
@click.option(
    "--truth",
    "files",
    multiple=True,
    metavar="FILE",
    help="Spans of people, as segment.labels takes them; repeats.",
)
@click.option(
    "--reviewed", is_flag=True, help="Learn from episodes of which every event was judged on the review page."
)
@click.option("--level", type=click.Choice(["L2", "L1", "L0"]), help="Of the spans, where they are of several.")
@click.option("--to", "target", default="segment-model.yaml", show_default=True, metavar="F.yaml")
@mendable
def tune_segment(root: str, files: tuple[str, ...], reviewed: bool, level: str | None, target: str) -> None:
    """Learn from ten or so labelled episodes where people put boundaries."""
    from pipeline import tuning
    from stages.segment.tuning import tune

    if storage.is_local(target) and Path(target).is_dir():
        raise ConfigError(f"--to {target} is a folder; give the name of a file")
    if not files and not reviewed:
        raise ConfigError("tune-segment: give --truth FILE, or --reviewed")
    try:
        lesson = tuning.lesson(Corpus(root), files, level, reviewed)
    except LabelError as error:
        raise LabelError(str(error).replace("segment.labels=", "--truth ")) from error
    number = sum(len(e.true) for e in lesson.episodes)
    click.echo(f"{number} boundaries of {lesson.level} in {len(lesson.episodes)} episodes")
    for label, why in lesson.refused[:SHOWN]:
        span = f"{label.level} {label.start:g} to {label.end:g} {label.unit}"
        click.echo(printable(f"not used: {span} of {label.said_by}: {why}"))
    if len(lesson.refused) > SHOWN:
        click.echo(f"not used: {len(lesson.refused) - SHOWN} more")
    model = tune(lesson.episodes, lesson.level, lesson.config)
    storage.write_bytes(storage.normalise(target), tuning.written(model).encode())
    for line in tuning.summary(model):
        click.echo(printable(line))
    if model.kind == "nothing":
        click.echo(f"{target} changes nothing")
        return
    levels = "coarser levels keep only its boundaries, finer ones add theirs"
    click.echo(f"{target} is used by --set segment.model={target}: it sets {lesson.level}; {levels}")
