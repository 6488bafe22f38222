"""Centroids as a file, and the labels that they give.

In: float32[N, D] vectors of one space and level. Out: a label and a squared distance each. What comes out for an event
must not depend on which others share its part: a matrix product rounds differently for another number of rows, so
vectors are projected and compared row by row.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController

Matrix = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]
OTHER = "*"  # the scale of a layout that no event of the fit had
ROW_BY_ROW = 1 << 30  # FAISS leaves BLAS alone below so many queries


@dataclass(frozen=True, slots=True)
class Projection:
    """mean float32[D], axes float32[d, D] (principal components); `spherical`: what is projected has length 1 after.
    scales: {layout: float32[D]}, by which the vectors of a layout are divided first."""

    mean: Matrix
    axes: Matrix
    spherical: bool = False
    scales: Mapping[str, Matrix] = field(default_factory=dict)

    def check(self, width: int) -> None:
        """Raises ValueError for vectors of another width."""
        if width != len(self.mean):
            raise ValueError(f"vectors are {width} wide, these centroids were fitted on {len(self.mean)}")

    def __call__(self, vectors: Matrix, layouts: Sequence[str] = ()) -> Matrix:
        """float32[N, d]. ValueError for another width.

        Row by row it costs 12 us an event of 1,664 numbers instead of 3.
        """
        self.check(vectors.shape[1])
        with limited(1):
            rows = [self.axes @ (row - self.mean) for row in scaled(vectors, layouts, self.scales)]
        projected = np.stack(rows) if rows else np.zeros((0, len(self.axes)), dtype=np.float32)
        return unit(projected) if self.spherical else projected


@dataclass(frozen=True, slots=True)
class Clustering:
    """centroids float32[k, d]; groups int32[k]: the coarser cluster that each lies in, the level above of the tree;
    sizes int64[k] and distances float32[k]: how many events of the fit each had, and their mean squared distance."""

    projection: Projection
    centroids: Matrix
    groups: Labels
    sizes: npt.NDArray[np.int64]
    distances: Matrix

    def assign(self, vectors: Matrix, layouts: Sequence[str] = ()) -> tuple[Labels, Matrix]:
        """(label int32[N], squared distance float32[N]) of the nearest centroid. ValueError for another width."""
        import faiss  # here: a build that has nothing to do does without

        projected = self.projection(vectors, layouts)
        faiss.cvar.distance_compute_blas_threshold = ROW_BY_ROW
        index = faiss.IndexFlatL2(self.centroids.shape[1])
        index.add(self.centroids)
        with limited(1):
            distances, labels = index.search(projected, 1)
        return labels[:, 0].astype(np.int32), np.maximum(distances[:, 0], 0.0)


def unit(vectors: Matrix) -> Matrix:
    """Rows of length 1; zeros stay."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def scaled(vectors: Matrix, layouts: Sequence[str], scales: Mapping[str, Matrix]) -> Matrix:
    """Each row divided by the scale of its layout."""
    if not scales:
        return vectors
    by_row = np.stack([scales.get(layout, scales[OTHER]) for layout in layouts]) if len(layouts) else vectors
    return np.asarray(vectors / by_row, dtype=np.float32)


@cache
def _controller() -> ThreadpoolController:
    """Found once in a process: looking takes 4 ms."""
    return ThreadpoolController()


def limited(threads: int):  # type: ignore[no-untyped-def]
    """A context in which FAISS and every BLAS of this process have so many threads."""
    return _controller().limit(limits=threads)


def to_bytes(clusterings: Mapping[str, Clustering]) -> bytes:
    """One .npz for all clusterings of a build, the same bytes for the same ones."""
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for name, one in sorted(clusterings.items()):
        own = one.projection
        arrays |= {f"{name}:mean": own.mean, f"{name}:axes": own.axes, f"{name}:spherical": np.array(own.spherical)}
        arrays |= {f"{name}:{part}": getattr(one, part) for part in ("centroids", "groups", "sizes", "distances")}
        arrays |= {f"{name}:scale:{layout}": scale for layout, scale in sorted(own.scales.items())}
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # (its stub takes the arrays for allow_pickle)
    return buffer.getvalue()


def from_bytes(data: bytes) -> dict[str, Clustering]:
    """Inverse of `to_bytes`. Raises ValueError or KeyError for another file."""
    found: dict[str, dict[str, npt.NDArray[np.generic]]] = {}
    with np.load(io.BytesIO(data)) as arrays:
        for key in arrays.files:
            name, part = key.split(":", 1)
            found.setdefault(name, {})[part] = arrays[key]
    return {name: _clustering(parts) for name, parts in found.items()}


def _clustering(parts: Mapping[str, npt.NDArray[np.generic]]) -> Clustering:
    scales = {key.removeprefix("scale:"): value for key, value in parts.items() if key.startswith("scale:")}
    projection = Projection(parts["mean"], parts["axes"], bool(parts["spherical"]), scales)  # type: ignore[arg-type]
    return Clustering(projection, *(parts[p] for p in ("centroids", "groups", "sizes", "distances")))  # type: ignore[arg-type]
