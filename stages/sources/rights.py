"""What a source says of whose it is: licence, attribution, where it is published.

In: a dataset's URI, and what the configuration says. Out: `Rights`. Read are the YAML front matter of README.md (a
dataset card of the Hugging Face Hub: license, license_name, license_link, authors) and a few keys of meta/info.json;
a LICENSE file is known by its name alone. Reads are bounded, links that leave the dataset are not followed. Nothing is
guessed: what nobody says is unknown, and said to be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from stages import bounded, storage
from stages.bounded import Unreadable
from stages.sources.files import beside
from stages.text import NAME, plain

CARD, INFO = "README.md", "meta/info.json"
LICENCE_FILES = ("LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE", "LICENCE.md", "LICENCE.txt", "COPYING")
FRONT_BYTES = 64 * 1024  # of a card's front matter
VALUES = 20_000  # in it
NONE = frozenset(
    {"", "unknown", "none", "null", "other", "unlicensed", "tbd", "todo", "n/a", "more information needed"}
)
ATTRIBUTION, URL = 500, 300  # characters
AUTHORS = 20  # that are named
BY_HAND = "configuration"


@dataclass(frozen=True, slots=True)
class Rights:
    """licence: an SPDX identifier or a text, empty: unknown; attribution: whom to name, empty: nobody says; url: where
    the source is published, empty: nobody says, never a place on this machine; said_by: who says the licence
    (README.md, meta/info.json, configuration); file: a licence file beside it, known by name alone."""

    licence: str = ""
    attribution: str = ""
    url: str = ""
    said_by: str = ""
    file: str = ""

    @property
    def carried(self) -> tuple[str, str, str]:
        """What a sample carries of it."""
        return self.licence, self.attribution, self.url


def rights_of(
    name: str, uri: str, licences: str | Mapping[str, str] | None, attributions: str | Mapping[str, str] | None,
    follow: bool = False,
) -> tuple[Rights, list[str]]:  # fmt: skip
    """(what is known of the source `name` at `uri`, what could not be read). What the configuration says wins: for all
    sources, or {source: text}."""
    said, notes = declared(uri, follow)
    given = {"licence": _given(licences, name, NAME), "attribution": _given(attributions, name, ATTRIBUTION)}
    said = replace(said, **{key: value for key, value in given.items() if value})
    return (replace(said, said_by=BY_HAND) if given["licence"] else said), notes


def declared(uri: str, follow: bool = False) -> tuple[Rights, list[str]]:
    """(what a dataset itself says, what could not be read)."""
    found, notes = Rights(url=_published(uri)), list[str]()
    there = beside(uri, (CARD, *LICENCE_FILES), follow)
    for place in (CARD, INFO):
        if place == CARD and CARD not in there:
            continue
        try:
            if place == CARD and there[CARD]:
                raise Unreadable(f"{uri}/{CARD} {there[CARD]}")
            about = _card(uri) if place == CARD else _info(uri)
        except (Unreadable, OSError) as error:
            notes += [plain(f"{error}; what it says of a licence is not used")] if place == CARD else []
            continue
        found = _with(found, about, place)
    file = next((name for name in LICENCE_FILES if name in there), "")
    return replace(found, file=file), notes


def front_matter(text: str) -> str | None:
    """The YAML between the two lines `---` that a card begins with; None where it begins otherwise, or never ends."""
    match = re.match(r"\ufeff?---[ \t]*\r?\n(.*?)^(?:---|\.\.\.)[ \t]*\r?$", text, re.DOTALL | re.MULTILINE)
    return match[1] if match else None


def licence_of(about: Mapping[str, Any]) -> str:
    """Of a card or an info.json: its identifiers, of `other` its name or link; empty where it says nothing."""
    given = about.get("license", about.get("licence"))
    names = [_word(v) for v in (given if isinstance(given, list) else [given])]
    known = [name for name in names if name.casefold() not in NONE]
    if known:
        return plain(", ".join(dict.fromkeys(known)), NAME)
    called, link = _word(about.get("license_name")), _word(about.get("license_link"))
    link = link if re.match(r"https?://", link) else ""
    called = "" if called.casefold() in NONE else called
    return plain(f"{called} ({link})" if called and link else called or link, 2 * NAME)


def _with(found: Rights, about: Mapping[str, Any], place: str) -> Rights:
    """What was found first counts."""
    licence = licence_of(about)
    authors = about.get("attribution") or about.get("authors") or about.get("author")
    url = next((u for k in ("url", "homepage", "repository") if (u := _address(about.get(k)))), "")
    return replace(
        found,
        licence=found.licence or licence,
        said_by=found.said_by or (place if licence else ""),
        attribution=found.attribution or plain(", ".join(_people(authors)), ATTRIBUTION),
        url=found.url or url,
    )


def _card(uri: str) -> Mapping[str, Any]:
    data = bounded.head(storage.join(uri, CARD), FRONT_BYTES)
    where = f"{uri}/{CARD}"
    text = front_matter(data.decode("utf-8", errors="replace"))
    if text is None:
        if len(data) == FRONT_BYTES and data.lstrip(b"\xef\xbb\xbf").startswith(b"---"):
            raise Unreadable(f"{where}: its front matter does not end within {FRONT_BYTES} bytes")
        return {}
    value = bounded.parse(text.encode(), where, yaml.safe_load, "YAML", VALUES)
    return value if isinstance(value, Mapping) else {}


def _info(uri: str) -> Mapping[str, Any]:
    """The file itself is the format's to judge."""
    where = storage.join(uri, INFO)
    if not storage.exists(where):
        return {}
    value = bounded.parse(bounded.head(where, bounded.MB), where, json.loads, "JSON", bounded.LINE_VALUES)
    return value if isinstance(value, Mapping) else {}


def _given(said: str | Mapping[str, str] | None, name: str, most: int) -> str:
    text = said.get(name, "") if isinstance(said, Mapping) else said or ""
    return plain(text, most)


def _word(value: Any) -> str:
    return plain(value, 2 * NAME) if isinstance(value, str) else ""


def _address(value: Any) -> str:
    text = _word(value)
    return text if re.fullmatch(r"https?://[^\s<>\"'`|\\]+", text) and len(text) <= URL else ""


def _people(value: Any) -> Iterator[str]:
    """Names of a text, a list of texts, or of mappings with a name."""
    listed: Sequence[Any] = value if isinstance(value, list) else [value]
    for one in listed[:AUTHORS]:
        name = _word(one.get("name")) if isinstance(one, Mapping) else _word(one)
        if name:
            yield name


def _published(uri: str) -> str:
    """The page of a dataset that lies in the Hugging Face Hub's cache, whose folders are named by it."""
    match = re.search(r"/datasets--([\w.\-]+?)--([\w.\-]+)/snapshots/[^/]+(?:/|$)", uri)
    return f"https://huggingface.co/datasets/{match[1]}/{match[2]}" if match else ""
