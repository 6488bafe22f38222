"""The files of a dataset: which there are, and which of them are not to be opened.

In: a dataset's URI. Out: a `Listing`: identities by relative path, and what is refused, with why. Links that lead out
of the dataset are: what lies there was never given to us to read. Two kinds of link are its own: those to a place
inside it, and those of the Hugging Face Hub's cache, where a snapshot's files lie in `../../blobs`. Pipes, sockets and
devices are refused too: opening one may wait for ever.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stages import storage
from stages.storage import FileIdentity

LEAVES = "is a link that leaves the dataset, to {real} (ingest.links=follow reads it all the same)"
DEPTH = 16  # folders below each other


@dataclass(frozen=True, slots=True)
class Listing:
    """Files by path relative to `uri`, and {path: why it is not read}. A refused folder stands for all in it."""

    uri: str
    files: Mapping[str, FileIdentity]
    refused: Mapping[str, str] = field(default_factory=dict)

    def why_refused(self, path: str) -> str | None:
        """Why the file at a path is not read, None if nothing speaks against it."""
        parts = path.split("/")
        return next(
            (self.refused[p] for p in ("/".join(parts[:n]) for n in range(1, len(parts) + 1)) if p in self.refused),
            None,
        )


def listing(uri: str, follow: bool = False) -> Listing:
    """What lies in a dataset; follow: also through links that lead out of it."""
    if not storage.is_local(uri):
        return Listing(uri, storage.listing(uri))
    files: dict[str, FileIdentity] = {}
    refused: dict[str, str] = {}
    own, seen, folders = tuple(_own_places(uri)), {os.path.realpath(uri)}, [("", 0)]
    while folders:
        folder, depth = folders.pop()
        for path, entry in _entries(uri, folder):
            try:
                kind = entry.stat().st_mode
                real = os.path.realpath(entry.path) if entry.is_symlink() else None
            except OSError as error:
                refused[path] = f"cannot be looked at: {error.strerror}"
                continue
            if real is not None and not follow and not _lies_in(real, own):
                refused[path] = LEAVES.format(real=real)
            elif stat.S_ISREG(kind):
                files[path] = FileIdentity(storage.join(uri, path), entry.stat().st_size, entry.stat().st_mtime_ns)
            elif not stat.S_ISDIR(kind):
                refused[path] = "is a pipe, a socket or a device, no file"
            elif depth < DEPTH and real not in seen:  # a link to a folder that holds it would lead round in circles
                seen |= {real} if real is not None else set()
                folders.append((path, depth + 1))
    return Listing(uri, files, refused)


def beside(uri: str, names: Sequence[str], follow: bool = False) -> dict[str, str | None]:
    """{name: why it is not read, None where it may be} of those files that lie directly in a dataset, by the same
    rules, without listing all of it."""
    if not storage.is_local(uri):
        return {name: None for name in names if storage.exists(storage.join(uri, name))}
    own, found = tuple(_own_places(uri)), dict[str, str | None]()
    for name in names:
        path = os.path.join(uri, name)
        try:
            kind, real = os.stat(path).st_mode, os.path.realpath(path)
        except OSError:
            continue
        if os.path.islink(path) and not follow and not _lies_in(real, own):
            found[name] = LEAVES.format(real=real)
        elif not stat.S_ISDIR(kind):
            found[name] = None if stat.S_ISREG(kind) else "is a pipe, a socket or a device, no file"
    return found


def _lies_in(real: str, own: Sequence[str]) -> bool:
    return any(real == o or real.startswith(f"{o}/") for o in own)


def _entries(root: str, folder: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """(relative path, entry) of a folder; names that are no text are passed over: no metadata can name them."""
    try:
        with os.scandir(os.path.join(root, folder)) as found:
            for entry in found:
                if storage.is_text(entry.name):
                    yield (f"{folder}/{entry.name}" if folder else entry.name), entry
    except OSError:  # no right to look into it, or gone meanwhile: what is in it counts as absent
        return


def _own_places(uri: str) -> Iterator[str]:
    """Real places whose files are the dataset's own."""
    real = os.path.realpath(uri)
    yield real
    parts = real.split("/")
    for place in range(1, len(parts) - 1):  # <cache>/datasets--org--name/snapshots/<commit>, or a folder in it
        if parts[place] == "snapshots" and "--" in parts[place - 1]:
            yield "/".join([*parts[:place], "blobs"])
