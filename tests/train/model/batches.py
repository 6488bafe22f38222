"""Batches made by hand: events apart or packed in a row, cameras that stand somewhere or do not."""

from collections.abc import Sequence
from dataclasses import fields

import torch
from torch import Tensor

from stages.train.batch import Batch
from stages.train.model import ModelConfig

PLACES = ((0.6, 0.8, 0.7), (1.3, -0.2, 0.5), (-0.4, 0.3, 0.9))  # of cameras


def pose_at(position: Sequence[float], target: Sequence[float]) -> Tensor:
    """T_base_camera, OpenCV axes (z forward, y down), of a camera that looks at a point."""
    origin = torch.tensor(position, dtype=torch.float32)
    z = torch.nn.functional.normalize(torch.tensor(target, dtype=torch.float32) - origin, dim=0)
    x = torch.nn.functional.normalize(torch.linalg.cross(z, torch.tensor([0.0, 0.0, 1.0])), dim=0)
    pose = torch.eye(4)
    pose[:3, :3] = torch.stack([x, torch.linalg.cross(z, x), z], dim=1)
    pose[:3, 3] = origin
    return pose


def make_batch(
    config: ModelConfig, rows: int, frames: int, views: int, actions: int, side: int = 16, seed: int = 0
) -> Batch:
    """One event a row, whole, every view calibrated."""
    g = torch.Generator().manual_seed(seed)
    poses = torch.stack([pose_at((0.6, 0.8 * (v + 1), 0.7), (0.5, 0.0, 0.1)) for v in range(views)] or [torch.eye(4)])[
        :views
    ]
    lens = torch.tensor([[1.2 * side, 0, side / 2 - 0.5], [0, 1.2 * side, side / 2 - 0.5], [0, 0, 1.0]])
    return Batch(
        pictures=torch.rand(rows, frames, views, 3, side, side, generator=g),
        picture_segment=torch.ones(rows, frames, dtype=torch.int64),
        picture_index=torch.arange(frames).expand(rows, -1).clone(),
        view_valid=torch.ones(rows, 1, views, dtype=torch.bool),
        intrinsics=lens.expand(rows, 1, views, 3, 3).clone(),
        pose=poses.expand(rows, frames, views, 4, 4).clone(),
        calibrated=torch.ones(rows, 1, views, dtype=torch.bool),
        state=torch.randn(rows, 1, config.state, generator=g),
        action=torch.randn(rows, actions, config.action, generator=g),
        action_mask=torch.ones(rows, actions, config.action, dtype=torch.bool),
        action_segment=torch.ones(rows, actions, dtype=torch.int64),
        action_index=torch.arange(actions).expand(rows, -1).clone(),
        text=torch.randn(rows, 1, config.text, generator=g),
        text_valid=torch.ones(rows, 1, dtype=torch.bool),
        task_text=torch.randn(rows, 1, config.text, generator=g),
        caption_text=torch.randn(rows, 1, config.text, generator=g),
        caption=torch.randint(3, (rows, 1), generator=g),
        next_caption=torch.zeros(rows, 1, dtype=torch.int64),
        remaining=torch.ones(rows, 1),
        frames=torch.full((rows, 1), actions),
        window=torch.zeros(rows, 1, dtype=torch.int64),
    )


PER_PICTURE = {"pictures", "picture_segment", "picture_index", "pose"}
PER_ACTION = {"action", "action_mask", "action_segment", "action_index"}


def pack(events: Sequence[Batch], padding: tuple[int, int] = (0, 0)) -> Batch:
    """Batches of one event a row, one behind the other in each row, then so many pictures and actions of padding."""
    joined = {}
    for field in fields(Batch):
        parts = [getattr(event, field.name) for event in events]
        if field.name.endswith("_segment"):
            parts = [torch.where(x > 0, n, 0) for n, x in enumerate(parts, start=1)]
        more = padding[0] if field.name in PER_PICTURE else padding[1] if field.name in PER_ACTION else 0
        if more:
            parts.append(torch.zeros_like(parts[0][:, :1]).repeat(1, more, *(1,) * (parts[0].dim() - 2)))
        joined[field.name] = torch.cat(parts, dim=1)
    return Batch(**joined)


def numbers(model_output: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in model_output.items()}
