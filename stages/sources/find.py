"""Where the logs are: source arguments become datasets, each under one name.

In: `URI` or `name=URI`, each a dataset or a folder that holds several. Out: {name: `Place`}: which format a folder is
of is asked of each adapter in turn.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from stages import storage
from stages.bounded import FOLDERS
from stages.sources.lerobot import LeRobot
from stages.sources.protocol import Format, SourceError
from stages.text import NAME, plain

MAX_DEPTH = 4
SNAPSHOTS = "snapshots"
FORMATS: tuple[Format, ...] = (LeRobot(),)


@dataclass(frozen=True, slots=True)
class Place:
    """A dataset: its URI, the format that knows it, and what to say of how it was found."""

    uri: str
    format: Format
    note: str = ""


def find_datasets(sources: Iterable[str], formats: Sequence[Format] = FORMATS) -> dict[str, Place]:
    """{source name: dataset}, in the order given. Raises SourceError for no dataset or two of one name."""
    found: dict[str, Place] = {}
    for source in sources:
        add_datasets(found, datasets_of(source, formats))
    return found


def add_datasets(found: dict[str, Place], more: dict[str, Place]) -> None:
    """Put `more` into `found`. Raises SourceError for two of one name; case does not count, as on some file systems."""
    names = {name.casefold(): name for name in found}
    for name, place in more.items():
        known = names.get(name.casefold())
        if known is not None and found[known].uri != place.uri:
            raise SourceError(
                f"two sources are named {name!r}: {found[known].uri} and {place.uri}. "
                f"Name one of them yourself: {name}_2={place.uri}"
            )
        if known is None:
            found[name] = place
            names[name.casefold()] = name


def datasets_of(source: str, formats: Sequence[Format] = FORMATS) -> dict[str, Place]:
    """{name: dataset} of those that one source argument stands for. Raises SourceError where there is none."""
    given, uri = named(source)
    try:
        here = "there is no such folder" if not storage.exists(uri) else "it is a file" if storage.is_file(uri) else ""
        roots = [] if here else list(_walk(uri, formats))
    except (OSError, storage.UnknownStore) as error:
        raise SourceError(f"{uri} cannot be looked into: {getattr(error, 'strerror', None) or error}") from error
    if not roots:
        raise SourceError(
            f"no dataset under {uri}: {here or f'looked {MAX_DEPTH} levels deep'}; expected is "
            + ", or ".join(f.expects for f in formats)
        )
    found: dict[str, Place] = {}
    for place in roots:
        root = place.uri
        own = _clean(_name_of(root))
        name = given if given and len(roots) == 1 else f"{given}_{own}" if given else own
        if len(name) > NAME:
            raise SourceError(f"the name of {root} is over {NAME} characters long; give it one: name={root}")
        add_datasets(found, {name: place})
    return found


def named(source: str) -> tuple[str | None, str]:
    """(name or None, URI in full) of `name=URI` or `URI`: what comes before the first `=` of a path is no name."""
    match = re.fullmatch(r"([A-Za-z0-9_\-]+)=(.+)", source, re.DOTALL)
    if match:
        return match[1], storage.normalise(match[2])
    return None, storage.normalise(source)


def name_of_source(source: str) -> tuple[str, str]:
    """(name, URI) of a source argument of which nothing is known but the argument."""
    try:
        given, uri = named(source)
    except storage.UnknownStore:
        given, uri = None, plain(source)
    return given or _clean(_name_of(uri))[:NAME] or "source", uri


def _name_of(uri: str) -> str:
    """The last part of a path; of a snapshot in the Hugging Face Hub's cache, whose folder is named by a commit, the
    dataset's own name."""
    parts = uri.rstrip("/").split("/")
    if len(parts) > 2 and parts[-2] == SNAPSHOTS and "--" in parts[-3]:
        return parts[-3].rsplit("--", 1)[-1]
    return storage.name_of(uri)


def _snapshot(uri: str, names: Sequence[str]) -> str:
    """Of the snapshots of one dataset the one that the cache calls main, else the newest."""
    try:
        main = storage.read_bytes(storage.join(uri, "../refs/main")).decode(errors="replace").strip()
    except OSError:
        main = ""
    if main in names:
        return main
    if storage.is_local(uri):
        return max(names, key=lambda n: (os.stat(os.path.join(uri, n)).st_mtime_ns, n))
    return max(names)


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_\-]", "_", name)


def _walk(uri: str, formats: Sequence[Format]) -> Iterator[Place]:
    """Datasets, none inside another; a folder that links lead back to is looked into once."""
    folders, looked, seen, notes = [(uri, MAX_DEPTH)], 0, set[str](), dict[str, str]()
    while folders:
        folder, depth = folders.pop(0)
        place = os.path.realpath(folder) if storage.is_local(folder) else folder
        if place in seen:
            continue
        seen.add(place)
        looked += 1
        if looked > FOLDERS:
            raise SourceError(f"{uri} holds over {FOLDERS} folders, which is the most that are looked into")
        known = next((f for f in formats if f.is_dataset(folder)), None)
        if known is not None:
            yield Place(folder, known, notes.get(folder, ""))
        elif depth:
            try:
                names = storage.folders(folder)
            except PermissionError:
                if folder == uri:
                    raise
                continue
            parts = folder.rstrip("/").split("/")
            if len(names) > 1 and parts[-1] == SNAPSHOTS and "--" in "/".join(parts[-2:-1]):
                taken = _snapshot(folder, names)
                notes[storage.join(folder, taken)] = f"{len(names)} snapshots of it are in the cache: {taken} is taken"
                names = [taken]
            folders[:0] = [(storage.join(folder, name), depth - 1) for name in names]
