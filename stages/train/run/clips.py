"""Pictures side by side as small clips: H.264 in MP4, which every browser shows, also as data URIs.

In: float pictures, 0 to 1. Out: MP4 bytes of a few kB.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor
from torch.nn.functional import interpolate

SIDE = 128  # px at which small pictures are shown
GAP = 4  # px of white between two
HOLD_S = 0.6  # for which the last picture stays


def beside(views: Sequence[Tensor], side: int = SIDE) -> Tensor:
    """uint8[F, H, W, 3] of float[F, 3, H, W] each, scaled so that they are `side` px high, in a row."""
    shown = []
    for view in views:
        scale = side / view.shape[-2]
        mode = "nearest" if scale == round(scale) else "bilinear"
        own = interpolate(view.float().clamp(0, 1), scale_factor=scale, mode=mode)
        white = torch.ones(*own.shape[:-1], GAP, device=own.device)
        shown += [own, white]
    whole = torch.cat(shown[:-1], dim=-1)
    whole = whole[..., : whole.shape[-2] // 2 * 2, : whole.shape[-1] // 2 * 2]  # 4:2:0 has whole pairs of pixels
    return whole.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu()


def mp4(pictures: Tensor, fps: float) -> bytes:
    """Of uint8[F, H, W, 3]; the last picture is held for a moment, so that a clip that plays in a loop can be read."""
    import av

    held = max(1, round(HOLD_S * fps))
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "24", "preset": "veryslow"}
        for picture in [*pictures.numpy(), *[pictures[-1].numpy()] * held]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return sink.getvalue()


def uri(clip: bytes) -> str:
    return "data:video/mp4;base64," + base64.b64encode(clip).decode()
