"""EventDataset: the samples of a release, as a trainer wants them.

In: URLs of releases and what an item is to hold. Out: items by number (map-style), an epoch's order, loaders and
streams of batches over it (`loader.py`). Needs numpy, torch, av and fsspec alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from os import PathLike
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from schemas.ids import LEVELS
from schemas.plan import CAMERAS, CLIPS, PICTURES, Plan
from schemas.sample import EVENT, VALID
from stages.load import vector as vectors
from stages.load import window
from stages.load.canvas import Canvas
from stages.load.item import LAYOUTS, Facts, Item, Wanted, item
from stages.load.lerobot import Meta
from stages.load.loader import EventLoader, Stream
from stages.load.ordering import weights
from stages.load.ordering.order import digest_of, epoch_order
from stages.load.ordering.where import rows_where
from stages.load.reading import release as releases
from stages.load.reading.sample import Raw, read
from stages.load.vector import Vector

Mode = Literal["event", "chunk"]
Ints = npt.NDArray[np.int64]


class EventDataset(Dataset[Item]):  # type: ignore[misc]
    """Items of the samples at `urls` (a release, `shards/latest`, or a corpus; several are one dataset).

    mode: `event` (whole events; the default) or `chunk` (a window around every frame; the default of the other
    layouts). history, horizon, frames, stride, lead: see `window.Cut`. layout: `event`, `lerobot`, `openpi`.
    cameras: names, or {name in batches: camera, or cameras of which a sample has one}; None: all; what a sample lacks
    is black and masked. size: height and width of pictures; None: as they are. state, action: names of arrays of the
    samples, several side by side; extra: further arrays, by name. state_dim, action_dim: pad to so many columns.
    normalise: none, mean_std, min_max, quantile, by the statistics of each sample's layout. caption: `event`, or the
    level whose caption is given; text: what `task` and `prompt` hold, `task` or `caption`. split: train or val. alpha:
    balance clusters anew (`weights.py`), no sample more than max_repeats times; None: as the release was drawn. where:
    a condition in SQL over the plan's columns. plan: a file of `corpus plan` instead of the release's own. seed: of the
    order. cache: a folder for tars that are fetched. options: of fsspec's filesystem.

    Raises NotARelease, Unreadable, ValueError.
    """

    def __init__(
        self,
        urls: str | PathLike[str] | Sequence[str | PathLike[str]],
        *,
        mode: Mode | None = None,
        layout: str = "event",
        history: int = 0,
        horizon: int | None = None,
        frames: int | Sequence[int] | None = None,
        stride: int = 1,
        lead: int = 0,
        cameras: Sequence[str] | Mapping[str, str | Sequence[str]] | None = None,
        size: tuple[int, int] | None = None,
        state: str | Sequence[str] = "state",
        action: str | Sequence[str] = "action",
        extra: Sequence[str] = (),
        state_dim: int | None = None,
        action_dim: int | None = None,
        normalise: str = "none",
        caption: str = "event",
        text: str = "task",
        split: str = "train",
        alpha: float | None = None,
        max_repeats: float = 3,
        where: str | None = None,
        plan: str | None = None,
        seed: int = 0,
        cache: str | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        for name, value, choices in (
            ("layout", layout, tuple(LAYOUTS)),
            ("mode", mode or "event", ("event", "chunk")),
            ("split", split, ("train", "val")),
            ("text", text, ("task", "caption")),
            ("caption", caption, ("event", *LEVELS)),
        ):
            if value not in choices:
                raise ValueError(f"{name}={value!r}: choose one of {', '.join(choices)}")
        self.mode = mode or ("event" if layout == "event" else "chunk")
        self.layout, self.seed, self.text = layout, seed, text
        self.cut = window.cut_of(self.mode, layout, history, horizon, frames, stride, lead)
        if len(set(np.atleast_1d(size or 1)) - set(range(1, 1 << 15))):
            raise ValueError(f"size={size}: height and width in px, 1 or more")
        whole = releases.opened(urls, plan, cache, options)
        if alpha is not None and len(whole.models) > 1:
            raise ValueError("alpha is of one clustering: these releases were clustered by other centroids each")
        self.release, self.weight, both = _chosen(whole, split, where, alpha, max_repeats)
        own = self.release.plan
        self.layouts = [own.names["layout"][n] for n in np.unique(both.numbers["layout"])]
        held = [whole.layouts[key] for key in self.layouts]
        self.vectors = (
            vectors.vector("state", state, held, state_dim),
            vectors.vector("action", action, held, action_dim),
            *(vectors.vector(name, name, held, None) for name in extra),
        )
        named = _cameras(cameras, own.names[CAMERAS]) if self.cut.has_pictures else {}
        self.sizes = _sizes(both, named)
        self.size = size
        _known(normalise, self.vectors, own, whole)
        scales = {
            key: [vectors.scale(normalise, v.figures(whole.statistics.get(key, {}))) for v in self.vectors]
            for key in self.layouts
        }
        first = {name: size or next(iter(sizes), (1, 1)) for name, sizes in self.sizes.items()}
        self.wanted = Wanted(self.vectors, scales, named, first, size is not None, caption, text)
        self.digest = digest_of(
            json.dumps([own.names[c] for c in ("episode", "level", "tar")] + [self.mode]),
            *(own.numbers[c] for c in ("episode", "level", "tar", "start_ms", "n_frames", "before", "after")),
            self.release.folder,
            self.weight,
        )

    # -- items ------------------------------------------------------------------------------------------------------

    @cached_property
    def starts(self) -> Ints:
        """int64[N + 1]: number of the first item of each sample; an item is a sample, or an anchor in it."""
        numbers = self.release.plan.numbers
        own = numbers["n_frames"] - numbers["before"] - numbers["after"]
        counts = own if self.mode == "chunk" else np.ones(len(own), dtype=np.int64)
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, number: int) -> Item:
        return self.__getitems__([number])[0]

    def __getitems__(self, numbers: Sequence[int] | Ints) -> list[Item]:
        """Several items, their bytes asked for at once."""
        places = self.places(numbers)
        return self.made(places, self.fetch(places))[0]

    def places(self, numbers: Sequence[int] | Ints) -> list[tuple[int, int]]:
        """(item, row of the plan) of each."""
        total = len(self)
        given = np.asarray(numbers, dtype=np.int64).reshape(-1)
        if len(given) and not (-total <= given.min() and given.max() < total):
            raise IndexError(f"there are {total} items")
        given = np.where(given < 0, given + total, given)
        rows = np.searchsorted(self.starts, given, side="right") - 1
        return list(zip(given.tolist(), rows.tolist(), strict=True))

    def fetch(self, places: Sequence[tuple[int, int]]) -> list[Raw]:
        """The bytes of items, KEY.json and arrays read."""
        arrays, cameras = self._parts
        meta = self.layout == "event" or self.text == "caption"
        return read(self.release, [row for _, row in places], arrays, cameras, meta)

    @cached_property
    def _parts(self) -> tuple[list[str], list[str]]:
        """Arrays and cameras that items need of a sample."""
        arrays = {a for vector in self.vectors for array in vector.arrays for a in (array, f"{VALID}.{array}")}
        cameras = {camera for own in self.wanted.cameras.values() for camera in own}
        return sorted(arrays | {VALID, EVENT}), sorted(cameras)

    def made(
        self,
        places: Sequence[tuple[int, int]],
        raws: Sequence[Raw],
        rows: Sequence[int] | None = None,
        limit: int = 0,
    ) -> tuple[list[Item], Canvas | None]:
        """Items of what was fetched; with `rows` (of each, in a batch) their pictures lie in one canvas. limit: cut
        events after so many rows (0: never)."""
        windows = [self._window(number, row) for number, row in places]
        if limit:
            windows = [window.limited(own, limit) for own in windows]
        canvas = None
        if rows is not None and self.wanted.cameras and self.layout == "event":
            canvas = Canvas(rows, [len(own.pictures) for own in windows], self.wanted.size)
        items = []
        for n, ((number, row), raw, own) in enumerate(zip(places, raws, windows, strict=True)):
            facts = self._facts(number, row, own)
            views = None if canvas is None else canvas.views(n)
            items.append(item(raw, own, facts, self.wanted, self.layout, views))
        return items, canvas

    def _anchor(self, number: int, row: int) -> int | None:
        before = int(self.release.plan.numbers["before"][row])
        return before + number - int(self.starts[row]) if self.mode == "chunk" else None

    def _window(self, number: int, row: int) -> window.Window:
        n_frames, before, after = (int(self.release.plan.numbers[c][row]) for c in ("n_frames", "before", "after"))
        anchor = self._anchor(number, row)
        if anchor is None:
            return window.whole(self.cut, n_frames, before, after)
        return window.around(self.cut, n_frames, anchor)

    def _facts(self, number: int, row: int, taken: window.Window) -> Facts:
        plan, anchor = self.release.plan, self._anchor(number, row)
        text = {c: plan.names[c][plan.numbers[c][row]] for c in ("layout", "robot", "source", "task")}
        return Facts(
            index=number,
            episode=row if self.layout == "lerobot" else int(plan.numbers["episode"][row]),
            task_index=int(plan.numbers["task"][row]),
            frame=int(plan.numbers["frame"][row]) + (int(taken.state[0]) if anchor is None else anchor),
            anchor=anchor,
            fps=float(plan.numbers["fps"][row]),
            key=plan.key(row),
            **text,
        )

    # -- order ------------------------------------------------------------------------------------------------------

    def order(self, epoch: int, shuffle: bool = True, mixed_tars: int | None = None) -> Ints:
        """int64[N]: items of an epoch in order, each as often as its weight says: a pure function of the digest, the
        seed and the epoch. mixed_tars: see `order.epoch_order`."""
        rows = np.diff(self.starts)
        tar = self.release.plan.numbers["tar"].astype(np.int64) * len(self.release.folders) + self.release.folder
        each = np.repeat(np.unique(tar, return_inverse=True)[1].astype(np.int32), rows)
        return epoch_order(np.repeat(self.weight, rows), each, self.digest, self.seed, epoch, shuffle, mixed_tars)

    @cached_property
    def lengths(self) -> Ints:
        """int64[len]: rows of each item."""
        columns = [self.release.plan.numbers[c] for c in ("n_frames", "before", "after")]
        return np.repeat(window.length(self.cut, *columns), np.diff(self.starts))

    @cached_property
    def groups(self) -> npt.NDArray[np.int32]:
        """int32[len]: the layout of each item, by number."""
        return np.repeat(self.release.plan.numbers["layout"], np.diff(self.starts))

    def stream(self, global_batch: int, **settings: Any) -> Stream:
        """Batches as an IterableDataset, for a DataLoader of one's own (`batch_size=None`): see `loader.Stream`."""
        return Stream(self, global_batch, **settings)

    def loader(self, global_batch: int, workers: int = 0, **settings: Any) -> EventLoader:
        """Batches, resumable: see `loader.EventLoader`."""
        return EventLoader(self, global_batch, workers, **settings)

    # -- what the numbers are ---------------------------------------------------------------------------------------

    @cached_property
    def meta(self) -> Meta:
        """What a LeRobot policy asks of its dataset."""
        return Meta.of(self)

    def check_sizes(self) -> None:
        """Raises ValueError where pictures of a camera have several sizes, so that they cannot lie in one batch."""
        for name, sizes in self.sizes.items():
            if self.size is None and len(sizes) > 1:
                shown = ", ".join(f"{h}x{w}" for h, w in sizes)
                raise ValueError(f"pictures of camera {name} are {shown}: give size=(height, width), or cameras=")

    @property
    def num_frames(self) -> int:
        return len(self)

    @property
    def num_episodes(self) -> int:
        return len(self.release.plan)

    episodes: None = None  # of lerobot: all
    absolute_to_relative_idx: None = None

    def unnormalise(self, name: str, values: torch.Tensor, layout: str) -> torch.Tensor:
        """State, action ([..., D]) in the units of a layout again."""
        which = next(n for n, vector in enumerate(self.vectors) if vector.name == name)
        scale = self.wanted.scales[layout][which]
        if scale is None:
            return values
        return values * torch.from_numpy(scale.unit) + torch.from_numpy(scale.shift)


