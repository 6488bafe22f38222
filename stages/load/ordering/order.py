"""The order of an epoch: a pure function of the plan's digest, a seed, and the epoch's number.

In: weights of items (how often a pass takes each), their tars. Out: int64[N], items in order, repeats among them. Keys
are raw 64-bit draws of Philox (Salmon 2011), a stream that NumPy keeps from version to version, so that the order is
the same on every machine; how many ranks and workers share it out makes no difference to it.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

GOLDEN = (5**0.5 - 1) / 2  # offsets n * GOLDEN mod 1 are spread the most evenly


def digest_of(*parts: bytes | str | npt.NDArray[np.generic]) -> str:
    """32 hex digits."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part if isinstance(part, bytes) else part.tobytes()
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()


def keys(digest: str, seed: int, epoch: int, what: str, count: int) -> npt.NDArray[np.uint64]:
    """uint64[count], random, the same for the same arguments."""
    key = int.from_bytes(hashlib.blake2b(f"{digest}:{seed}:{epoch}:{what}".encode(), digest_size=16).digest(), "little")
    return np.asarray(np.random.Philox(key=key).random_raw(count), dtype=np.uint64).reshape(count)


def shuffled(count: int, digest: str, seed: int, epoch: int, what: str) -> npt.NDArray[np.int64]:
    """A permutation of 0 ... count - 1."""
    return np.argsort(keys(digest, seed, epoch, what, count), kind="stable")


def copies(weight: npt.NDArray[np.float64], digest: str, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """int64[N], how often each item comes in an epoch: its weight, rounded up or down, so that an epoch has the same
    length each time (round(sum)) and over epochs each comes as often as its weight says (systematic sampling, with an
    offset that moves by the golden ratio)."""
    total = round(float(weight.sum()))
    if not total:
        return np.zeros(len(weight), dtype=np.int64)
    if (weight == np.rint(weight)).all():
        return weight.astype(np.int64)
    order = shuffled(len(weight), digest, seed, 0, "copies")
    ends = np.cumsum(weight[order] * (total / weight.sum()))
    ends[-1] = total
    offset = (float(keys(digest, seed, 0, "offset", 1)[0] / 2.0**64) + epoch * GOLDEN) % 1.0
    passed = np.floor(ends + offset).astype(np.int64)
    result = np.empty(len(weight), dtype=np.int64)
    result[order] = np.diff(passed, prepend=0)
    return result


def epoch_order(
    weight: npt.NDArray[np.float64],
    tar: npt.NDArray[np.int32],
    digest: str,
    seed: int,
    epoch: int,
    shuffle: bool = True,
    mixed_tars: int | None = None,
) -> npt.NDArray[np.int64]:
    """int64[N], items in order. tar: of each item; mixed_tars: so many tars are mixed at a time, which keeps reading
    near where tars are fetched whole (None: all are)."""
    items = np.repeat(np.arange(len(weight)), copies(weight, digest, seed, epoch))
    if not shuffle:
        return items
    key = keys(digest, seed, epoch, "order", len(items))
    if mixed_tars is None:
        return np.asarray(items[np.argsort(key, kind="stable")], dtype=np.int64)
    place = np.argsort(shuffled(int(tar.max(initial=-1)) + 1, digest, seed, epoch, "tars"), kind="stable")
    return np.asarray(items[np.lexsort((key, place[tar[items]] // mixed_tars))], dtype=np.int64)
