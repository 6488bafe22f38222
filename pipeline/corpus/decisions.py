"""The `decisions` table of a corpus: immutable Parquet parts under `decisions/`, which no build writes and `gc` leaves
alone.

In: rows that a review server has on its own disk. Out: a part, named by its content, so that one atomic write publishes
it, twice is once, and damage shows. Readers take every row once, whatever parts hold it, so that small parts may become
one at any time: that is in place before they go. A damaged part stops a build and a merge: what people have said would
silently count no more.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Collection, Sequence
from typing import cast

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.review.decisions import DECISIONS, LATER, DecisionRow
from schemas.table import SchemaError
from stages import storage
from stages.review.fold import fold
from stages.review.overlay import Overlay, overlays

FOLDER = "decisions"
PART = re.compile(r"(\d{13})-([0-9a-f]{16})\.parquet")
SETTLED_MS = 24 * 60 * 60 * 1000  # a part this old is merged with others,
MOST = 64  # and a newer one too where there are more of them
FULL = 16 * 1024 * 1024  # bytes of parts that become one; larger ones stay, so that no merge writes all of them again


class DamagedDecisions(ValueError):
    """A part of the decisions that is not as it was written."""


def publish(root: str, rows: Sequence[DecisionRow]) -> str:
    """Write rows as a part; its name. Raises SchemaError, storage.Unusable."""
    sink = io.BytesIO()
    pq.write_table(DECISIONS.build(rows), sink, compression="zstd", write_page_checksum=True)
    blob = sink.getvalue()
    name = f"{min(r['time_ms'] for r in rows):013d}-{hashlib.sha256(blob).hexdigest()[:16]}.parquet"
    storage.write_bytes(storage.join(root, FOLDER, name), blob)
    return name


def parts(root: str) -> list[str]:
    """Names of all parts, oldest first."""
    return sorted(n for n in storage.listing(storage.join(root, FOLDER)) if PART.fullmatch(n))


def read(root: str, but: Collection[str] = ()) -> list[DecisionRow]:
    """All decisions once, in order of time; but: parts to leave out. Raises DamagedDecisions."""
    found, done, seen = dict[str, DecisionRow](), set(but), None
    while (names := parts(root)) != seen:  # until none has come or gone while they were listed and read
        for name in names:
            if name not in done:
                _take(found, _part(root, name), root)
        done.update(names)
        seen = names
    return sorted(found.values(), key=lambda r: (r["time_ms"], r["decision_id"]))


def _take(found: dict[str, DecisionRow], rows: Sequence[DecisionRow], root: str) -> None:
    """Rows among those that were found, each id once. Ids of an import are hashes of what is done: two machines that
    took up one file at a time say the same, each at its own time, and the earlier one counts. Raises
    DamagedDecisions."""
    for row in rows:
        other = found.setdefault(row["decision_id"], row)
        if other is not row and {**other, **_when(row)} != row:
            raise DamagedDecisions(f"{root}/{FOLDER} has two decisions of the id {row['decision_id']}")
        if row["time_ms"] < other["time_ms"]:
            found[row["decision_id"]] = row


def _when(row: DecisionRow) -> dict[str, object]:
    """What two of one id may differ in."""
    return {"time_ms": row["time_ms"], "machine": row["machine"]}


def to_merge(root: str, now_ms: int) -> list[list[str]]:
    """Parts that can become one, oldest first, group by group; now_ms: since 1970."""
    sizes = {n: f.size for n, f in storage.listing(storage.join(root, FOLDER)).items() if PART.fullmatch(n)}
    names = sorted(n for n, size in sizes.items() if size < FULL)
    settled = [n for n in names if int(n[:13]) < now_ms - SETTLED_MS]
    groups, total = [list[str]()], 0
    for name in names if len(names) - len(settled) > MOST else settled:
        if total + sizes[name] > FULL:
            groups, total = [*groups, []], 0
        groups[-1].append(name)
        total += sizes[name]
    return [group for group in groups if len(group) > 1]


def merge(root: str, now_ms: int) -> tuple[int, int]:
    """(parts before, parts after) small ones have become few. To be called by who holds the corpus, while servers may
    publish: a merged part is whole in its place before those that it holds go. Raises DamagedDecisions, with nothing
    written of the group that holds it, storage.Unusable."""
    before, gone = len(parts(root)), 0
    for group in to_merge(root, now_ms):
        rows: dict[str, DecisionRow] = {}
        for name in group:
            _take(rows, _part(root, name), root)
        made = publish(root, list(rows.values()))
        if {row["decision_id"]: row for row in _part(root, made)} != rows:  # a part is in order of ids, not of time
            raise DamagedDecisions(f"{root}/{FOLDER}/{made} does not hold what was written to it")
        for name in set(group) - {made}:
            storage.remove(storage.join(root, FOLDER, name))
            gone += 1
        gone -= made not in group
    return before, before - gone


def forget(root: str, episodes: Collection[str], dry: bool = False) -> int:
    """Take out what was decided about episodes that are to be forgotten: parts that hold such rows are written anew
    without them before they go. How many rows; dry: would go. Raises DamagedDecisions, storage.Unusable."""
    gone = 0
    for name in parts(root):
        rows = _part(root, name)
        kept = [row for row in rows if row["episode_id"] not in episodes]
        gone += len(rows) - len(kept)
        if len(kept) < len(rows) and not dry:
            if kept:
                publish(root, kept)
            storage.remove(storage.join(root, FOLDER, name))
    return gone


def overlays_of(root: str) -> dict[str, Overlay]:
    """What all of them together give to a build, by episode. Raises DamagedDecisions."""
    return overlays(fold(read(root)))


def damaged(root: str) -> list[str]:
    """Parts that are not as they were written."""
    bad = []
    for name in parts(root):
        try:
            _part(root, name)
        except DamagedDecisions:
            bad.append(f"{FOLDER}/{name}")
    return bad


def _part(root: str, name: str) -> list[DecisionRow]:
    uri, match = storage.join(root, FOLDER, name), PART.fullmatch(name)
    words = f"{uri} is not as it was written: the store of the server that wrote it, or a backup, has what it held"
    try:
        try:
            blob = storage.read_bytes(uri)
        except FileNotFoundError:
            if name in parts(root):
                raise
            return []  # merged since its name was read: what it held is in a part that is there now
        if match is None or hashlib.sha256(blob).hexdigest()[:16] != match[2]:
            raise DamagedDecisions(words)
        table = _of_today(pq.read_table(pa.BufferReader(blob))).cast(DECISIONS.schema)
        DECISIONS.validate(table)
    except (OSError, pa.ArrowException, SchemaError) as error:
        raise DamagedDecisions(f"{words} ({error})") from error
    return cast("list[DecisionRow]", table.to_pylist())


def _of_today(table: pa.Table) -> pa.Table:
    """With the columns that were not there yet when it was written."""
    for name, value in LATER.items():
        if name not in table.column_names:
            kind = DECISIONS.schema.field(name).type
            table = table.append_column(name, pa.array([value] * table.num_rows, kind))
    return table
