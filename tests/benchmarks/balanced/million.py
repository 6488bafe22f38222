"""A million events fitted and labelled by the stages' own functions, embeddings streaming in part by part.

In: nothing; vectors are planted as they are asked for. Out: seconds and memory. Labelling is one worker's: a build does
it in as many as it has.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from stages.cluster import ClusterConfig, LabelWork
from stages.cluster.fit import _events, fitted
from stages.cluster.label import label
from stages.cluster.model import to_bytes
from stages.embed.action import groups
from stages.work import Unit

EVENTS, PART, LABELLED = 1_000_000, 5_000, 20_000
VL, STEPS, KINDS = 384, 4, 1000


@dataclass(frozen=True)
class Million:
    """Seconds of the fit; microseconds to label an event, both labels; bytes of the process at its peak, and before."""

    fit: float
    each: float
    peak: float
    before: float
    clusters: int


class Stream:
    """A `Workspace` whose embeddings are planted: KINDS scenes and motions, Zipf."""

    def __init__(self, events: int) -> None:
        random = np.random.default_rng(0)
        self.events = events
        self.width = list(groups(STEPS).values())[-1].stop
        share = 1 / np.arange(1, KINDS + 1)
        self.share = share / share.sum()
        self.centres = {w: random.standard_normal((KINDS, w)).astype(np.float32) for w in (VL, self.width)}
        self.model = b""

    def batches(self, _: object, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        for start in range(0, self.events, PART):
            random = np.random.default_rng(start)
            ids = [f"s/{i // 10:06d}/L1/{i:09d}" for i in range(start, min(start + PART, self.events))]
            own: dict[str, Any] = {"event_id": ids, "episode_id": [e[:8] for e in ids], "layout": ["one"] * len(ids)}
            for name, width in (("vl", VL), ("action", self.width)):
                if columns is None or name in columns:
                    kind = random.choice(KINDS, len(ids), p=self.share)
                    own[name] = _lists(self.centres[width][kind] + random.standard_normal((len(ids), width)))
            yield pa.table(own).select(list(columns or own))

    def media(self, path: str) -> Any:
        from contextlib import nullcontext

        return nullcontext(path)

    def kept(self, make: Any, *about: Any) -> Any:
        from stages.cluster.model import from_bytes

        return from_bytes(self.model)


def _lists(values: Any) -> pa.Array:
    flat = pa.array(values.astype(np.float16).ravel())
    return pa.ListArray.from_arrays(np.arange(len(values) + 1, dtype=np.int32) * values.shape[1], flat)


def million() -> Million:
    work = Stream(EVENTS)
    events = _events(work)  # type: ignore[arg-type]
    before = _peak()
    started = time.perf_counter()
    model = fitted(work, events, ClusterConfig())  # type: ignore[arg-type]
    fit = time.perf_counter() - started
    peak = _peak()
    few = Stream(LABELLED)
    few.model = to_bytes(model)
    names = sorted(set(events["episode_id"][:LABELLED]))
    started = time.perf_counter()
    label(Unit("cluster", tuple((n, n) for n in names), LabelWork({}, {"m": ""}, "m"), {}), few)  # type: ignore[arg-type]
    each = (time.perf_counter() - started) / LABELLED * 1e6
    return Million(fit, each, peak, before, len(model["vl/L1"].centroids))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


if __name__ == "__main__":
    print(million())
