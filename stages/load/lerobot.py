"""`meta` of a dataset in layout `lerobot`: what LeRobot's policies, processors and training loop ask of theirs.

In: the dataset. Out: `Meta`. Attributes by what lerobot 0.4 to 0.6 read (`LeRobotDatasetMetadata`); each sample counts
as an episode, whose frames follow each other by number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from stages.load.reading.release import MOMENTS
from stages.load.vector import Vector

if TYPE_CHECKING:
    from stages.load.dataset import EventDataset

# mean and standard deviation of RGB over ImageNet, in 0 ... 1, which lerobot puts in place of a dataset's own
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "min": (0.0,) * 3, "max": (1.0,) * 3}


@dataclass
class Meta:
    """features: by key, of one frame; stats: by key, of state and action over all layouts (after `normalise`: the
    figures that normalised values have), of cameras ImageNet's; tasks: by number; episodes: first item of each sample
    and the one after its last."""

    fps: float
    features: dict[str, dict[str, Any]]
    stats: dict[str, dict[str, npt.NDArray[np.float32] | torch.Tensor]]
    tasks: list[str]
    camera_keys: list[str]
    episodes: dict[str, list[int]]
    robot_type: str
    total_frames: int
    total_episodes: int
    depth_keys: tuple[str, ...] = ()
    has_language_columns: bool = False

    @property
    def video_keys(self) -> list[str]:
        return self.camera_keys

    @property
    def image_keys(self) -> list[str]:
        return []

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {key: feature["shape"] for key, feature in self.features.items()}

    @property
    def names(self) -> dict[str, list[str] | None]:
        return {key: feature["names"] for key, feature in self.features.items()}

    @classmethod
    def of(cls, dataset: EventDataset) -> Meta:
        """Raises ValueError where samples have several rates, which one `fps` cannot tell, or sizes of pictures."""
        plan = dataset.release.plan
        rates = sorted({float(rate) for rate in plan.numbers["fps"]})
        if len(rates) > 1:
            raise ValueError(
                f"samples have {', '.join(f'{r:g}' for r in rates)} frames/s: choose by where='fps = {rates[0]:g}'"
            )
        dataset.check_sizes()
        features: dict[str, dict[str, Any]] = {}
        stats: dict[str, dict[str, Any]] = {}
        cameras = []
        for name, size in dataset.wanted.size.items():
            key = f"observation.images.{name}"
            cameras.append(key)
            features[key] = {"dtype": "video", "shape": (*size, 3), "names": ["height", "width", "channels"]}
            stats[key] = {k: np.array(v, dtype=np.float32).reshape(3, 1, 1) for k, v in IMAGENET.items()}
        for number, vector in enumerate(dataset.vectors):
            key = "action" if vector.name == "action" else f"observation.{vector.name}"
            columns = vector.columns(dataset.release.layouts[dataset.layouts[0]])
            names = columns if len(dataset.layouts) == 1 else [str(n) for n in range(vector.width)]
            features[key] = {"dtype": "float32", "shape": (vector.width,), "names": names}
            stats[key] = _figures(dataset, number, vector)
        for key, kind in (("timestamp", "float32"), *((k, "int64") for k in INDICES)):
            features[key] = {"dtype": kind, "shape": (1,), "names": None}
        starts = dataset.starts.tolist()
        robots = sorted(set(plan.text("robot")))
        return cls(
            rates[0],
            features,
            stats,
            plan.names["task"],
            cameras,
            {"dataset_from_index": starts[:-1], "dataset_to_index": starts[1:]},
            robots[0] if len(robots) == 1 else "several",
            len(dataset),
            len(plan),
        )


INDICES = ("frame_index", "episode_index", "index", "task_index")


def _figures(dataset: EventDataset, number: int, vector: Vector) -> dict[str, npt.NDArray[np.float32]]:
    """Of a vector's columns over all layouts that have them, weighted by rows; quantiles are weighted means."""
    count = np.zeros(vector.width)
    total = {key: np.zeros(vector.width) for key in ("mean", "square", "q01", "q99")}
    low, high = np.full(vector.width, np.inf), np.full(vector.width, -np.inf)
    for key in dataset.layouts:
        statistics, layout = dataset.release.statistics.get(key, {}), dataset.release.layouts[key]
        figures, scale = vector.figures(statistics), dataset.wanted.scales[key][number]
        if scale is not None:
            figures = {k: v / scale.unit if k == "std" else scale.apply(v) for k, v in figures.items()}
        own = np.zeros(vector.width)
        for array, first, _ in vector.places():
            if array in statistics:
                own[first : first + len(layout[array]["values"])] = statistics[array]["count"]
        square = figures["std"].astype(np.float64) ** 2 + figures["mean"].astype(np.float64) ** 2
        for name in total:
            total[name] += own * (square if name == "square" else figures[name])
        low = np.where(own > 0, np.minimum(low, figures["min"]), low)
        high = np.where(own > 0, np.maximum(high, figures["max"]), high)
        count += own
    known = count > 0
    mean = {name: np.divide(values, count, out=np.zeros(vector.width), where=known) for name, values in total.items()}
    std = np.where(known, np.sqrt(np.maximum(mean["square"] - mean["mean"] ** 2, 0)), 1.0)
    found = {**mean, "std": std, "min": np.where(known, low, 0.0), "max": np.where(known, high, 1.0)}
    return {key: np.asarray(found[key], dtype=np.float32) for key in MOMENTS}
