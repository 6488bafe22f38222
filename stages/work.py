"""What passes between the driver and a stage: a unit of work goes in, an outcome comes out.

In: a `Unit` (names, fingerprints, a typed payload) and a `Workspace`, through which a stage reads its tables and writes
its media, wherever they lie. Out: an `Outcome`. A bad item becomes a quarantine row and the others go on: `each` holds
the blanket `except`, since an error of ours in one episode must not cost a night's build; it becomes `internal_error`
with its traceback, retryable.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import pyarrow as pa

from schemas.reasons import Quarantined, Reason
from schemas.table import Table
from stages import storage

P = TypeVar("P", covariant=True)
R = TypeVar("R")
TRACE = 1500  # characters of a traceback that are kept


@dataclass(frozen=True, slots=True)
class Unit(Generic[P]):
    """Work for one task: items (name, fingerprint) of a stage, and what the stage needs to do them."""

    stage: str
    items: tuple[tuple[str, str], ...]
    payload: P
    sources: Mapping[str, str]  # item -> source, for quarantine rows

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.items)


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where a unit's inputs lie: {table: {part: items in it}}, and {proxy: its sha256} for a stage that asks for
    pictures."""

    parts: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    media: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """A file that a stage has put in place: path inside the corpus, bytes, sha256."""

    path: str
    bytes: int
    sha256: str


class Workspace(Protocol):
    """A corpus as a stage sees it while it works on one unit."""

    def rows(self, table: Table[R], episode: str) -> list[R]:
        """Rows of an episode in an input table, in key order; lists of numbers are NumPy arrays."""

    def batches(self, table: Table[Any], columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """An input table part by part, each sorted by its key: what is held at once is one part."""

    def media(self, path: str) -> AbstractContextManager[str]:
        """A local path with a file of `media/`, hashed before it is used. Raises Quarantined(DAMAGED_FILE)."""

    def write(self, path: str) -> AbstractContextManager[str]:
        """A local path to write a file of the corpus to; on a clean exit it is flushed and put in place."""

    def place(self, path: str) -> str:
        """The URI of a path inside the corpus, for what outlives a unit: answers that were paid for."""

    def written(self, path: str) -> Written:
        """That file, once it is in place."""

    def kept(self, make: Callable[..., Any], *about: Any) -> Any:
        """What `make(*about)` returns, made once in the life of this process: a model, say."""


@dataclass(slots=True)
class Outcome:
    """What a stage made of a unit."""

    rows: dict[str, list[Any]] = field(default_factory=dict)  # by table
    refused: dict[str, Quarantined] = field(default_factory=dict)
    events_refused: list[tuple[str, Quarantined]] = field(default_factory=list)
    counts: dict[str, dict[str, float]] = field(default_factory=dict)
    blobs: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    files: dict[str, Written] = field(default_factory=dict)

    def add(self, table: Table[R], rows: Iterable[R]) -> None:
        self.rows.setdefault(table.name, []).extend(rows)

    def count(self, item: str, **figures: float) -> None:
        """Add figures of an item: they count for as long as the item does."""
        own = self.counts.setdefault(item, {})
        for name, number in figures.items():
            own[name] = own.get(name, 0) + number

    def each(self, items: Iterable[str], work: Callable[[str], None]) -> Outcome:
        """Call `work` for each item; what it raises sets that item aside."""
        for name in items:
            try:
                work(name)
            except storage.Unusable:
                raise
            except Exception as error:  # see the module's docstring
                self.refused[name] = as_quarantined(error)
        return self


def as_quarantined(error: Exception) -> Quarantined:
    """A Quarantined as it is; any other error as `internal_error` with the end of its traceback."""
    if isinstance(error, Quarantined):
        return error
    trace = "".join(traceback.format_exception(error))
    return Quarantined(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}\n{trace[-TRACE:]}", retryable=True)
