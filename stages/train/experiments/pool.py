"""Demonstrations to draw from: every instant of a pool's release, with the vectors of its texts, in one file.

In: a release of L1 events of many demonstrations a task, with `shard.future` rows of context. Out: `Pool`, which draws
demonstrations by task, and needs neither corpus nor text encoder any more:

    python -m stages.train.experiments.pool --shards CORPUS --to pool.npz
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.train.examples import Examples, examples, load
from stages.train.policies.idle import without_idle
from stages.train.text import Embed, encoder

WIDTH = 32  # of a text's vector
HORIZON = 32
AHEAD = 3  # rows

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """examples: as recorded, each in its own event; vectors: float32[texts, WIDTH]."""

    examples: Examples
    vectors: Floats

    def embed(self, texts: Sequence[str]) -> Floats:
        """Vectors of texts of the pool. Raises ValueError at another."""
        return self.vectors[[self.examples.texts.index(text) for text in texts]]

    def draw(self, counts: Mapping[str, int], rng: np.random.Generator) -> Examples:
        """So many demonstrations of each task (by its text), without repetition. Raises ValueError."""
        own = self.examples
        chosen: list[int] = []
        for task in sorted(counts):
            there = np.unique(own.episode[own.task == own.texts.index(task)])
            chosen += rng.choice(there, counts[task], replace=False).tolist()
        return own.of_episodes(chosen)


def looking_ahead(own: Examples) -> Examples:
    """The same instants, each said to lie in the event that it will be in AHEAD rows later: at the end of an event what
    is to be done is the next one. Told otherwise, a robot that has reached the end of an event, where it stands as it
    will when the next begins, is told the one that it has done, and stays (0 of 50 in a pilot)."""
    later = np.minimum(np.arange(len(own)) + AHEAD, len(own) - 1)
    later = np.where(own.episode[later] == own.episode, later, np.arange(len(own)))
    remaining = own.event_remaining_s[later] + (later - np.arange(len(own))) / own.fps
    return replace(
        own,
        event=own.event[later],
        caption=own.caption[later],
        next_caption=own.next_caption[later],
        primitive=own.primitive[later],
        event_remaining_s=remaining.astype(np.float32),
    )


def within_events(own: Examples) -> Examples:
    """The same instants, of whose actions those alone count that end no later than the instant's event. Events of an
    episode are numbered in order."""
    rows = np.arange(len(own))[:, None] + np.arange(own.action.shape[1])
    inside = np.minimum(rows, len(own) - 1)
    same = (rows < len(own)) & (own.event[inside] <= own.event[:, None]) & (own.episode[inside] == own.episode[:, None])
    return replace(own, action_valid=own.action_valid & same)


def principal(vectors: Floats, width: int) -> Floats:
    """float32[N, width]: along the principal axes, as long as one in the mean square. The encoder's 512 columns would
    make most of a small policy's weights, and sentences of one kind lie close together in them."""
    centred = vectors - vectors.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    own = (left * size)[:, :width]
    own = np.pad(own, ((0, 0), (0, width - own.shape[1])))
    scale = np.sqrt((own**2).sum(axis=1).mean())
    return np.asarray(own / max(scale, 1e-6), dtype=np.float32)


def gather(urls: Sequence[str], path: Path, embed: Embed | None = None) -> Pool:
    """Reads a release once, writes what experiments need of it."""
    own = without_idle(examples(urls, HORIZON))
    vectors = principal(_vectors(own.texts, embed or encoder()), WIDTH)
    own.save(path)
    with np.load(path) as held:
        columns = dict(held)
    np.savez_compressed(path, **columns, vectors=vectors)
    return Pool(own, vectors)


def _vectors(texts: Sequence[str], embed: Embed) -> Floats:
    """An empty text has zeros."""
    there = [text for text in texts if text]
    given = dict(zip(there, np.asarray(embed(there), dtype=np.float32), strict=True))
    none = np.zeros_like(next(iter(given.values())))
    return np.stack([given.get(text, none) for text in texts])


def read(path: Path) -> Pool:
    with np.load(path) as held:
        vectors = held["vectors"]
    return Pool(load(path), vectors)


def main() -> None:
    parser = argparse.ArgumentParser(prog="stages.train.experiments.pool", description=__doc__)
    parser.add_argument("--shards", nargs="+", required=True, help="a corpus, or releases")
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    own = gather(options.shards, options.to).examples
    print(f"{len(own)} instants of {len(own.episodes)} demonstrations, {len(set(own.event.tolist()))} events")


if __name__ == "__main__":
    main()
