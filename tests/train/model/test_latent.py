"""The fixed latent of pictures."""

import pytest
import torch

from stages.train.model.latent import PatchLatent, patch_cosines


def test_all_frequencies_give_the_picture_back():
    pictures = torch.rand(2, 3, 3, 16, 24)
    latent = PatchLatent(8, 15, 15)
    assert latent.width == 192
    tokens = latent.encode(pictures)
    assert tokens.shape == (2, 3, 6, 192)
    torch.testing.assert_close(latent.decode(tokens, (2, 3)), pictures, atol=1e-5, rtol=0)


def test_a_patch_is_a_token_of_its_own():
    """Row by row: the third of 2 x 3 patches is that of pixels 0 to 7, 16 to 23."""
    pictures = torch.zeros(3, 16, 24)
    pictures[:, :8, 16:] = 1.0
    tokens = PatchLatent(8, 4, 2).encode(pictures)
    assert tokens.shape == (6, 16)  # 10 of brightness, 3 of each colour
    assert tokens.abs().sum(dim=1).nonzero().flatten().tolist() == [2]
    assert (tokens[2].abs() > 1e-5).nonzero().flatten().tolist() == [
        0
    ]  # white all over is brightness without a frequency


def test_the_basis_is_orthonormal_and_what_is_kept_decodes_exactly():
    basis, scale = patch_cosines(16, 12, 6)
    assert len(basis) == 78 + 2 * 21
    torch.testing.assert_close(basis @ basis.T, torch.eye(120), atol=1e-5, rtol=0)
    assert (scale > 0).all()
    latent = PatchLatent(16, 12, 6)
    tokens = torch.randn(4, 120)
    torch.testing.assert_close(latent.encode(latent.decode(tokens, (2, 2))), tokens, atol=1e-4, rtol=0)


def test_pictures_that_are_no_whole_patches_are_refused():
    with pytest.raises(ValueError, match="60 x 64 pixels"):
        PatchLatent(16, 4, 2).encode(torch.zeros(3, 60, 64))
