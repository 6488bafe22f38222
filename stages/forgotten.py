"""Episodes that were forgotten on request are not read again, and no other is passed over in their place.

In: tombstones, and the log of an episode. Out: nothing, or a refusal. An entry with the name and identity (files, place
in them) of a tombstone leaves the survey (`Survey.pass_over`), and no file of it is opened. Numbers, names and files
move, though: a LeRobot dataset of which an episode is deleted counts the others anew. So each log that is read is held
against the tombstones by its values; the same ones under any name are refused, and another recording under a forgotten
name is used. Where the forgotten episode was never read, its values are not known: what bears its name is
refused, and told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.reasons import Quarantined, Reason
from schemas.signals import SignalRow

TOLD = 16  # hex digits of a log's hash in a refusal, by which its tombstone is found again
LOGGED = ("state", "action")  # streams as logged: no setting and no profile changes them


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Of one episode. `identity`: a hash of its entry in the source and of its files, as the last survey had them
    (empty: the source was not at hand); `content`: a hash of the values of its log (empty: it was never read), the same
    under another name, number or format. `n_rows`, and `t0`, `t1` in s on the source's clock, are for people; null
    where it was never read. `at`: when, UTC; `by`: who asked; `releases`: that held it and were removed; `finished`:
    nothing of it is left."""

    episode_id: str
    recording_id: str
    dataset_uri: str
    identity: str
    content: str
    n_rows: int | None
    t0: float | None
    t1: float | None
    at: str
    by: str
    reason: str
    releases: tuple[str, ...] = ()
    finished: bool = False


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
