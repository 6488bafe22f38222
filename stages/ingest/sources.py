"""Where the logs are: source arguments become datasets, each under one name.

In: `URI` or `name=URI`, each a dataset or a folder that holds several. Out: {name: dataset URI}. A dataset is a folder
with `meta/info.json` (the LeRobot layout).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from stages import storage
from stages.bounded import FOLDERS
from stages.text import NAME, plain

MAX_DEPTH = 4


class SourceError(ValueError):
    """A source that cannot be used as given; the message says what to type instead."""


def find_datasets(sources: Iterable[str]) -> dict[str, str]:
    """{source name: dataset URI}, in the order given. Raises SourceError for no dataset or two of one name."""
    found: dict[str, str] = {}
    for source in sources:
        add_datasets(found, datasets_of(source))
    return found


def add_datasets(found: dict[str, str], more: dict[str, str]) -> None:
    """Put `more` into `found`. Raises SourceError for two of one name; case does not count, as on some file systems."""
    names = {name.casefold(): name for name in found}
    for name, root in more.items():
        known = names.get(name.casefold())
        if known is not None and found[known] != root:
            raise SourceError(
                f"two sources are named {name!r}: {found[known]} and {root}. Name one of them yourself: {name}_2={root}"
            )
        if known is None:
            found[name] = root
            names[name.casefold()] = name


def datasets_of(source: str) -> dict[str, str]:
    """{name: URI} of the datasets that one source argument stands for. Raises SourceError where there is none."""
    given, uri = named(source)
    try:
        here = "there is no such folder" if not storage.exists(uri) else "it is a file" if storage.is_file(uri) else ""
        roots = [] if here else list(_walk(uri))
    except (OSError, storage.UnknownStore) as error:
        raise SourceError(f"{uri} cannot be looked into: {getattr(error, 'strerror', None) or error}") from error
    if not roots:
        raise SourceError(
            f"no dataset under {uri}: {here or f'looked {MAX_DEPTH} levels deep'}; a folder with meta/info.json is "
            f"expected (LeRobot v2.0, v2.1, v3.0)"
        )
    found: dict[str, str] = {}
    for root in roots:
        own = _clean(storage.name_of(root))
        name = given if given and len(roots) == 1 else f"{given}_{own}" if given else own
        if len(name) > NAME:
            raise SourceError(f"the name of {root} is over {NAME} characters long; give it one: name={root}")
        add_datasets(found, {name: root})
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
    return given or _clean(storage.name_of(uri))[:NAME] or "source", uri


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_\-]", "_", name)


def _walk(uri: str) -> Iterable[str]:
    """Folders with a meta/info.json, none inside another; a folder that links lead back to is looked into once."""
    folders, looked, seen = [(uri, MAX_DEPTH)], 0, set[str]()
    while folders:
        folder, depth = folders.pop(0)
        place = os.path.realpath(folder) if storage.is_local(folder) else folder
        if place in seen:
            continue
        seen.add(place)
        looked += 1
        if looked > FOLDERS:
            raise SourceError(f"{uri} holds over {FOLDERS} folders, which is the most that are looked into")
        if storage.exists(storage.join(folder, "meta/info.json")):
            yield folder
        elif depth:
            try:
                names = storage.folders(folder)
            except PermissionError:
                if folder == uri:
                    raise
                continue
            folders[:0] = [(storage.join(folder, name), depth - 1) for name in names]
