"""`corpus forget`: episodes go from a corpus for good, on request, and stay away.

In: names, who asks and why. Out: what went. The order makes it safe to be killed at any instant: tombstones first (from
then on no build reads those episodes), then what is to be found under their names, then a release without them in place
of the one in force, then releases and files that held them; last the tombstones say that it is finished. The same
command again does all steps again, and each finds only what is left of it.
"""

from __future__ import annotations

import getpass
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from rich.console import Console

from pipeline.config import config_for
from pipeline.corpus import tombstones
from pipeline.corpus.lock import locked
from pipeline.corpus.view import Corpus
from pipeline.forget import inscribe
from pipeline.forget.foreign import mentioning
from pipeline.forget.purge import Gone, Purge
from pipeline.forget.redraw import redraw
from stages import storage
from stages.forgotten import Tombstone
from stages.ingest import INGEST
from stages.ingest.survey import survey


@dataclass(slots=True)
class Forgotten:
    """What came of it. `again`: tombstones that were finished before, with nothing left to do; `stones`: of this time;
    `releases`: that went; `release`: in force now (None: none, and `why`); `drawn`: it was drawn anew; `twins`: other
    episodes with the same log; `foreign`: files that no build wrote and that name an episode."""

    stones: list[Tombstone] = field(default_factory=list)
    again: list[Tombstone] = field(default_factory=list)
    gone: Gone = field(default_factory=Gone)
    releases: list[str] = field(default_factory=list)
    drawn: bool = False
    release: str | None = None
    why: str = ""
    twins: dict[str, list[str]] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)


def forget(
    root: str, names: Sequence[str], console: Console, by: str = "", reason: str = "", dry_run: bool = False
) -> Forgotten:
    """Raises NotThere, DamagedPart, DamagedTombstone, NoCorpus, DamagedPlan, Locked, storage.Unusable."""
    corpus = Corpus(root)  # before the lock, which would make the folder of a corpus that is not there
    with locked(corpus.root):
        corpus, found = Corpus(root), Forgotten()
        stones = tombstones.read(corpus.root)
        there = inscribe.known(corpus)
        inscribe.asked_for(names, there, stones)
        inscribe.whole(corpus, dry_run)
        left = inscribe.unfinished(stones)  # of a command that was killed: all are finished together
        found.again = [s for s in stones if s.finished and s.episode_id in set(names) - there]
        new = sorted(set(names) & there - {s.episode_id for s in left})
        made = inscribe.inscribed(corpus, new, stones, _identities(corpus, new), *_signed(by), reason)
        found.stones = [*left, *made]
        found.releases = sorted({r for s in found.stones for r in s.releases})
        if found.stones:
            found.twins = inscribe.twins(corpus, made)
            _purge(corpus, found, made, console, dry_run)
        for stone in found.again if not dry_run else ():
            tombstones.write(corpus.root, stone)  # both copies whole
        return found


def _purge(corpus: Corpus, found: Forgotten, made: Sequence[Tombstone], console: Console, dry: bool) -> None:
    names = frozenset(s.episode_id for s in found.stones)
    purge = Purge(corpus, names, dry, found.gone)
    if not dry:
        for stone in made:
            tombstones.write(corpus.root, stone)
    purge.plan()
    purge.ledgers()
    purge.answers()
    purge.decisions()
    purge.media()
    found.release = corpus.manifest["release"]
    found.drawn = found.release in found.releases
    if dry:
        found.foreign = mentioning(corpus.root, names)
        return
    if found.drawn:
        found.release, found.why = redraw(Corpus(corpus.root, corpus.stages), console)
    purge = Purge(Corpus(corpus.root, corpus.stages), names, dry, found.gone)
    for release in found.releases:
        if release != found.release:
            purge.release(release)
    purge.leftovers()
    found.foreign = mentioning(corpus.root, names)
    for stone in found.stones:
        tombstones.write(corpus.root, replace(stone, finished=True))


def _identities(corpus: Corpus, names: Sequence[str]) -> dict[str, str]:
    """{episode: identity} of those that the sources of the last build list now, as far as they are at hand."""
    if not names:
        return {}
    config = config_for(corpus.stages).model_validate(corpus.manifest["config"])
    sources = [f"{name}={uri}" for name, uri in corpus.manifest["sources"].items()]
    try:
        found = survey(sources, config.of(INGEST))
    except storage.Unusable:  # the corpus is all that is needed
        return {}
    return dict(found.episodes.select("episode_id", "identity").iter_rows())


def _signed(by: str) -> tuple[str, str]:
    """(when, by whom)."""
    return datetime.now(UTC).isoformat(timespec="seconds"), by or f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return "unknown"