def _known(normalise: str, own: Sequence[Vector], plan: Plan, whole: releases.Release) -> None:
    """Raises ValueError where a layout that is loaded has no statistics to normalise by: they are of train tars."""
    for code in np.unique(plan.numbers["layout"]):
        key = plan.names["layout"][code]
        there, held = whole.statistics.get(key, {}), whole.layouts[key]
        missing = [a for vector in own for a in vector.arrays if a in held and held[a]["values"] and a not in there]
        if normalise != "none" and missing:
            sources = sorted(set(plan.take(plan.numbers["layout"] == code).text("source")))
            raise ValueError(
                f"normalise={normalise!r}: nothing in the train tars is laid out like {', '.join(sources)} ({key}), so "
                f"that {missing[0]} has no statistics: leave it out by where=, or normalise='none'"
            )


def _chosen(
    whole: releases.Release, split: str, where: str | None, alpha: float | None, max_repeats: float
) -> tuple[releases.Release, npt.NDArray[np.float64], Plan]:
    """The rows of a split that are taken, how often a pass takes each, and those of both splits, which have one width
    of vectors and one size of pictures."""
    there = np.ones(len(whole.plan), dtype=bool) if where is None else rows_where(whole.plan, where)
    mask = there & (whole.plan.text("split") == split)
    if alpha is None:
        own = whole.take(np.flatnonzero(mask & (whole.plan.numbers["weight"] > 0)))
        weight = own.plan.numbers["weight"]
    else:
        rows = np.flatnonzero(mask)
        events = [f"{whole.folder[row]}/{whole.plan.event_id(int(row))}" for row in rows]
        own = whole.take(rows[weights.once(events)])
        numbers = own.plan.numbers
        weight = weights.balanced(numbers["vl_cluster"], numbers["action_cluster"], alpha, max_repeats)
    if len(own.plan) and round(float(weight.sum())) == 0:
        raise ValueError(f"a pass takes no sample of these: their weights are {weight.sum():.2g} in all")
    if not len(own.plan):
        condition = f" where {where}" if where else ""
        raise ValueError(f"no sample of split {split!r}{condition}; the release has {len(whole.plan)} in all")
    return own, weight, whole.plan.take(there)


def _cameras(
    given: Sequence[str] | Mapping[str, str | Sequence[str]] | None, there: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    if isinstance(given, str):
        given = [given]
    pairs = (
        given.items() if isinstance(given, Mapping) else ((name, name) for name in (there if given is None else given))
    )
    named = {name: (own,) if isinstance(own, str) else tuple(own) for name, own in pairs}
    for own in named.values():
        if not set(own) & set(there):
            raise ValueError(f"no sample has a camera {' or '.join(own)}; there are {', '.join(there) or 'none'}")
    return named


def _sizes(plan: Plan, named: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[int, int]]]:
    """{name: height and width of its pictures, each that there is}."""
    result: dict[str, list[tuple[int, int]]] = {}
    for name, cameras in named.items():
        found: dict[tuple[int, int], None] = {}
        for camera in cameras:
            if camera in plan.names[CAMERAS]:
                column = plan.names[CAMERAS].index(camera)
                own = plan.numbers[PICTURES][plan.numbers[CLIPS][:, column, 1] > 0, column]
                found |= dict.fromkeys((int(h), int(w)) for h, w in np.unique(own, axis=0))
        result[name] = list(found)
    return result
