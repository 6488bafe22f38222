"""What a stage has done, in columns.

In: a checkpoint, kept as the compressed file that it is, and commits beside it. Out: frames of items and files to join
with what is wanted; only the columns that are asked for are unpacked. Of two commits for the same item and fingerprint
success counts before failure, and a failure for good before one that was to be tried again.
"""

from __future__ import annotations

import io
import operator
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

import polars as pl
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.corpus.commit import OK, QUARANTINED, RETRY, ROWS, Commit, from_rows, to_rows

KEY = ["item", "fingerprint"]
FILE = ["unit", "name", "path", "rows", "bytes", "sha256"]
STATUS, UNIT = pl.Enum([OK, QUARANTINED, RETRY]), pl.Categorical()  # few values, many rows
AT_ONCE = 50_000  # rows of commits that are held as objects
RANK = {OK: 0, QUARANTINED: 1, RETRY: 2}  # what was set aside for good was not tried again


class State:
    """Commits of one stage: a checkpoint (`pipeline.corpus.commit.ROWS` as Parquet), and others, which count before
    those of the same unit in it."""

    def __init__(self, stage: str, commits: Iterable[Commit] = (), checkpoint: bytes | None = None) -> None:
        self.stage, self._checkpoint = stage, checkpoint
        self._new: list[Commit] = []
        self._size = 0  # rows that _new will be
        self._beside = pl.DataFrame(schema=ROWS)
        self._items: pl.DataFrame | None = None
        self.changes = 0  # grows with every commit that is added
        for commit in commits:
            self.add(commit)

    def add(self, commit: Commit) -> None:
        self._new.append(commit)
        self._size += len(commit.items) + len(commit.files)
        self.changes += 1
        self._items = None
        if self._size > AT_ONCE:  # as objects they take ten times the room
            self._beside_all()

    def rows(
        self, kind: str | None = None, columns: Sequence[str] = tuple(ROWS), where: pl.Expr | None = None
    ) -> pl.DataFrame:
        """Rows of one kind (None: all), those that `where` is true of; in order of the units in the checkpoint, then
        of those beside it."""
        beside = self._beside_all()
        wanted = pl.lit(True) if kind is None else pl.col("kind") == kind
        wanted = wanted if where is None else wanted & where
        pieces = [beside.filter(wanted).select(columns)]
        if self._checkpoint is not None:
            lazy = pl.scan_parquet(io.BytesIO(self._checkpoint)).filter(wanted)
            if not beside.is_empty():
                lazy = lazy.filter(~pl.col("unit").is_in(beside["unit"].unique().to_list()))
            pieces.insert(0, lazy.select(columns).collect())
        return pl.concat(pieces)

    @property
    def items(self) -> pl.DataFrame:
        """item, fingerprint, status, unit; each item and fingerprint once."""
        if self._items is None:
            found = self._named([pl.col("status").cast(STATUS), pl.col("unit").cast(UNIT)])
            if found["item"].n_unique() < found.height:
                number = pl.int_range(pl.len(), dtype=pl.Int64)
                rank = pl.col("status").replace_strict(RANK, default=len(RANK))
                found = found.with_columns(rank=rank, number=number)
                found = found.sort("rank", "number", descending=[False, True]).unique(KEY, keep="first")
                found = found.sort("number").drop("rank", "number")
            self._items = found
        return self._items

    def let_go(self) -> None:
        """Forget `items` until they are asked for again."""
        self._items = None

    @property
    def files(self) -> pl.DataFrame:
        """unit, name, path, rows, bytes, sha256 of all files that commits name."""
        return self.rows("file", FILE).with_columns(pl.col("unit").cast(UNIT))

    def files_named(self, name: str) -> pl.DataFrame:
        """unit, path of the files of one name: a table's parts."""
        pieces = self._pieces("file", ["unit", "name", "path"], name)
        return pl.concat([p.filter(name=name).select(pl.col("unit").cast(UNIT), "path") for p in pieces])

    def files_of(self, units: Sequence[str], which: pl.Expr) -> pl.DataFrame:
        """The same as `files` of some units, those that `which` is true of."""
        pieces = (piece.filter(pl.col("unit").is_in(list(units)), which) for piece in self._pieces("file", FILE))
        return pl.concat([piece.with_columns(pl.col("unit").cast(UNIT)) for piece in pieces])

    def of(self, wanted: pl.DataFrame) -> pl.DataFrame:
        """`wanted` (item, fingerprint, ...) with status and unit; null where nothing is committed."""
        return looked_up(wanted, self.items, KEY)

    def status(self, item: str, fingerprint: str) -> str | None:
        """ok, quarantined, retry, or None where nothing is committed."""
        found = self.items.filter(item=item, fingerprint=fingerprint)["status"].to_list()
        return str(found[0]) if found else None

    def parts(self, table: str, wanted: pl.DataFrame) -> pl.DataFrame:
        """item, path: the parts of a table that hold wanted items (item, fingerprint, ...; unit where it is known)."""
        found = wanted if "unit" in wanted.columns else self.of(wanted).drop("status")
        return found.join(self.files_named(table), on="unit", how="inner", maintain_order="left").drop(
            "unit", "fingerprint"
        )

    def with_figure(self, name: str) -> pl.DataFrame:
        """item, fingerprint: items that were done and of which a figure is over 0."""
        sought = pl.col("counts").list.eval((pl.element().struct["name"] == name) & (pl.element().struct["value"] > 0))
        found = self.rows("item", ["name", "fingerprint", "status", "counts"], pl.col("status") == OK)
        return found.filter(sought.list.any()).select(item="name", fingerprint="fingerprint")

    def of_units(self, units: Sequence[str]) -> pl.DataFrame:
        """name, value: the figures of units."""
        found = self.rows("unit", ["unit", "counts"]).filter(pl.col("unit").is_in(list(units)))
        return found.select("counts").explode("counts").drop_nulls("counts").unnest("counts")

    def totals(self, live: pl.DataFrame) -> pl.DataFrame:
        """name, value: the figures of items (`live`: item, fingerprint, unit), added up, a piece of the ledger at a
        time."""
        own = self._named([pl.col("unit").cast(UNIT)])
        known = live.select(*KEY, "unit", counts=pl.lit(True)).unique()
        counts = looked_up(own, known, [*KEY, "unit"])["counts"].fill_null(False)
        del own
        sums, start = [], 0
        for piece in self._pieces("item", ["counts"]):
            found = piece.filter(counts[start : start + piece.height])
            start += piece.height
            figures = found.explode("counts").drop_nulls("counts").unnest("counts")
            sums.append(figures.group_by("name", maintain_order=True).agg(pl.col("value").sum()))
        return pl.concat(sums).group_by("name", maintain_order=True).agg(pl.col("value").sum())

    def _named(self, columns: Sequence[pl.Expr]) -> pl.DataFrame:
        """item, fingerprint and others of all rows of items, in the order of `_pieces`."""
        pieces = self._pieces("item", ["name", "fingerprint", "status", "unit"])
        return pl.concat([piece.select(pl.col("name").alias("item"), "fingerprint", *columns) for piece in pieces])

    def _pieces(self, kind: str, columns: list[str], name: str | None = None) -> Iterator[pl.DataFrame]:
        """Rows of one kind; of a checkpoint a group at a time, groups without any (or any of a name) passed over."""
        beside = self._beside_all()
        if self._checkpoint is not None:
            file, newer = pq.ParquetFile(io.BytesIO(self._checkpoint)), beside["unit"].unique().to_list()
            for number in range(file.num_row_groups):
                held = file.metadata.row_group(number).column(list(ROWS).index("kind")).statistics
                sought = held is None or held.min <= kind <= held.max
                if sought and name is not None:
                    sought = bool(pc.any(pc.equal(file.read_row_group(number, ["name"])["name"], name)).as_py())
                if sought:
                    piece = pl.from_arrow(file.read_row_group(number, list({"kind", "unit", *columns})))
                    assert isinstance(piece, pl.DataFrame)
                    yield piece.filter(~pl.col("unit").is_in(newer), kind=kind).select(columns)
        yield beside.filter(kind=kind).select(columns)

    def _beside_all(self) -> pl.DataFrame:
        if self._new:
            newest: dict[str, Commit] = {}
            for commit in self._new:
                newest.pop(commit.unit, None)  # a unit that was done again stands where it was done last
                newest[commit.unit] = commit
            before = self._beside.filter(~pl.col("unit").is_in(list(newest)))
            self._beside, self._new, self._size = pl.concat([before, to_rows(newest.values())]), [], 0
        return self._beside

    def units(self) -> list[str]:
        """All units, each once."""
        return self.rows("unit", ["unit"])["unit"].to_list()

    def commits(self, units: Sequence[str] | None = None) -> list[Commit]:
        """Commits as objects, by unit, all of them or some."""
        rows = self.rows().sort("unit", maintain_order=True)
        return from_rows(self.stage, rows if units is None else rows.filter(pl.col("unit").is_in(list(units))))


def looked_up(wanted: pl.DataFrame, known: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
    """`wanted` with the other columns of `known`, null where that has no such row: a left join on columns of text,
    which takes a fifth of the room, since it joins hashes and holds what it finds to the texts."""
    own, theirs = _hashed(wanted, on), _hashed(known, on)
    if theirs["hash"].n_unique() == theirs.height:
        at = own.join(theirs.with_row_index("at"), on="hash", how="left", maintain_order="left")["at"]
        if all((known[c].gather(at) == wanted[c]).all() for c in on):  # nulls do not count
            return wanted.with_columns(known[c].gather(at) for c in known.columns if c not in on)
    return wanted.join(known, on=on, how="left", maintain_order="left")


def _hashed(frame: pl.DataFrame, on: Sequence[str]) -> pl.DataFrame:
    first, *others = (pl.col(c).hash(seed) for seed, c in enumerate(on))
    return frame.select(reduce(operator.xor, others, first).alias("hash"))


def grouped(parts: pl.DataFrame) -> dict[str, list[str]]:
    """{path: its items} of `State.parts`."""
    found = parts.group_by("path", maintain_order=True).agg("item")
    return dict(zip(found["path"].to_list(), found["item"].to_list(), strict=True))
