"""A release as batches of the two towers: `Source`, of one split.

In: URLs of releases, a `DataConfig`, a text encoder. Out: the loader's batches (which worker processes read and decode)
as `Batch`, and `Facts`, what a checkpoint must know of the data to be used without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.load import EventDataset, EventLoader
from stages.load.ordering.where import rows_where
from stages.load.reading.release import opened as releases
from stages.load.vector import Scale, Vector
from stages.train.batch import Batch
from stages.train.config import DataConfig
from stages.train.data.assemble import Columns, assembled
from stages.train.data.texts import Texts, captions_of
from stages.train.text import Embed

QUATERNION = "quaternion xyzw"
HAND = ("position.single", "orientation.single")  # arrays that say where a camera on the only hand is


class NoBatch(ValueError):
    """A split that does not fill a single batch."""


@dataclass(frozen=True, slots=True)
class Facts:
    """cameras: views in order; side: of pictures (px); stride, fps: rows from a picture to the next, rows a second;
    state, action: arrays side by side; widths: of a Batch's state and action and of texts; captions: by number;
    mean_action: of the training set, normalised; scales: {layout: {state, action: {shift, unit: by column}}}, with
    which values are (x - shift) / unit."""

    cameras: tuple[str, ...]
    side: int
    stride: int
    fps: tuple[float, ...]
    state: tuple[str, ...]
    action: tuple[str, ...]
    state_width: int
    action_width: int
    text_width: int
    captions: tuple[str, ...]
    mean_action: tuple[float, ...]
    scales: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]]


class Source:
    """One split of a release. captions: the training set's by number; None: found in this split. Raises what
    EventDataset raises."""

    def __init__(
        self,
        urls: str | Sequence[str],
        config: DataConfig,
        embed: Embed | Texts,
        split: str = "train",
        captions: Sequence[str] | None = None,
    ) -> None:
        self.config, self.split = config, split
        self.texts = embed if isinstance(embed, Texts) else Texts(embed)
        unified = config.mode == "unified"
        seen = config.cameras is None or len(config.cameras) > 0
        offsets = tuple(range(0, config.horizon, config.stride)) if unified else None
        hand = HAND if seen and has_hand(urls, config) else ()
        self.dataset = EventDataset(
            urls,
            mode="chunk" if unified else "event",
            history=config.history if unified else 0,
            horizon=config.horizon if unified else config.cap,
            frames=offsets if seen else () if unified else 0,
            stride=config.stride,
            cameras=config.cameras,
            size=(config.side, config.side),
            state=config.state,
            action=(*config.action, *hand),
            normalise=config.normalise,
            caption=config.caption,
            split=split,
            alpha=config.alpha if split == "train" else None,
            where=config.where,
            seed=config.seed,
            cache=config.cache,
        )
        own = self.dataset
        _, action = own.vectors[:2]
        width = sum(action.widths[: len(config.action)])
        self.captions = captions_of(own) if captions is None else tuple(captions)
        self.columns = Columns(
            cameras=own.wanted.cameras,
            size=(config.side, config.side),
            stride=config.stride,
            action=width,
            hand=bool(hand),
            scales={key: own.wanted.scales[key][1] for key in own.layouts},
            window=config.horizon if unified else 0,
            text=config.text or ("task" if unified else "caption"),
            numbers={text: n for n, text in enumerate(self.captions)},
        )
        self.facts = self._facts(width)

    def _facts(self, width: int) -> Facts:
        """width: columns of the vector `action` that are the action."""
        own, config = self.dataset, self.config
        state, action = own.vectors[:2]
        return Facts(
            cameras=tuple(own.wanted.cameras),
            side=config.side,
            stride=config.stride,
            fps=tuple(sorted({float(rate) for rate in own.release.plan.numbers["fps"]})),
            state=tuple(config.state),
            action=tuple(config.action),
            state_width=state.width * (1 + own.cut.history),
            action_width=width,
            text_width=self.texts.width,
            captions=self.captions,
            mean_action=tuple(_mean(own, action)[:width].tolist()),
            scales={
                key: {name: _listed(own.wanted.scales[key][n], v.width) for n, (name, v) in enumerate(
                    (("state", state), ("action", action))
                )}
                for key in own.layouts
            },
        )  # fmt: skip

    def loader(self, workers: int = 0, **settings: Any) -> EventLoader:
        """Raises NoBatch where the split does not fill a batch that is not to be short."""
        config = self.config
        given: dict[str, Any] = {"bucket": config.bucket and not config.pack, "pack": config.pack, "drop_last": True}
        if config.mode == "unified":
            given |= {"bucket": False, "pack": 0}
        loader = self.dataset.loader(config.batch, workers, **(given | settings))
        if not len(loader):
            raise NoBatch(
                f"split {self.split!r} has {len(self.dataset)} items, which fill no batch of {config.batch} rows: "
                "make data.batch smaller"
            )
        return loader

    def batches(self, loader: EventLoader) -> Iterator[Batch]:
        """Of one epoch, from where the loader stands; its `state_dict` after a batch goes on with the next."""
        for raw in loader:
            yield assembled(raw, self.columns, self.texts)


def batches(
    urls: str | Sequence[str], config: DataConfig, embed: Embed, split: str = "train", workers: int = 0, **settings: Any
) -> Iterator[Batch]:
    """One epoch of a release."""
    source = Source(urls, config, embed, split)
    yield from source.batches(source.loader(workers, **settings))


def has_hand(urls: str | Sequence[str], config: DataConfig) -> bool:
    """Whether some layout of the samples that are chosen has the pose of its only hand, as position and quaternion; and
    whether actions are not it."""
    whole = releases(urls, cache=config.cache)
    plan = whole.plan if config.where is None else whole.plan.take(rows_where(whole.plan, config.where))
    layouts = [whole.layouts[plan.names["layout"][n]] for n in np.unique(plan.numbers["layout"])]
    return not set(HAND) & set(config.action) and any(
        all(array in own for array in HAND) and own[HAND[1]]["values"][0]["unit"] == QUATERNION for own in layouts
    )


def _mean(dataset: EventDataset, vector: Vector) -> np.ndarray[Any, np.dtype[np.float64]]:
    """float64[width]: mean over all layouts, normalised as items are, weighted by rows."""
    total, count = np.zeros(vector.width), np.zeros(vector.width)
    for key in dataset.layouts:
        statistics = dataset.release.statistics.get(key, {})
        mean, scale = vector.figures(statistics)["mean"], dataset.wanted.scales[key][1]
        mean = mean if scale is None else scale.apply(mean)
        for array, first, width in vector.places():
            if array in statistics:
                own = len(statistics[array]["mean"])
                weight = float(statistics[array]["count"])
                assert own <= width
                total[first : first + own] += weight * mean[first : first + own]
                count[first : first + own] += weight
    return np.divide(total, count, out=np.zeros(vector.width), where=count > 0)


def _listed(scale: Scale | None, width: int) -> dict[str, list[float]]:
    if scale is None:
        return {"shift": [0.0] * width, "unit": [1.0] * width}
    return {"shift": scale.shift.tolist(), "unit": scale.unit.tolist()}
