"""Where the logs are: source arguments become datasets, each under one name.

In: `URI` or `name=URI`, each a dataset or a folder that holds several. Out: {name: dataset URI}. A dataset is a folder
with `meta/info.json` (the LeRobot layout).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from stages import storage

MAX_DEPTH = 4


class SourceError(ValueError):
    """A source that cannot be used as given; the message says what to type instead."""


def find_datasets(sources: Iterable[str]) -> dict[str, str]:
    """{source name: dataset URI}, in the order given. Raises SourceError for no dataset or two of one name."""
    found: dict[str, str] = {}
    for source in sources:
        given, uri = named(source)
        roots = _walk(uri, MAX_DEPTH)
        if not roots:
            raise SourceError(
                f"no dataset under {uri}: looked for a folder with meta/info.json (LeRobot v2.0, v2.1, v3.0), "
                f"{MAX_DEPTH} levels deep"
            )
        for root in roots:
            own = _clean(storage.name_of(root))
            name = given if given and len(roots) == 1 else f"{given}_{own}" if given else own
            if name in found and found[name] != root:
                raise SourceError(
                    f"two sources are named {name!r}: {found[name]} and {root}. "
                    f"Name one of them yourself: {name}_2={root}"
                )
            found[name] = root
    return found


def named(source: str) -> tuple[str | None, str]:
    """(name or None, URI in full) of `name=URI` or `URI`: what comes before the first `=` of a path is no name."""
    match = re.fullmatch(r"([A-Za-z0-9_\-]+)=(.+)", source)
    if match:
        return match[1], storage.normalise(match[2])
    return None, storage.normalise(source)


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_\-]", "_", name)


def _walk(uri: str, depth: int) -> list[str]:
    if storage.exists(storage.join(uri, "meta/info.json")):
        return [uri]
    if depth == 0:
        return []
    return [root for name in storage.folders(uri) for root in _walk(storage.join(uri, name), depth - 1)]
