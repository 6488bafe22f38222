"""Camera rotary codes: relative to the cameras, plain where they are not known, nothing at first."""

import torch

from stages.train.model import ModelConfig
from stages.train.model.attention import attend
from stages.train.model.cameras import CameraCode, CrossViewAttention, camera_code
from tests.train.model.batches import make_batch, pose_at

PATCHES = torch.cartesian_prod(torch.arange(2), torch.arange(2))


def code_of(pose: torch.Tensor, calibrated: bool = True) -> CameraCode:
    batch = make_batch(ModelConfig.tiny(), 1, 1, pose.shape[1], 0)
    known = torch.full(pose.shape[:2], calibrated)
    return camera_code(batch.intrinsics[:, 0], pose, known, (16, 16), PATCHES, 16)


def attention_of(code: CameraCode) -> torch.Tensor:
    torch.manual_seed(0)
    layer = CrossViewAttention(32, 2)
    torch.nn.init.normal_(layer.out.weight)
    return layer(torch.randn(1, 8, 32), code, torch.ones(1, 1, 8, 8, dtype=torch.bool)).detach()


def test_it_does_not_matter_where_the_base_frame_lies():
    poses = torch.stack([pose_at((0.6, 0.8, 0.7), (0.5, 0, 0.1)), pose_at((-0.4, 0.8, 0.5), (0.5, 0, 0.1))])[None]
    moved = pose_at((2.0, -1.0, 0.5), (0.0, 0.0, 0.0)) @ poses
    torch.testing.assert_close(attention_of(code_of(poses)), attention_of(code_of(moved)), atol=1e-4, rtol=1e-4)
    turned = poses.clone()
    turned[0, 1] = moved[0, 1]
    assert (attention_of(code_of(poses)) - attention_of(code_of(turned))).abs().max() > 0.01


def test_without_calibration_it_is_a_rotary_code_of_rows_and_columns():
    code = code_of(torch.full((1, 2, 4, 4), float("nan")), calibrated=False)
    assert torch.equal(code.projection, torch.eye(4).expand(1, 2, 4, 4))
    x = torch.randn(1, 2, 8, 16)
    for by in ("transpose", "inverse", "forward"):
        assert torch.equal(code.turn(x, by)[..., :8], x[..., :8])
    assert torch.equal(code.turn(x, "forward")[..., 0, :], x[..., 0, :])  # the patch of row 0, column 0


def test_a_point_of_one_view_is_projected_into_the_other():
    """D_u D_u'^-1 takes (pixel of u' x depth, 1) to (pixel of u x depth, 1), in pictures from -1/2 to 1/2."""
    poses = torch.stack([pose_at((0.6, 0.8, 0.7), (0.5, 0, 0.1)), pose_at((-0.4, 0.8, 0.5), (0.5, 0, 0.1))])[None]
    code = code_of(poses)
    point = torch.tensor([0.5, 0.0, 0.1, 1.0])
    views = code.projection[0] @ point
    torch.testing.assert_close(code.projection[0, 0] @ code.inverse[0, 1] @ views[1], views[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(views[:, :2] / views[:, 2:3], torch.zeros(2, 2), atol=1e-6, rtol=0)  # it is looked at


def test_what_sees_nothing_gets_zeros_and_no_nan_behind_it():
    q = torch.randn(1, 1, 3, 16, requires_grad=True)
    mask = torch.tensor([[True, False], [False, False], [True, True]])[None, None]
    seen = attend(q, torch.randn(1, 1, 2, 16), torch.randn(1, 1, 2, 16), mask)
    assert torch.equal(seen[0, 0, 1], torch.zeros(16))
    seen.sum().backward()
    assert q.grad is not None
    assert q.grad.isfinite().all()
