"""How much of a source is read: the one place that says so, and the readers that keep to it.

In: a URI. Out: JSON values, lines, Arrow tables. A file costs no more than the metadata makes plausible: its size is
looked at before it is read, a Parquet file's rows and values before they are decoded (50 million equal rows fit in a
megabyte), nesting before anything walks it. What goes beyond a bound raises `Unreadable` with the bound in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from stages import storage

MB = 1 << 20
JSON_BYTES = 64 * MB  # of a file that is one JSON or YAML value
LINE_BYTES = 16 * MB  # of a line of a .jsonl file
DEPTH = 64  # nesting of a value
VALUES = 5_000_000  # values in it, those counted twice that are named twice (YAML)
LINE_VALUES = 100_000  # values in a line of a .jsonl file
EPISODES = 2_000_000  # that a source may list
FOOTER_BYTES = 64 * MB  # of a Parquet file's description of itself
COLUMNS = 20_000  # of a Parquet file
DECODED_BYTES = 512 * MB  # of the wanted columns of a Parquet file
FIRST_ROWS = 64  # of a Parquet file that are decoded first, to see how large they are
BATCH_BYTES = 64 * MB  # that are decoded at a time, by the size of the rows before
WHOLE_BYTES = 64 * MB  # a file up to this size is fetched at once; of a larger one only what is wanted
WIDTH = 4096  # values of a feature in one row
PIXELS = 8192 * 8192  # of a picture: 100 MB in memory
FOLDERS = 100_000  # that are looked into for datasets
POINTER = "{uri} is a Git LFS pointer, not the file itself: run `git lfs pull` where it was cloned"
_LFS = b"version https://git-lfs"


class Unreadable(ValueError):
    """A file of a source that cannot be read, or not within bounds; the message names it."""


def json_file(uri: str) -> Any:
    """The value in a JSON file. Raises FileNotFoundError, Unreadable."""
    return parse(_bytes(uri), uri, json.loads, "JSON")


def yaml_file(uri: str) -> Any:
    """The value in a YAML file. Raises FileNotFoundError, Unreadable."""
    return parse(_bytes(uri), uri, yaml.safe_load, "YAML")


def parse(data: bytes, where: str, parser: Callable[[str], Any], what: str, most: int | None = None) -> Any:
    """The value in `data`, not deeper than DEPTH, of `most` values (VALUES if not given). Raises Unreadable."""
    most = VALUES if most is None else most
    try:
        value = parser(data.decode("utf-8-sig"))
    except (ValueError, yaml.YAMLError, OverflowError) as error:
        raise Unreadable(f"{where} is not {what}: {_brief(error)}") from error
    except RecursionError as error:
        raise Unreadable(f"{where} is nested too deep to be read; at most {DEPTH} levels are") from error
    level, seen, deep = [value], 0, 0
    while level:
        seen, deep = seen + len(level), deep + 1
        if deep > DEPTH or seen > most:
            raise Unreadable(f"{where} is too large a value: at most {DEPTH} levels and {most} values are read")
        level = list(islice((inner for outer in level for inner in _inside(outer)), most + 1))
    return value


def json_lines(uri: str) -> Iterator[tuple[int, Any]]:
    """(line number, its value; Unreadable where it is none) of a .jsonl file. Raises FileNotFoundError, Unreadable."""
    for number, line in enumerate(_lines(uri), 1):
        if number > EPISODES:
            raise Unreadable(f"{uri} has more than {EPISODES} lines, which is the most that is read")
        if line.strip():
            try:
                yield number, parse(line, f"{uri}, line {number}", json.loads, "JSON", LINE_VALUES)
            except Unreadable as error:
                yield number, error


def table(uri: str, columns: Sequence[str] | None = None, most_rows: int = EPISODES) -> pa.Table:
    """The wanted columns (None: all) that a Parquet file has. Raises FileNotFoundError, Unreadable."""
    try:
        with storage.opened(uri) as (file, size):
            source = pa.BufferReader(file.read()) if size <= WHOLE_BYTES else file
            _footer(source, size, uri)
            parquet = pq.ParquetFile(source, page_checksum_verification=True)
            about, names = parquet.metadata, parquet.schema_arrow.names
            if len(names) > COLUMNS:
                raise Unreadable(f"{uri} has {len(names)} columns, at most {COLUMNS} are read")
            wanted = list(names) if columns is None else [c for c in dict.fromkeys(columns) if c in set(names)]
            twice = sorted(c for c in set(wanted) if names.count(c) > 1)
            if twice:
                raise Unreadable(f"{uri} has column {', '.join(twice)} more than once")
            if about.num_rows > most_rows:
                raise Unreadable(
                    f"{uri} has {about.num_rows} rows; by its metadata at most {most_rows} are plausible, and read"
                )
            return _decoded(parquet, wanted, uri)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise Unreadable(f"{uri} cannot be read as Parquet: {_brief(error)}") from error


def column_names(uri: str) -> list[str]:
    """Names of a Parquet file's columns. Raises FileNotFoundError, Unreadable."""
    try:
        with storage.opened(uri) as (file, size):
            _footer(file, size, uri)
            names: list[str] = pq.read_schema(file).names
            return names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise Unreadable(f"{uri} cannot be read as Parquet: {_brief(error)}") from error


