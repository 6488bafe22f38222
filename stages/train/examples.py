"""Every row of a release with the actions that follow it, in memory: what policies on state are trained on.

In: a release of events with context after them (`shard.level=L1 shard.future=32`), so that a fixed window goes on over
the border of its event. Out: arrays with a row an instant. Rest is not among them, since a release leaves static events
out: a policy that is shown standstills learns to stand still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.load import EventDataset

ENVIRONMENT = "extra.observation.environment_state"
FROM_ITEM = (
    "task", "caption", "next_caption", "primitive", "event_remaining_s", "remaining_s", "frame", "fps",
)  # fmt: skip

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """N instants, H actions from each on; seconds, metres, robot base frame."""

    state: Floats
    """float32[N, 11]: hand position, quaternion x y z w, velocity, gripper opening 0 to 1."""
    environment: Floats
    """float32[N, 17]: two objects' positions and quaternions, the goal's position."""
    action: Floats
    """float32[N, H, 4]: hand velocity in m/s, gripper 0 close to 1 open."""
    action_valid: npt.NDArray[np.bool_]
    """bool[N, H]: the log holds that action."""
    task: Ints
    """int64[N] into texts."""
    caption: Ints
    """int64[N] into texts: of the event that the instant lies in."""
    next_caption: Ints
    """int64[N] into texts: of the event after it; an empty text at the end."""
    primitive: Ints
    """int64[N] into primitives."""
    event_remaining_s: Floats
    remaining_s: Floats
    episode: Ints
    """int64[N] into episodes."""
    frame: Ints
    """int64[N]: row of its episode."""
    event: Ints
    """int64[N]: which sample of the release."""
    clusters: Ints
    """int64[N, 2]: vl and action cluster of its event."""
    texts: tuple[str, ...]
    primitives: tuple[str, ...]
    episodes: tuple[str, ...]
    fps: float

    def __len__(self) -> int:
        return len(self.state)

    def take(self, rows: npt.NDArray[Any]) -> Examples:
        """Some instants, by number or by mask; the lists of texts stay whole."""
        return replace(self, **{name: getattr(self, name)[rows] for name in ROWS})

    def of_episodes(self, episodes: Sequence[int]) -> Examples:
        return self.take(np.isin(self.episode, np.asarray(episodes)))

    def starts(self) -> Bools:
        """bool[N]: the first instant that there is of its episode, which is none's frame 0 where it began with rest."""
        return np.append(True, self.episode[1:] != self.episode[:-1])[: len(self)]

    def save(self, path: Path) -> None:
        columns: dict[str, Any] = {name: getattr(self, name) for name in ROWS}
        columns |= {name: np.array(getattr(self, name), dtype=str) for name in LISTS}
        np.savez_compressed(path, **columns, fps=np.float64(self.fps))


ROWS = tuple(f.name for f in fields(Examples) if f.name not in ("texts", "primitives", "episodes", "fps"))
LISTS = ("texts", "primitives", "episodes")


def load(path: Path) -> Examples:
    """What `save` wrote."""
    with np.load(path) as held:
        lists: dict[str, Any] = {name: tuple(str(own) for own in held[name]) for name in LISTS}
        return Examples(**{name: held[name] for name in ROWS}, **lists, fps=float(held["fps"]))


def examples(
    urls: str | Sequence[str],
    horizon: int = 32,
    splits: Sequence[str] = ("train", "val"),
    caption: str = "event",
    where: str | None = None,
) -> Examples:
    """All instants of a release's samples, by episode and frame; an event that lies in several tars counts once.
    caption: `event`, or in a release of whole episodes the level of the events in them. where: of which
    samples alone, a condition in SQL over the plan's columns. Raises ValueError where the samples hold no
    environment_state, or nothing is there."""
    columns: dict[str, list[Any]] = {}
    for split in splits:
        try:
            dataset = EventDataset(
                urls,
                mode="chunk",
                horizon=horizon,
                frames=(),
                extra=(ENVIRONMENT,),
                split=split,
                caption=caption,
                where=where,
                alpha=1.0,  # each event once, whatever is drawn
            )
        except ValueError as problem:
            if str(problem).startswith("no sample of split"):
                continue
            raise
        _read(dataset, columns)
    if not columns:
        raise ValueError(f"{urls}: holds no samples")
    return assembled(columns)


def _read(dataset: EventDataset, columns: dict[str, list[Any]]) -> None:
    """Adds the dataset's items to columns; a sample is read once, whatever the number of its windows."""
    plan = dataset.release.plan
    for row, first in enumerate(dataset.starts[:-1].tolist()):
        places = dataset.places(np.arange(first, dataset.starts[row + 1]))
        raw = dataset.fetch(places[:1])[0]
        whole = {
            "episode": plan.names["episode"][plan.numbers["episode"][row]],
            "event": plan.event_id(row),
            "clusters": [int(plan.numbers[c][row]) for c in ("vl_cluster", "action_cluster")],
        }
        for item in dataset.made(places, [raw] * len(places))[0]:
            own = whole | {name: item[name] for name in FROM_ITEM}
            own["state"], own["environment"] = item["state"][-1].numpy(), item[ENVIRONMENT][-1].numpy()
            own["action"], own["action_valid"] = item["action"].numpy(), ~item["action_is_pad"].numpy()
            for name, value in own.items():
                columns.setdefault(name, []).append(value)


def assembled(columns: Mapping[str, Sequence[Any]]) -> Examples:
    """Of a value a row and column, texts as they are. Raises ValueError where their rates differ."""
    texts = sorted({text for name in ("task", "caption", "next_caption") for text in columns[name]} | {""})
    primitives, episodes, events = (sorted(set(columns[name])) for name in ("primitive", "episode", "event"))
    rates = sorted(set(columns["fps"]))
    if len(rates) > 1:
        raise ValueError(f"recordings of several rates ({rates} Hz) are no one table of instants: choose by where=")

    def codes(name: str, names: list[str]) -> Ints:
        code = {text: n for n, text in enumerate(names)}
        return np.array([code[text] for text in columns[name]], dtype=np.int64)

    def floats(name: str) -> Floats:
        return np.asarray(columns[name], dtype=np.float32)

    whole = Examples(
        state=floats("state"),
        environment=floats("environment"),
        action=floats("action"),
        action_valid=np.asarray(columns["action_valid"], dtype=np.bool_),
        task=codes("task", texts),
        caption=codes("caption", texts),
        next_caption=codes("next_caption", texts),
        primitive=codes("primitive", primitives),
        event_remaining_s=floats("event_remaining_s"),
        remaining_s=floats("remaining_s"),
        episode=codes("episode", episodes),
        frame=np.asarray(columns["frame"], dtype=np.int64),
        event=codes("event", events),
        clusters=np.asarray(columns["clusters"], dtype=np.int64),
        texts=tuple(texts),
        primitives=tuple(primitives),
        episodes=tuple(episodes),
        fps=rates[0],
    )
    return whole.take(np.lexsort((whole.frame, whole.episode)))
