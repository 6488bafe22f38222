"""The verdict on a source: green, yellow or red, with its reasons, and for each what to type or change next.

In: what the survey tells of a source, and figures of its episodes (all of a build's, or those of a bounded look). Out:
`Verdict`. The same rules for `corpus check` before a build and for the report after it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from schemas.reasons import Flag, Reason
from stages.ingest.config import IngestConfig
from stages.ingest.inference.arms import Finding
from stages.ingest.streams import Layout
from stages.ingest.survey import Survey
from stages.sources.rights import Rights

GREEN, YELLOW, RED = "green", "yellow", "red"
LEVELS = (RED, YELLOW, GREEN)
IDLE, UNKNOWN = 0.3, 0.5  # shares of the time from which it is worth a look
ASIDE, TOO_MANY = 0.05, 0.5  # shares of the episodes that are set aside
WORDS = {  # flag: (what is so, what to do next)
    Flag.GRIPPER_UNKNOWN: (
        "nobody can tell which end of the gripper is closed: its changes cut events, grasp and release read unknown",
        "write a profile (--write-profile mine.yaml), put open: and closed: of the gripper in, build with "
        "--set 'ingest.profile={SOURCE: mine.yaml}'",
    ),
    Flag.NO_GRIPPER: (
        "no gripper is known: events are cut by the arm's speed alone",
        "name it in a profile (--write-profile mine.yaml shows how)",
    ),
    Flag.UNIT_UNKNOWN: (
        "joints or a position are in a unit that nobody has said: jumps are flagged, not refused, and "
        "samples have them in state alone, not as joints or position",
        "put unit: rad, deg, percent, m or mm into a profile (--write-profile FILE)",
    ),
    Flag.STATE_JUMPS: ("values leap in one row", "look at those episodes: were recordings glued together?"),
    Flag.TASK_MISSING: ("no task text", "put one into the task table; captions have nothing to name"),
    Flag.METADATA_REFUSED: ("metadata that cannot be used", "mend the file that the notes name"),
    Flag.CALIBRATION_REFUSED: ("a calibration that cannot be used", "mend meta/calibration.json"),
    Flag.EXTRA_REFUSED: ("extra columns that cannot be used", "see episodes.extras_refused"),
    Flag.NO_VIDEO: ("no video: pictures are neither captioned nor clustered", "add cameras if there are any"),
    **{
        flag: (
            f"a camera's pictures are {flag.value.removeprefix('picture_')} for a while",
            "look at them (alignments.pictures says where); --set ingest.ignore_cameras='[NAME]' goes without a camera",
        )
        for flag in (Flag.PICTURE_BLACK, Flag.PICTURE_BLANK, Flag.PICTURE_OVEREXPOSED, Flag.PICTURE_FROZEN)
    },
    Flag.PICTURE_REPEATED: ("many pictures are the one before again", "is the camera slower than its declared rate?"),
    Flag.ROBOTS_MIXED: (
        "two robots may lie in one dataset",
        "split it: each robot with a dataset and a profile of its own",
    ),
}


@dataclass(frozen=True, slots=True)
class Because:
    """level: yellow or red; what is so; what to do next (empty: nothing)."""

    level: str
    what: str
    then: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one source."""

    source: str
    because: tuple[Because, ...] = ()

    @property
    def level(self) -> str:
        levels = {b.level for b in self.because}
        return RED if RED in levels else YELLOW if YELLOW in levels else GREEN

    def row(self) -> dict[str, Any]:
        return {"level": self.level, **asdict(self)}


@dataclass(slots=True)
class Figures:
    """Of the episodes of a source that were looked at: how many, those set aside by reason with an example, how many
    carry each flag, seconds of events at their level in all, at rest (and still), unknown."""

    episodes: int = 0
    aside: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    idle: float = 0.0
    unknown: float = 0.0
    left_out: int = 0  # by a rule of the user's
    barren: str = ""  # why no sample came of it
    dead: tuple[str, ...] = ()  # cameras that show nothing for most of the time


def of_source(
    source: str,
    layout: Layout | None,
    findings: Sequence[Finding],
    notes: Sequence[str],
    figures: Figures,
    certainty: float,
    lost: str | None = None,
    rights: Rights | None = None,
) -> Verdict:
    """layout None, `lost` says why: the source cannot be used. rights None: nobody has looked."""
    if lost is not None:
        return Verdict(source, (Because(RED, lost, "mend that, or leave the source out"),))
    found = [*_of_layout(layout, findings, certainty), *_of_figures(figures), *_of_flags(figures)]
    found += [*_of_rights(rights), *(Because(YELLOW, note) for note in notes)]
    return Verdict(source, tuple(found))


def _of_layout(layout: Layout | None, findings: Sequence[Finding], certainty: float) -> Iterator[Because]:
    if layout is None:
        return
    for array in ("state", "action"):
        if not getattr(layout, array):
            yield Because(YELLOW, f"no {array} is logged", f"name its columns in a profile, {array}: [COLUMN, ...]")
    yield from (
        Because(YELLOW, str(f), "--set 'ingest.profile={SOURCE: FILE}' gives a source a profile of its own")
        for f in findings
        if f.what.startswith("profile ")
    )
    if not layout.inferred:
        return
    unsure = [f.what for f in findings if f.sure < certainty and not f.what.startswith(("gripper", "no gripper"))]
    yield Because(
        YELLOW,
        "no robot profile fits: how it is read was told from names, units and physics"
        + (f"; least sure: {'; '.join(unsure[:3])}" if unsure else ""),
        "corpus check --source URI --write-profile mine.yaml, edit it, check and build with "
        "--set 'ingest.profile={SOURCE: mine.yaml}'",
    )