def _decoded(parquet: pq.ParquetFile, wanted: list[str], uri: str) -> pa.Table:
    """The columns, decoded batch by batch: a dictionary makes gigabytes of a few kB, and no figure in the footer tells.

    Metadata of single columns are not asked for: those of a damaged footer end the process.
    """
    first = next(parquet.iter_batches(FIRST_ROWS, columns=wanted), None)
    if first is None or not first.num_rows:
        return parquet.read(columns=wanted)
    rows = max(FIRST_ROWS, min(65_536, BATCH_BYTES * first.num_rows // max(1, first.nbytes)))
    size, batches = 0, []
    for batch in parquet.iter_batches(rows, columns=wanted):
        size += batch.nbytes
        if size > DECODED_BYTES:
            raise Unreadable(f"{uri}: over {DECODED_BYTES // MB} MB when decoded, which is the most that is read")
        batches.append(batch)
    return pa.Table.from_batches(batches)


def head(uri: str, most: int) -> bytes:
    """The first bytes of a file. Raises FileNotFoundError."""
    with storage.opened(uri) as (file, size):
        data: bytes = file.read(min(size, most))
    return data


def is_pointer(uri: str) -> bool:
    """Whether a file is what git leaves of one without git-lfs."""
    with storage.opened(uri) as (file, size):
        return size <= 1024 and bool(file.read(len(_LFS)) == _LFS)


def _footer(source: Any, size: int, uri: str) -> None:
    """How long a Parquet file says that its footer is, before anything believes it."""
    if size < 12:
        raise Unreadable(f"{uri} has {size} bytes: no Parquet file")
    source.seek(size - 8)
    end = source.read(8)
    if end[4:] != b"PAR1" and size <= 1024 and is_pointer(uri):
        raise Unreadable(POINTER.format(uri=uri))
    if end[4:] != b"PAR1":
        raise Unreadable(f"{uri} does not end as a Parquet file ends; it was cut, or is none")
    length = int.from_bytes(end[:4], "little")
    if length > min(size, FOOTER_BYTES):
        raise Unreadable(f"{uri}: a footer of {length} bytes, at most {min(size, FOOTER_BYTES)} are read")
    source.seek(0)


def _bytes(uri: str) -> bytes:
    with storage.opened(uri) as (file, size):
        if size > JSON_BYTES:
            raise Unreadable(f"{uri} has {size} bytes, at most {JSON_BYTES} are read")
        data: bytes = file.read()
    return data


def _lines(uri: str) -> Iterator[bytes]:
    rest = b""
    with storage.opened(uri) as (file, _):
        while block := file.read(MB):
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
            if len(rest) > LINE_BYTES:
                raise Unreadable(f"{uri} has a line of over {LINE_BYTES} bytes, which is the most that is read")
    if rest:
        yield rest


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list | tuple | set):
        yield from value


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
