"""`corpus check`: whether sources will make a good corpus, before anything is built."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline import config as configs
from pipeline.cli.errors import mendable
from stages.text import printable

if TYPE_CHECKING:
    from pipeline.check.inspection import Inspection
    from pipeline.check.verdict import Verdict
    from stages.ingest.inference.arms import Finding
    from stages.ingest.survey import Survey

CODES = {"green": 0, "yellow": 0, "red": 2}


@click.command()
@click.option(
    "--source", "sources", multiple=True, required=True, metavar="URI", help="As for `corpus build`. Repeats."
)
@click.option("--config", "path", metavar="F", help="YAML file; see `corpus config`.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="One value. Repeats.")
@click.option("--html", "html", metavar="FILE", help="Write a page as well: signals, first cuts, pictures.")
@click.option(
    "--write-profile", "profile", metavar="FILE", help="Write the profile it would use as YAML, ready to edit."
)
@click.option("--strict", is_flag=True, help="Exit with 1 on yellow too.")
@mendable
def check(
    sources: tuple[str, ...],
    path: str | None,
    overrides: tuple[str, ...],
    html: str | None,
    profile: str | None,
    strict: bool,
) -> None:
    """Read a bounded part of each source and say what a build would make of it: green, yellow or red, why, and what to
    type next. Writes nothing but what is asked for. Exits with 0, 2 on red, 1 on yellow with --strict."""
    from pipeline.check import page
    from pipeline.check.inspection import inspect
    from pipeline.check.verdict import Figures, lines, of_source, rights_for_nobody, rights_lines, worst
    from stages.ingest import INGEST
    from stages.ingest.survey import survey

    config = configs.load(path, overrides)
    found, certainty = survey(sources, config.of(INGEST)), config.of(INGEST).certainty
    told: list[tuple[Verdict, Inspection | None, Sequence[Finding]]] = []
    for lost in found.lost:
        verdict = of_source(lost.source, None, (), (), Figures(), certainty, lost.error.message)
        told.append((verdict, None, ()))
        _say(lines(verdict))
    for name, dataset in found.datasets.items():
        seen = inspect(found, name, config)
        layout, findings = found.layouts[name], found.findings[name]
        notes = [*found.notes[name], *dataset.notes, *dataset.lost_entries.values()]
        rights = found.rights[name]
        verdict = of_source(name, layout, findings, notes, seen.figures, certainty, rights=rights)
        told.append((verdict, seen, findings))
        how = f"profile {layout.profile}" if not layout.inferred else "no profile fits"
        _say([f"source     {name}: {seen.listed} episodes, {dataset.format}, robot {dataset.robot}, {how}"])
        _say(rights_lines(rights))
        _say(f"           told: {finding}" for finding in findings)
        _say(_streams(seen))
        _say(_aside(seen))
        _say(lines(verdict))
    cameras = set(found.cameras["camera"]) | {c.name for own in found.listed.values() for c in own.make(0).cameras}
    _say(f"config     {line}" for line in rights_for_nobody(config.of(INGEST), found))
    for pattern in config.of(INGEST).ignore_cameras:
        if not any(fnmatch.fnmatchcase(camera, pattern) for camera in cameras):
            _say([f"config     ingest.ignore_cameras: {pattern!r} is no camera of any; they have {sorted(cameras)}"])
    if html:
        _write(html, page.render(told))
        click.echo(f"page       {html}")
    if profile:
        _write_profile(profile, found)
    level = worst([verdict for verdict, _, _ in told])
    sys.exit(1 if strict and level == "yellow" else CODES[level])


def _streams(seen: Inspection) -> Iterator[str]:
    """What was found in the first sound episode, with its course over time."""
    from pipeline.check.plots import course, spark

    if seen.episode is None:
        return
    yield f"           episode {seen.episode['episode_key']}, {seen.episode['t1'] - seen.episode['t0']:.1f} s"
    for name, signal in seen.signals.items():
        if signal.kind in ("extra", "orientation"):
            continue
        text, values = course(signal)
        yield f"           {name:<24} {signal.values.shape[1]:>3} wide: {text}"
        yield f"           {'':<24} {spark(values)}"
    shares = seen.figures
    if shares.seconds:
        rest, unknown = shares.idle / shares.seconds, shares.unknown / shares.seconds
        first = ", ".join(e["primitive"] for e in seen.events[:12])
        yield f"           L1 events: {rest:.0%} of the time at rest, {unknown:.0%} unknown; of this episode: {first}"
    for (mark, value), number in sorted(seen.marks.items())[:12]:
        yield f"           mark {mark} = {value}: {number} of {seen.figures.episodes} episodes read (ingest.where)"
    if seen.told:
        yield f"           {seen.told} of {seen.figures.episodes} bring spans of their own (instructions), as L2"


def _aside(seen: Inspection) -> Iterator[str]:
    """How many of the episodes that were read each check would set aside."""
    figures = seen.figures
    for reason, number in sorted(figures.aside.items(), key=lambda r: -r[1]):
        said = f"{number} of {figures.episodes} read, {reason}: {figures.examples[reason]}"
        yield f"           would be set aside: {said}"
    if figures.left_out:
        yield f"           left out by ingest.where: {figures.left_out} of {figures.episodes} read"


def _say(text: Sequence[str] | Iterator[str]) -> None:
    for line in text:
        click.echo(printable(line))


def _write_profile(path: str, found: Survey) -> None:
    from pipeline.check.profile import to_yaml

    names = list(found.datasets)
    if len(names) != 1:
        raise click.UsageError(f"--write-profile takes one source that can be read, here are {len(names)}: {names[:5]}")
    (name,) = names
    text = to_yaml(found.layouts[name], found.findings[name], found.datasets[name].robot)
    _write(path, text)
    click.echo(f"profile    {path}")


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{path} cannot be written: {error.strerror}") from error