def _of_rights(rights: Rights | None) -> Iterator[Because]:
    if rights is not None and not rights.licence:
        beside = f"; {rights.file} lies beside it, and is not read" if rights.file else ""
        yield Because(
            YELLOW,
            f"its licence is unknown: nobody can tell what a corpus of it may be used for{beside}",
            "put license: into the front matter of its README.md, or build with "
            "--set 'ingest.licences={SOURCE: CC-BY-4.0}'",
        )


def _of_figures(figures: Figures) -> Iterator[Because]:
    aside = sum(figures.aside.values())
    if figures.left_out and figures.left_out == figures.episodes:
        said = "ingest.where leaves out all of its episodes"
        yield Because(YELLOW, said, "is a name in it misspelt? what nobody says is null")
    if figures.dead:
        names = ", ".join(figures.dead)
        yield Because(
            RED if figures.barren else YELLOW,
            f"camera {names} shows nothing for most of the time" + (f": {figures.barren}" if figures.barren else ""),
            f"--set 'ingest.ignore_cameras=[{names}]' goes without, --set shard.pictures=keep takes them all the same",
        )
    elif figures.barren:
        yield Because(RED, f"no sample came of it: {figures.barren}", "the report shows its events")
    if figures.episodes and aside > ASIDE * figures.episodes:
        level = RED if aside > TOO_MANY * figures.episodes else YELLOW
        for reason, number in sorted(figures.aside.items(), key=lambda r: -r[1]):
            then = "git lfs pull" if "Git LFS" in figures.examples.get(reason, "") else _mend(reason)
            yield Because(
                level, f"{number} of {figures.episodes} episodes set aside, {reason}: {figures.examples[reason]}", then
            )
    if figures.seconds > 0 and figures.idle > IDLE * figures.seconds:
        yield Because(
            YELLOW,
            f"at rest {figures.idle / figures.seconds:.0%} of the time: no such event is in a shard",
            "look at the recordings: is a joint, an arm or the base missing from the profile?",
        )
    if figures.seconds > 0 and figures.unknown > UNKNOWN * figures.seconds:
        yield Because(
            YELLOW,
            f"unknown {figures.unknown / figures.seconds:.0%} of the time: what is done cannot be told",
            "a profile that says what closes the gripper helps most",
        )


def _mend(reason: str) -> str:
    return {
        Reason.MISSING_CAMERA.value: "add the files, or build with --set ingest.video=ignore",
        Reason.TOO_SHORT.value: "--set ingest.min_rows=N keeps shorter ones",
        Reason.TIME_GAP.value: "--set ingest.max_gap_s=S allows longer holes",
        Reason.STATE_JUMP.value: "is the unit right? --set ingest.max_joint_speed_rad_s=V allows faster ones",
        Reason.GRIPPER_OUT_OF_RANGE.value: "is the gripper's range in the profile right?",
        Reason.LENGTH_MISMATCH.value: "--set align.max_length_difference=N allows more",
    }.get(reason, "corpus quarantine says more after a build")


def _of_flags(figures: Figures) -> Iterator[Because]:
    read = figures.episodes - sum(figures.aside.values()) - figures.left_out
    for flag, (what, then) in WORDS.items():
        number = figures.flags.get(flag.value, 0)
        if number:
            share = "" if number == read else f" ({number} of {read} episodes)"
            yield Because(YELLOW, what + share, then)


def lines(verdict: Verdict) -> Iterator[str]:
    """As they are printed."""
    yield f"verdict    {verdict.source}: {verdict.level}"
    for reason in verdict.because:
        mark = "" if reason.level != RED else "red: "
        yield f"           {mark}{reason.what}"
        if reason.then:
            yield f"           -> {reason.then}"


def rights_lines(rights: Rights) -> Iterator[str]:
    """What is known of whose a source is, as it is printed."""
    if rights.licence:
        whom = f", to be named: {rights.attribution}" if rights.attribution else ""
        yield f"           licence {rights.licence} ({rights.said_by}){whom}"


def rights_for_nobody(config: IngestConfig, found: Survey) -> Iterator[str]:
    """A line a source that a licence or an attribution is given for, and that is not there."""
    for key in sorted(config.UNHASHED):
        given = getattr(config, key)
        for name in sorted(set(given) - set(found.datasets)) if isinstance(given, dict) else ():
            yield f"ingest.{key}: {name!r} is no source here; there are {', '.join(sorted(found.datasets))}"


def worst(verdicts: Sequence[Verdict]) -> str:
    levels = {v.level for v in verdicts}
    return RED if RED in levels else YELLOW if YELLOW in levels else GREEN


def from_rows(rows: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """What `Verdict.row` gave."""
    return [Verdict(r["source"], tuple(Because(**b) for b in r["because"])) for r in rows]
