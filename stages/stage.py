"""What a stage is: declared once, in its package; `pipeline/stages.py` lists all of them in order.

Whatever must know of stages (planning, the ledger, verify, repair, gc, compact, status, the report, the golden test)
derives it from these declarations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from schemas.table import Table
from stages.work import Inputs, Outcome, Unit, Workspace

if TYPE_CHECKING:
    import polars as pl

    from schemas.episodes import Label
    from stages.ingest.survey import Survey
    from stages.review.overlay import Overlay

C = TypeVar("C", bound=BaseModel)
P = TypeVar("P")


class Scope(StrEnum):
    """What an item of a stage is: an episode (source/000003), a camera of one (source/000003@wrist), a source, the
    corpus as a whole, a tar of a release."""

    EPISODE = "episode"
    CAMERA = "camera"
    SOURCE = "source"
    CORPUS = "corpus"
    TAR = "tar"


class Plan(Protocol):
    """What a stage may ask of the driver while its units are planned; the stages before it are done then."""

    @property
    def survey(self) -> Survey: ...

    @property
    def labels(self) -> Mapping[str, Sequence[Label]]:
        """People's labels by episode."""

    @property
    def review(self) -> Mapping[str, Overlay]:
        """What people have decided on the review page, by episode."""

    def config(self, stage: Stage[C, Any]) -> C:
        """The configuration of a stage."""

    def alive(self, stage: Stage[Any, Any]) -> pl.DataFrame:
        """Items that a stage has done and not set aside: item, fingerprint, episode_id, source."""

    def prints(self, stage: Stage[Any, Any], items: Sequence[str]) -> Mapping[str, str]:
        """Fingerprints of items of the stage that is being planned."""

    def rows(self, table: Table[Any], columns: Sequence[str], items: pl.DataFrame | None = None) -> pl.DataFrame:
        """Columns of a table that a stage before has written, rows that count; of other items (item, fingerprint) than
        those that count where they are given."""

    def last(self, stage: Stage[Any, Any]) -> pl.DataFrame:
        """The item of a stage that sees the corpus as a whole, under the fingerprint of its last work that came to an
        end, whatever has become of that since: item, fingerprint; nothing where there was none."""

    def unchanged(self, stage: Stage[Any, Any]) -> bool:
        """Whether the last build had the same configuration of a stage."""

    def done(self, stage: Stage[Any, Any], items: pl.DataFrame) -> bool:
        """Whether all of some items (item, fingerprint) are committed."""

    def settings(self, stage: Stage[Any, Any]) -> str:
        """A hash of all that a stage's items share: name, version, configuration."""

    def place(self, path: str) -> str:
        """The URI of a path inside the corpus."""

    def figure(self, stage: Stage[Any, Any], items: pl.DataFrame, name: str) -> float:
        """A figure of items, added up."""

    def file(self, stage: Stage[Any, Any], name: str) -> tuple[str, str] | None:
        """(path, sha256) of a file that a stage of the corpus as a whole has written; None where it has not."""


@dataclass(frozen=True, slots=True)
class Stage(Generic[C, P]):
    """One stage. Its items and their fingerprints follow from the tables that it reads: episodes that all stages
    before it have done, under a hash of its name, version, configuration and their fingerprints."""

    name: str
    version: int  # raised whenever what comes out changes
    config: type[C]
    scope: Scope
    reads: tuple[Table[Any], ...]
    writes: tuple[Table[Any], ...]
    payload: Callable[[Plan, Sequence[str], Inputs], P]  # of a unit of these items
    run: Callable[[Unit[P], Workspace, C], Outcome] | None = None  # in a worker; None: the driver does it itself
    section: str = ""  # of the configuration, where it is not the stage's name
    unhashed: frozenset[str] = frozenset()  # keys of the configuration that `also` accounts for
    # item, episode_id, source, and `also` (what it depends on) or `fingerprint`; items of one `group` are never split
    items: Callable[[Plan], pl.DataFrame] | None = None
    # what it depends on besides its inputs: `also`, by `episode_id` or `source`, or one row for all
    also: Callable[[Plan], pl.DataFrame] | None = None
    # given what is wanted, with fingerprints: the same, with those of an earlier build where its work goes on serving
    serving: Callable[[Plan, pl.DataFrame], pl.DataFrame] | None = None
    again: str = ""  # a figure of an item: where it is over 0 the next build does that item again
    pictures: bool = False  # it reads proxies
    gpu: bool = False  # it can use one
    shown: bool = True  # in status and on the screen

    @property
    def key(self) -> str:
        """Its section of the configuration."""
        return self.section or self.name


def inputs_of(_: Plan, __: Sequence[str], inputs: Inputs) -> Inputs:
    """The payload of a stage that needs its input tables and nothing else."""
    return inputs
