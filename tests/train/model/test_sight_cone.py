"""The sight-cone mask blocks what geometry says: rays cast inside cones of random cameras."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.train.model import ModelConfig
from stages.train.model.sight_cone import cones_meet, patch_cones, sight_mask
from tests.train.model.batches import pose_at

NEAR, FAR = 0.05, 3.0
Cone = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def patches_of(rows: int, columns: int) -> torch.Tensor:
    return torch.cartesian_prod(torch.arange(rows), torch.arange(columns))


def cameras(seed: int, views: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Cameras around a table, of different lenses, that look somewhere near its middle."""
    g = torch.Generator().manual_seed(seed)
    poses, lenses = [], []
    for _ in range(views):
        position = torch.randn(3, generator=g) * torch.tensor([0.8, 0.8, 0.3]) + torch.tensor([0.0, 0.0, 0.8])
        target = 0.6 * torch.randn(3, generator=g)
        poses.append(pose_at(position.tolist(), target.tolist()))
        focal = 40 + 80 * float(torch.rand((), generator=g))
        lenses.append(torch.tensor([[focal, 0, 31.5], [0, focal * 1.1, 30.0], [0, 0, 1.0]]))
    return torch.stack(lenses), torch.stack(poses)


def inside(cone: Cone, points: torch.Tensor, slack: float = 0.0) -> torch.Tensor:
    """bool[..., n]: within the half-angle of the axis (slack: rad more) and between the depths."""
    apex, axis, angle = cone
    ray = points - apex[..., None, :]
    distance = ray.norm(dim=-1)
    off_axis = torch.atan2(
        torch.linalg.cross(ray, axis[..., None, :].expand_as(ray)).norm(dim=-1), (ray * axis[..., None, :]).sum(-1)
    )
    return (off_axis <= angle[..., None] + slack) & (distance >= NEAR) & (distance <= FAR)


def cast(cone: Cone, n: int, g: torch.Generator) -> torch.Tensor:
    """float32[..., n, 3]: points on n rays within the cone."""
    apex, axis, angle = cone
    helper = torch.where(axis[..., 2:].abs() < 0.9, torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0]))
    one = torch.nn.functional.normalize(torch.linalg.cross(axis, helper), dim=-1)
    two = torch.linalg.cross(axis, one)
    shape = (*angle.shape, n)
    off = angle[..., None] * torch.rand(shape, generator=g).sqrt() * 0.9999
    turn = 2 * math.pi * torch.rand(shape, generator=g)
    depth = NEAR * (FAR / NEAR) ** torch.rand(shape, generator=g)
    ray = (
        off.cos()[..., None] * axis[..., None, :]
        + (off.sin() * turn.cos())[..., None] * one[..., None, :]
        + (off.sin() * turn.sin())[..., None] * two[..., None, :]
    )
    return apex[..., None, :] + depth[..., None] * ray


def pairs(seed: int) -> tuple[Cone, Cone]:
    """Every patch of one camera beside every patch of another, 16 x 16."""
    lenses, poses = cameras(seed)
    apex, axis, angle = patch_cones(lenses, poses, patches_of(4, 4), 16)
    return (
        (apex[0][:, None].expand(16, 16, 3), axis[0][:, None].expand(16, 16, 3), angle[0][:, None].expand(16, 16)),
        (apex[1][None].expand(16, 16, 3), axis[1][None].expand(16, 16, 3), angle[1][None].expand(16, 16)),
    )


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_blocked_cones_share_no_point_that_a_ray_reaches(seed: int):
    one, other = pairs(seed)
    allowed = cones_meet(one, other, NEAR, FAR)
    g = torch.Generator().manual_seed(seed)
    shared = inside(other, cast(one, 300, g)).any(-1) | inside(one, cast(other, 300, g)).any(-1)
    assert not (shared & ~allowed).any()


def test_some_pairs_share_points_and_some_are_blocked():
    shared, blocked = 0, 0
    for seed in range(20):
        one, other = pairs(seed)
        blocked += int((~cones_meet(one, other, NEAR, FAR)).sum())
        shared += int(inside(other, cast(one, 300, torch.Generator().manual_seed(seed))).any(-1).sum())
    assert shared > 500  # of 5,120: the property above is about something
    assert blocked > 500


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_allowed_cones_have_depths_at_which_their_balls_touch(seed: int):
    """The other way round: on a grid of depths the least gap is what the closed form says, to the grid's width."""
    one, other = pairs(seed)
    depth = torch.linspace(NEAR, FAR, 80, dtype=torch.float64)
    (apex, axis, angle), (apex2, axis2, angle2) = [tuple(x.double() for x in cone) for cone in (one, other)]
    first = apex[..., None, :] + depth[:, None] * axis[..., None, :]
    second = apex2[..., None, :] + depth[:, None] * axis2[..., None, :]
    reach = depth[:, None] * angle[..., None, None] + depth * angle2[..., None, None]
    gap = (torch.cdist(first, second) - reach).amin(dim=(-1, -2))
    allowed = cones_meet(one, other, NEAR, FAR)
    assert allowed[gap <= -1e-4].all()
    assert not allowed[gap > 0.06].any()  # half a step of 3.7 cm of either depth changes no gap by more


def test_cones_side_by_side_meet_beyond_the_feet_of_their_axes():
    """Two axes 0.2 m apart that part by 0.02 rad, half-angles 0.1: closest at their feet (0.2 m apart, reach 0.01 m),
    at 3 m 0.26 m apart and reach 0.6 m."""
    apex, angle = torch.zeros(3), torch.tensor(0.1)
    left = (apex, torch.tensor([0.0, 0.0, 1.0]), angle)
    right = (torch.tensor([0.2, 0.0, 0.0]), torch.tensor([math.sin(0.02), 0.0, math.cos(0.02)]), angle)
    assert not cones_meet(left, right, NEAR, FAR, "closest")
    assert cones_meet(left, right, NEAR, FAR, "any")
    assert not cones_meet(left, right, NEAR, 0.9, "any")  # 0.218 m apart there, reach 0.18 m


def test_the_rule_of_the_report_allows_no_more_than_the_exact_one():
    for seed in range(20):
        one, other = pairs(seed)
        assert not (cones_meet(one, other, NEAR, FAR, "closest") & ~cones_meet(one, other, NEAR, FAR)).any()


def test_a_cone_holds_its_patch():
    """f = 32 px, a patch of 16 around the middle: corners at (8, 8) / 32, atan(sqrt(2) / 4) = 19.47 degrees."""
    lens = torch.tensor([[32.0, 0, 7.5], [0, 32.0, 7.5], [0, 0, 1]])
    apex, axis, angle = patch_cones(lens, torch.eye(4), patches_of(1, 1), 16)
    assert apex.tolist() == [[0, 0, 0]]
    assert axis.tolist() == [[0, 0, 1]]
    assert abs(math.degrees(float(angle)) - 19.4712) < 1e-3


def test_same_views_and_unknown_cameras_always_may():
    lenses, poses = cameras(3, views=3)
    grid = patches_of(4, 4)
    known = torch.tensor([[True, True, False]])
    mask = sight_mask(lenses[None], poses[None], known, grid, 16, ModelConfig())[0].view(3, 16, 3, 16)
    assert mask[2].all()
    assert mask[:, :, 2].all()
    assert all(mask[v, :, v].all() for v in range(3))
    assert not mask[0, :, 1].all()
    assert torch.equal(mask[0, :, 1], mask[1, :, 0].T)
