"""`make gpu-check`: do the models run, and train, on this machine's GPU as on its CPU, and how fast?

On tensors and pictures made on the spot; needs Python, numpy, torch, transformers, pillow, pyarrow and pydantic:
`python -m tests.benchmarks.gpu_check`. Weights that are not installed are random, and it says so. Exit code 1 where the
two devices disagree.
"""

from __future__ import annotations

import io
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image

from stages.caption.backends.transformers import Transformers
from stages.caption.vlm.asking import EVENT_FIELDS
from stages.caption.vlm.prompts import prompt
from stages.caption.vlm.requests import Picture, Request
from stages.models import image, text
from tests.benchmarks import gpu_train

CAPTIONER = Path("pipeline/sample/captioner")

SECONDS = 8.0  # of each measurement
AGREE = 0.999  # cosine of a vector with that of the other device


def rate(work: Callable[[], int], device: str) -> float:
    """Things a second, after two rounds that do not count."""

    def waited() -> int:
        number = work()
        if device == "cuda":
            torch.cuda.synchronize()
        return number

    waited(), waited()
    started, done = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        done += waited()
    return done / (time.perf_counter() - started)


def weights_or_none(get: Callable[[], Any], name: str) -> Any:
    try:
        return get()
    except ImportError:
        print(f"{name}: weights are not installed here, random ones stand in for them")
        return None


def check_images(devices: list[str]) -> bool:
    """Pictures through the image network; whether the devices agree."""
    weights = weights_or_none(image.packaged_weights, "EfficientNet-Lite0")
    torch.manual_seed(0)
    state = weights
    encoders = {}
    for device in devices:
        torch.manual_seed(0)  # random weights are the same ones on both
        encoders[device] = image.ImageEncoder(device, state)
    pictures = list(np.random.default_rng(0).integers(0, 256, (64, image.SIDE, image.SIDE, 3), dtype=np.uint8))
    vectors = {device: encoder.encode(pictures) for device, encoder in encoders.items()}
    for device, encoder in encoders.items():
        found = rate(lambda encoder=encoder: len(encoder.encode(pictures)), device)  # type: ignore[misc]
        batch = torch.rand(encoder.batch, 3, image.SIDE, image.SIDE, device=device)
        batch = batch.contiguous(memory_format=torch.channels_last)

        def forward(encoder: image.ImageEncoder = encoder, batch: torch.Tensor = batch) -> int:
            with torch.inference_mode():
                encoder.pooled(batch)
            return len(batch)

        print(
            f"embed, pictures, {device}: {found:,.0f}/s with what goes before it, {rate(forward, device):,.0f}/s alone"
        )
    return agree("pictures", vectors)


def check_texts(devices: list[str]) -> bool:
    """Token sequences through the text model."""
    folder = weights_or_none(text.packaged_folder, "MiniLM-L6-v2")
    tokens = torch.from_numpy(np.random.default_rng(0).integers(1000, 30000, (64, 16)))
    vectors = {}
    for device in devices:
        torch.manual_seed(0)
        encoder = text.TextEncoder(device, folder)
        given = {"input_ids": tokens.to(device)}
        single = {"input_ids": tokens[:1].to(device)}
        with torch.inference_mode():
            vectors[device] = encoder.pooled(given).cpu().numpy()

        def forward(given: dict[str, torch.Tensor], encoder: text.TextEncoder = encoder) -> int:
            with torch.inference_mode():
                encoder.pooled(given)
            return len(given["input_ids"])

        one, many = rate(lambda s=single: forward(s), device), rate(lambda g=given: forward(g), device)  # type: ignore[misc]
        print(
            f"embed, sentences, {device}: {one:,.0f}/s one by one, as embed takes them, {many:,.0f}/s in batches of 64"
        )
    return agree("sentences", vectors)


def check_captioner(devices: list[str]) -> bool:
    """Questions with pictures through the sample's captioner; at least 0.9 of the answers must be the same (a GPU
    computes in bf16, where near ties may fall the other way)."""
    if not CAPTIONER.is_dir():
        print("captioner: pipeline/sample is not here, nothing to ask")
        return True
    draw = np.random.default_rng(0)
    answers = {}
    for device in devices:
        backend = Transformers(str(CAPTIONER), device, 16)
        asked = [_question(draw if device == devices[0] else np.random.default_rng(0), n) for n in range(32)]
        answers[device] = [a.text for a in backend.ask(asked)]
        found = rate(lambda backend=backend, asked=asked: len(backend.ask(asked)), device)  # type: ignore[misc]
        print(f"caption, questions with six pictures, {device}: {found:,.1f}/s in batches of 16")
    if len(answers) < 2:
        return True
    same = float(np.mean([a == b for a, b in zip(*answers.values(), strict=True)]))
    print(f"caption: share of answers that are the same on both devices {same:.2f}")
    return same >= 0.9


def _question(draw: np.random.Generator, number: int) -> Request:
    """A question about patches of colour."""
    shown = []
    for camera in ("left", "right", "wrist"):
        for moment in (0.0, 1.0):
            buffer = io.BytesIO()
            Image.fromarray(draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((128, 128)).save(buffer, "JPEG")
            shown.append(Picture(camera, moment, buffer.getvalue()))
    facts = f"task: do the usual task\nlevel: one action\ntime: {number}.00 to {number + 1}.00 s\nsignals: reach"
    return Request(prompt("event"), tuple(shown), facts, EVENT_FIELDS, 60)


def agree(what: str, vectors: dict[str, np.ndarray]) -> bool:
    """Whether each vector points the same way on all devices."""
    if len(vectors) < 2:
        return True
    one, other = vectors.values()
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    worst = float(((one * other).sum(axis=1) / norms).min())
    print(f"embed, {what}: smallest cosine between the devices {worst:.6f}")
    return worst > AGREE


def main() -> int:
    has_gpu = torch.cuda.is_available()
    devices = ["cpu", "cuda"] if has_gpu else ["cpu"]
    gpu = torch.cuda.get_device_name(0) if has_gpu else "none"
    print(f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}")
    print(f"GPU: {gpu}; CPU figures are of one thread")
    right = check_images(devices) & check_texts(devices) & check_captioner(devices) & gpu_train.check(devices)
    if has_gpu:
        print(f"peak of GPU memory: {torch.cuda.max_memory_allocated() / 1e6:.0f} MB")
    print("the devices agree" if right else "the devices DISAGREE")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
