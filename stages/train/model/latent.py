"""The latent in which pictures are denoised: a patch's lowest frequencies, and of later pictures their change.

In: pictures, 0 to 1. Out: one token a patch. A fixed linear map (orthonormal cosines of brightness and two colours)
rather than a learned autoencoder: it needs no training before the towers', decodes exactly what it keeps, and a small
model sees few, decorrelated numbers. With patches of 16 pixels at 64 px, 120 of 768 numbers keep 29 to 31 dB of the
sample's pictures; patches of 8 with 33 of 192 keep the same, with four times the tokens (and steps four times as long).

A later picture is its change from the event's first, which is given. Of a still camera's change most is zero, so that
a tower that has learned nothing yet copies the first picture, the baseline that is hard to beat; and what the latent
does not keep of the first picture is not lost from the others.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

LUMA, CHROMA = 3.0, 1.0  # standard deviations of a patch's mean change in 1 s on the bundled sample: 2.9, 1.2 and 0.7
FALL = 0.4  # of higher frequencies f as 1 / (1 + FALL f); steeper there (exponent 1.6): detail stays less than noise
CHANGE = 0.5  # deviation of a later picture's numbers, measured there


class PatchLatent(nn.Module):  # type: ignore[misc]
    """`width` numbers a patch. No parameters: nothing here is trained."""

    def __init__(self, patch: int, luma: int, chroma: int) -> None:
        super().__init__()
        basis, scale = patch_cosines(patch, luma, chroma)
        self.patch, self.width = patch, len(basis)
        self.register_buffer("encoder", basis / scale[:, None], persistent=False)
        self.register_buffer("decoder", basis * scale[:, None], persistent=False)

    def grid(self, pictures: Tensor) -> tuple[int, int]:
        """Rows and columns of patches; ValueError where the picture is no multiple of them."""
        height, width = pictures.shape[-2:]
        if height % self.patch or width % self.patch:
            raise ValueError(f"pictures of {height} x {width} pixels are no multiples of patches of {self.patch}")
        return height // self.patch, width // self.patch

    def encode(self, pictures: Tensor) -> Tensor:
        """float32[..., 3, H, W], 0 to 1 (or a difference of two) -> float32[..., P, width], row by row."""
        rows, columns = self.grid(pictures)
        parted = pictures.unflatten(-2, (rows, self.patch)).unflatten(-1, (columns, self.patch))
        # ..., channel, row, y, column, x -> ..., row, column, channel, y, x
        moved = parted.movedim((-4, -2), (-5, -4))
        return 2 * moved.flatten(-3).flatten(-3, -2) @ self.encoder.T

    def decode(self, latent: Tensor, grid: tuple[int, int]) -> Tensor:
        """float32[..., P, width] -> float32[..., 3, H, W]."""
        side = self.patch
        pixels = (latent @ self.decoder / 2).unflatten(-1, (3, side, side)).unflatten(-4, grid)
        return pixels.movedim((-5, -4), (-4, -2)).flatten(-4, -3).flatten(-2)


def patch_cosines(patch: int, luma: int, chroma: int) -> tuple[Tensor, Tensor]:
    """(float32[C, 3 * patch * patch], rows orthonormal; float32[C], by what each is divided)."""
    n = torch.arange(patch, dtype=torch.float64)
    cosine = math.sqrt(2 / patch) * torch.cos(math.pi * (n[None] + 0.5) * n[:, None] / patch)  # the DCT-II
    cosine[0] /= math.sqrt(2)
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]], dtype=torch.float64)
    colours /= colours.norm(dim=1, keepdim=True)
    basis, scale = [], []
    for colour, kept, size in zip(colours, (luma, chroma, chroma), (LUMA, CHROMA, CHROMA), strict=True):
        for row in range(min(patch, kept)):
            for column in range(min(patch, kept - row)):
                pixels = cosine[row][:, None] * cosine[column][None]
                basis.append((colour[:, None, None] * pixels).flatten())
                # the same of a frequency in the picture, whatever the patch: (row + column) cycles in two patches
                scale.append(size / (1 + FALL * (row + column) * 16 / patch))
    return torch.stack(basis).float(), torch.tensor(scale)
