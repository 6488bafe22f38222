"""The sight-cone mask: patches of two views may attend to each other where they can see the same thing.

In: intrinsics and poses of the views at one time. Out: which pairs of patches may attend. A patch is a cone: its apex
the camera, its axis through the patch's middle, its half-angle the least that holds the patch; it reaches from
`nearest` to `farthest`. Two patches may attend iff there are depths t1, t2 in that range with |p(u, t1) - p(u', t2)|
<= t1 g(u) + t2 g(u'), g the half-angles (WALL-WM, arXiv 2606.01955, section 3): balls around points of the two axes,
which hold all that the cones hold at those distances, touch. Used in training alone.

The report asks this of one pair of depths, the closest points of the two axes (t1 clamped, t2 re-solved for it and
clamped): `rule="closest"`. That blocks cones that meet beyond: the axes of two cameras side by side are closest at
their feet, where cones are narrow. Of 300 random pairs of cameras with 4 x 4 patches it blocks 3.7 % of the patches in
whose cones 300 random rays found a point in common; the default, `any`, blocks none of them. It asks whether any two
depths satisfy the inequality, exactly: |p - p'|^2 - (t1 g + t2 g')^2 is a quadratic in (t1, t2), whose least value in
the square of depths lies at its stationary point or on an edge, five candidates in closed form.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stages.train.model.config import ConeRule, ModelConfig


def patch_cones(intrinsics: Tensor, pose: Tensor, patches: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Apex and axis (unit) in the base frame, float32[..., P, 3], and half-angle, rad, float32[..., P].

    intrinsics float32[..., 3, 3] of undistorted pictures, pixel centres at integers; pose: T_base_camera [..., 4, 4];
    patches: int64[P, 2], row and column of patches `side` pixels wide.
    """
    row, column = patches.float().unbind(-1)
    middle = torch.stack([(column + 0.5) * side - 0.5, (row + 0.5) * side - 0.5], dim=-1)
    reach = middle.new_tensor([[0, 0], [-1, -1], [-1, 1], [1, -1], [1, 1]]) * side / 2
    pixels = middle[:, None] + reach  # P, middle and corners, 2
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], dim=-1)
    rays = homogeneous @ torch.linalg.inv_ex(intrinsics).inverse.mT[..., None, :, :]
    rays = rays / rays.norm(dim=-1, keepdim=True)
    axis, corners = rays[..., 0, :], rays[..., 1:, :]
    # by the chord, not the cosine, whose rounding loses an angle of 1e-3; a cone round the axis is convex in the
    # picture, so that the corners hold the rest of the patch
    half_angle = 2 * torch.asin(((corners - axis[..., None, :]).norm(dim=-1) / 2).clamp(max=1)).amax(dim=-1)
    axis = axis @ pose[..., :3, :3].mT
    return pose[..., None, :3, 3].expand_as(axis), axis, half_angle


def cones_meet(
    one: tuple[Tensor, Tensor, Tensor],
    other: tuple[Tensor, Tensor, Tensor],
    nearest: float,
    farthest: float,
    rule: ConeRule = "any",
) -> Tensor:
    """bool[...] of two (apex float32[..., 3], axis float32[..., 3], half-angle float32[...] under 1 rad) that
    broadcast; depths in m."""
    (apex, axis, angle), (apex2, axis2, angle2) = one, other
    between = apex - apex2
    # |between + t1 axis - t2 axis2|^2 in these, of axes of length 1
    start = between.square().sum(-1)
    along, along2 = (between * axis).sum(-1), (between * axis2).sum(-1)
    cosine = (axis * axis2).sum(-1)

    def gap(t1: Tensor, t2: Tensor) -> Tensor:
        """How far the balls at these depths are from touching, as the difference of squares, m^2."""
        apart = start + t1 * t1 + t2 * t2 + 2 * (t1 * along - t2 * along2 - t1 * t2 * cosine)
        return apart - (t1 * angle + t2 * angle2).square()

    def inside(t: Tensor) -> Tensor:
        return torch.nan_to_num(t, nan=nearest).clamp(nearest, farthest)

    t1 = inside((along2 * cosine - along) / (1 - cosine.square()))
    closest = gap(t1, inside(along2 + t1 * cosine))
    if rule == "closest":
        return closest <= 0
    # the quadratic: a t1^2 + c t2^2 - 2 b t1 t2 + 2 along t1 - 2 along2 t2
    a, c, b = 1 - angle.square(), 1 - angle2.square(), cosine + angle * angle2
    middle = inside((b * along2 - c * along) / (a * c - b * b))
    candidates = [closest, gap(middle, inside((along2 + b * middle) / c))]
    for end in (nearest, farthest):
        fixed = torch.full_like(cosine, end)
        candidates += [gap(fixed, inside((along2 + b * fixed) / c)), gap(inside((b * fixed - along) / a), fixed)]
    return torch.stack(candidates).amin(dim=0) <= 0


def sight_mask(
    intrinsics: Tensor, pose: Tensor, calibrated: Tensor, patches: Tensor, side: int, config: ModelConfig
) -> Tensor:
    """bool[M, V * P, V * P]: may attend. intrinsics float32[M, V, 3, 3], pose [M, V, 4, 4], calibrated bool[M, V].
    Patches of one view always may, and those of a view whose camera is not known."""
    known = calibrated[..., None, None]
    intrinsics = torch.where(known, intrinsics, torch.eye(3, device=pose.device))
    pose = torch.where(known, pose, torch.eye(4, device=pose.device))
    apex, axis, angle = (x.flatten(1, 2) for x in patch_cones(intrinsics, pose, patches, side))
    one, other = (
        (apex[:, :, None], axis[:, :, None], angle[:, :, None]),
        (apex[:, None], axis[:, None], angle[:, None]),
    )
    view = torch.arange(calibrated.shape[1], device=pose.device).repeat_interleave(len(patches))
    blind = ~calibrated.repeat_interleave(len(patches), dim=1)
    meet = cones_meet(one, other, config.nearest_m, config.farthest_m, config.cone_rule)
    return meet | (view[:, None] == view) | blind[:, :, None] | blind[:, None]
