"""Camera rotary codes: cross-view attention that sees how one camera stands to another.

In: intrinsics and poses of a picture's views. Out: what turns queries, keys and values so that attention depends on
the projection of one view into another, not on where the base frame lies. This is PRoPE (arXiv 2507.10496), which
follows GTA (arXiv 2310.10375): half of a head's columns, four by four, are turned by the view's 4 x 4 projection, the
other half by the rotary code of the patch's row and column. It costs no parameters, keeps the fused attention, and is
a plain rotary code where nothing is calibrated (the projection is then the identity).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from stages.train.model.attention import Heads, attend, rotary, rotate


@dataclass(frozen=True, slots=True)
class CameraCode:
    """Of M pictures in time with V views of P patches: base to view float32[M, V, 4, 4], its inverse, and
    the rotary code of row and column, float32[1, V * P, 2, d / 4]."""

    projection: Tensor
    inverse: Tensor
    grid: Tensor

    def turn(self, x: Tensor, by: Literal["transpose", "inverse", "forward"]) -> Tensor:
        """float[M, heads, V * P, d]. Queries are turned by D^T, keys and values by D^-1, results by D: then a score
        is q^T D_u D_u'^-1 k. Rotations are their own inverse transposed."""
        lens, grid = x.chunk(2, dim=-1)
        matrix = self.inverse if by == "inverse" else self.projection
        if by == "transpose":
            matrix = matrix.mT
        per_view = lens.unflatten(2, (matrix.shape[1], -1)).unflatten(-1, (-1, 4))  # M, heads, V, P, columns, 4
        turned = torch.einsum("mvij,mhvpcj->mhvpci", matrix.to(x.dtype), per_view).flatten(-2).flatten(2, 3)
        return torch.cat([turned, rotate(grid, self.grid, back=by != "forward")], dim=-1)


def camera_code(
    intrinsics: Tensor, pose: Tensor, calibrated: Tensor, size: tuple[int, int], patches: Tensor, head: int
) -> CameraCode:
    """intrinsics float32[M, V, 3, 3] of pictures of size (H, W); pose: T_base_camera [M, V, 4, 4]; calibrated
    bool[M, V]; patches: int64[P, 2], row and column; head: columns of an attention head."""
    height, width = size
    # to pictures from -1/2 to 1/2 whatever their size; pixel centres lie at integers
    unit = intrinsics.new_tensor([[1 / width, 0, 0.5 / width - 0.5], [0, 1 / height, 0.5 / height - 0.5], [0, 0, 1]])
    identity = torch.eye(4, device=pose.device)
    lens = identity.repeat(*calibrated.shape, 1, 1)
    lens[..., :3, :3] = unit @ intrinsics
    known = calibrated[..., None, None]
    lens, pose = torch.where(known, lens, identity), torch.where(known, pose, identity)
    to_view = torch.linalg.inv_ex(pose).inverse
    row, column = patches.repeat(calibrated.shape[1], 1).unbind(-1)
    grid = rotary((row, column), (head // 4, head // 4))
    return CameraCode(lens @ to_view, pose @ torch.linalg.inv_ex(lens).inverse, grid[None])


class CrossViewAttention(Heads):
    """Patches of all views at one time on each other. The way out starts at zero: nothing is changed at first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, zero=True)

    def forward(self, x: Tensor, code: CameraCode, mask: Tensor) -> Tensor:
        """float[M, V * P, width]; mask bool[M, 1, V * P, V * P]."""
        q, k, v = self.split(x)
        seen = attend(code.turn(q, "transpose"), code.turn(k, "inverse"), code.turn(v, "inverse"), mask)
        return self.merge(code.turn(seen, "forward"))
