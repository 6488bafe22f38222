"""Episodes that were forgotten on request are not read again, and no other is passed over in their place.

In: tombstones, and what a source lists now. An entry with the name and identity (files, place in them) of a tombstone
is the forgotten episode: it leaves the survey, and no file of it is opened. Numbers, names and files move, though: a
LeRobot dataset of which an episode is deleted counts the others anew. So each log that is read is held against the
tombstones by its values; the same ones under any name are refused, and another recording under a forgotten name is
used. Where the forgotten episode was never read, its values are not known: what bears its name is refused, and told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from schemas.reasons import Quarantined, Reason
from schemas.signals import SignalRow
from schemas.tombstones import Tombstone
from stages.ingest.survey import Survey

TOLD = 16  # hex digits of a log's hash in a refusal, by which its tombstone is found again
LOGGED = ("state", "action")  # streams as logged: no setting and no profile changes them


def content_of(rows: Iterable[SignalRow]) -> str:
    """Hash of the values of an episode's log, in whatever file they lie; empty where it has none of them.

    Times are not in it: converters write them anew.
    """
    own = {row["stream"]: row for row in rows if row["stream"] in LOGGED}
    if not own:
        return ""
    digest = hashlib.sha256()
    for stream in sorted(own):
        values = np.ascontiguousarray(own[stream]["values"], dtype="<f4")
        digest.update(f"{stream} {own[stream]['width']} {len(values)};".encode() + values.tobytes())
    return digest.hexdigest()


def pass_over(found: Survey, tombstones: Sequence[Tombstone]) -> None:
    """Take out of a survey what is known to be forgotten; `found.passed` names it."""
    known = pl.DataFrame(
        [(t.episode_id, t.identity) for t in tombstones if t.identity],
        schema={"episode_id": pl.String, "identity": pl.String},
        orient="row",
    )
    gone = found.episodes.join(known, on=["episode_id", "identity"], how="semi")["episode_id"].to_list()
    kept = ~pl.col("episode_id").is_in(gone)
    found.forgotten, found.passed = tuple(tombstones), gone
    found.episodes, found.cameras = found.episodes.filter(kept), found.cameras.filter(kept)


def refuse(name: str, rows: Sequence[SignalRow], tombstones: Sequence[Tombstone]) -> None:
    """Raises Quarantined(FORGOTTEN) for a log whose values were forgotten, under whatever name."""
    content = content_of(rows) if tombstones else ""
    for stone in tombstones:
        if content and content == stone.content:
            words = (
                f"its log ({content[:TOLD]}) is, value for value, that of an episode that was forgotten on {stone.at}"
            )
            raise _forgotten(words)
        if name == stone.episode_id and not content:
            raise _forgotten(f"{_bears(stone)}, and its log has no values to tell whether this is it")


def refuse_unread(name: str, tombstones: Sequence[Tombstone]) -> None:
    """Raises Quarantined(FORGOTTEN) for a forgotten name of which no log was ever read."""
    own = [stone for stone in tombstones if name == stone.episode_id]
    if own and not any(stone.content for stone in own):
        raise _forgotten(f"{_bears(own[0])}, and never read: nobody can tell whether this is it")


def refuse_unreadable(name: str, tombstones: Sequence[Tombstone]) -> None:
    """Raises Quarantined(FORGOTTEN) for a forgotten name whose log cannot be read now: a refusal of another kind would
    show what is in it."""
    for stone in tombstones:
        if name == stone.episode_id:
            raise _forgotten(f"{_bears(stone)}, and its log cannot be read to tell whether this is it")


def _bears(stone: Tombstone) -> str:
    return f"an episode of this name was forgotten on {stone.at}"


def _forgotten(words: str) -> Quarantined:
    """Tried again by each build, since a tombstone can be taken back."""
    cure = "corpus forget --list shows it, corpus forget --recall takes it back"
    return Quarantined(Reason.FORGOTTEN, f"{words} ({cure})", retryable=True)
