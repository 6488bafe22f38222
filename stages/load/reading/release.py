"""Releases as a loader sees them: which samples there are, where their bytes lie, what their numbers are.

In: URLs of releases (`.../shards/latest`, `.../shards/<release>`, or a corpus). Out: a `Release`, several of them as
one: the plan's rows, the folder of each, layouts, statistics by layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from schemas import plan as plans
from schemas.plan import Plan
from schemas.sample import Layout
from stages.load.reading.files import Folder, Unreadable

Figures = Mapping[str, Any]  # count, mean, std, min, max, q01, q99 of an array's columns
MOMENTS = ("mean", "std", "min", "max", "q01", "q99")


class NotARelease(ValueError):
    """A URL at which no release lies that this loader can read."""


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """plan: its rows; folders, and which of them a row is in, int32[N]; tars: {folder, file: path from the folder};
    layouts: what the columns of arrays are; statistics: {layout: {array: figures}}; models: sha256 of the centroids
    that samples were clustered by."""

    plan: Plan
    folders: list[Folder]
    folder: npt.NDArray[np.int32]
    tars: list[dict[str, str]]
    layouts: dict[str, Layout]
    statistics: dict[str, dict[str, Figures]]
    models: frozenset[str] = frozenset()

    def take(self, rows: npt.NDArray[Any]) -> Release:
        return replace(self, plan=self.plan.take(rows), folder=self.folder[rows])


def opened(
    urls: str | PathLike[str] | Sequence[str | PathLike[str]],
    plan: str | None = None,
    cache: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Release:
    """One release of all that lie at the URLs. plan: a file of `corpus plan` instead of the release's own. Raises
    NotARelease, Unreadable."""
    given = [fspath(urls)] if isinstance(urls, str | PathLike) else [fspath(url) for url in urls]
    if not given:
        raise NotARelease("no URL of a release is given")
    if plan is not None and len(given) > 1:
        raise NotARelease("a plan is of one release; give its URL alone")
    parts = [_one(url, plan, cache, options) for url in given]
    if len(parts) == 1:
        return parts[0]
    counts = [len(part.plan) for part in parts]
    return Release(
        plans.concatenate([part.plan for part in parts]),
        [part.folders[0] for part in parts],
        np.repeat(np.arange(len(parts), dtype=np.int32), counts),
        [part.tars[0] for part in parts],
        {key: layout for part in parts for key, layout in part.layouts.items()},
        merged([part.statistics for part in parts]),
        frozenset[str]().union(*(part.models for part in parts)),
    )


def _one(url: str, plan: str | None, cache: str | None, options: Mapping[str, Any] | None) -> Release:
    folder, manifest = _found(url, cache, options)
    try:
        held = plans.from_bytes(
            Folder(*_split(plan), None, options).read(_name(plan)) if plan else folder.read("plan.npz")
        )
    except FileNotFoundError:
        missing = plan or folder.path("plan.npz")
        raise NotARelease(f"{missing} is missing: build the corpus once more, which writes it") from None
    except plans.NotAPlan as error:
        raise NotARelease(f"{plan or folder.path('plan.npz')}: {error}") from error
    if held.release and held.release != manifest["release"]:
        raise NotARelease(
            f"{plan} is a plan of release {held.release}, not of {manifest['release']}: corpus plan again"
        )
    unknown = sorted(set(held.names["tar"]) - set(manifest["shards"]))
    if unknown:
        raise NotARelease(
            f"{plan} names {', '.join(unknown[:3])}, which the release {manifest['release']} does not have"
        )
    first = next(iter(manifest["shards"]), None)
    beside = first is None or folder.exists(first)
    tars = {file: file if beside else f"../../{about['path']}" for file, about in manifest["shards"].items()}
    statistics = json.loads(folder.read("stats.json"))["layouts"]
    rows = np.zeros(len(held), dtype=np.int32)
    model = frozenset({manifest["clusters_sha256"]} if manifest.get("clusters_sha256") else ())
    return Release(held, [folder], rows, [tars], manifest["layouts"], statistics, model)


def _split(url: str) -> tuple[str]:
    above = url.rsplit("/", 1)[0] if "/" in url else "."
    return (above or "/",)


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _found(url: str, cache: str | None, options: Mapping[str, Any] | None) -> tuple[Folder, dict[str, Any]]:
    """The folder of a release and its manifest."""
    folder = Folder(url, cache, options)
    manifest = _manifest(folder)
    if manifest is None and _name(folder.url) == "latest" and not folder.is_local:  # an object that holds a name
        above = Folder(*_split(folder.url), cache, options)
        try:
            name = above.read("latest").decode("ascii").strip()
        except (FileNotFoundError, Unreadable, UnicodeDecodeError):
            name = ""
        if name.isalnum():
            folder = Folder(f"{above.url}/{name}", cache, options)
            manifest = _manifest(folder)
    if manifest is not None and "shards" not in manifest and isinstance(manifest.get("release"), str):  # a corpus
        folder = Folder(f"{folder.url}/shards/{manifest['release']}", cache, options)
        manifest = _manifest(folder)
    if manifest is None or not isinstance(manifest.get("shards"), dict):
        raise NotARelease(
            f"{url}: no release lies there (manifest.json of shards/<release>, or of a corpus, is missing)"
        )
    name = str(manifest["release"])
    if _name(folder.url) == "latest":  # which a build may turn to another release while this one is read
        own = Folder(f"{_split(folder.url)[0]}/{name}", cache, options)
        folder = own if own.exists("manifest.json") else folder
    return folder, manifest


def _manifest(folder: Folder) -> dict[str, Any] | None:
    try:
        value = json.loads(folder.read("manifest.json"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Unreadable as error:
        if getattr(error.__cause__, "status", None) in (403, 404):
            return None
        raise
    except ValueError as error:
        raise NotARelease(f"{folder.path('manifest.json')} is no JSON: {error}") from error
    return value if isinstance(value, dict) else None


def merged(parts: Sequence[Mapping[str, Mapping[str, Figures]]]) -> dict[str, dict[str, Figures]]:
    """Statistics of several releases as one: counts, moments and extremes exactly; q01 and q99 as means weighted by
    count, which is near where the releases are alike."""
    result: dict[str, dict[str, Figures]] = {}
    for part in parts:
        for layout, arrays in part.items():
            for array, figures in arrays.items():
                own = result.setdefault(layout, {})
                own[array] = _both(own[array], figures) if array in own else figures
    return result


def _both(one: Figures, two: Figures) -> Figures:
    n, m = float(one["count"]), float(two["count"])
    a, b = ({key: np.asarray(f[key], dtype=np.float64) for key in MOMENTS} for f in (one, two))
    mean = (n * a["mean"] + m * b["mean"]) / (n + m)
    square = (n * (a["std"] ** 2 + a["mean"] ** 2) + m * (b["std"] ** 2 + b["mean"] ** 2)) / (n + m)
    values = {
        "mean": mean,
        "std": np.sqrt(np.maximum(square - mean**2, 0)),
        "min": np.minimum(a["min"], b["min"]),
        "max": np.maximum(a["max"], b["max"]),
        "q01": (n * a["q01"] + m * b["q01"]) / (n + m),
        "q99": (n * a["q99"] + m * b["q99"]) / (n + m),
    }
    return {"count": int(n + m)} | {key: cast("list[float]", value.tolist()) for key, value in values.items()}
