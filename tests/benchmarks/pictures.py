"""Picture networks beside each other, on one core: `python -m tests.benchmarks.pictures CORPUS ... [--write FILE]`.

In: corpora that were built (the sample, and real recordings), whose proxies give the pictures that embed picks. Out:
ms a picture, all networks taking turns in one process; and of the vectors of L1 events (mean over cameras and pictures)
how far their clusters agree with task, primitive and episode, and with those of the float network at 224 px. Needs
`pip install -e '.[convert]'` for sizes and forms that are not packaged; OpenVINO has rows where it is installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipeline.corpus.view import Corpus
from pipeline.recorder.pictures import calibration_pictures, float_model, quantised
from stages.embed.stage import Proxy, _shown
from stages.episode import both_arms
from stages.models import image
from stages.models.quantised import QuantisedEncoder
from stages.video.decode import picked
from tests.benchmarks.agreement import clusterings, information, neighbours, repeatability

HEAD = """\
# Picture encoders

Written by `python -m tests.benchmarks.pictures SAMPLE REAL` on {date}: the bundled sample's corpus and one of CR5, G1
and GR1 recordings. `embed.image_encoder` chooses; the default is int8 at 192 px through ONNX Runtime, which is what is
packaged. Its clusters agree with tasks, primitives and episodes as those of the floats at 224 px do, within 0.04, and
with the floats' clusters nearly as far as those of another seed of k-means do. Which event is nearest changes more
often; it is of the same task as often. A picture takes a quarter of the time, and a worker starts without torch. Times
are of a shared machine: compare them within a table, where the networks took turns.

ONNX Runtime takes 78 MB and brings one small package along (flatbuffers); it has wheels for Linux and macOS (arm64),
Python 3.11 to 3.13. OpenVINO is somewhat quicker, takes 180 MB and brings telemetry along. Int8 at 160 px is quicker
still and loses agreement with primitives on the real recordings.

The network in integers is a file of 3.7 MB, which `make pictures` makes from the packaged weights (the same bytes each
time; a test holds its hash). Its vectors are the same bytes for any batch and any process on one type of CPU; another
type may round the last bit otherwise. On CUDA the floats run, at 192 px too: a corpus is built on one of the two.

"""
SIZES = (224, 192, 160)
ROUNDS, PICTURES = 7, 48
REFERENCE, PACKAGED = "torch float 224 px", "packaged: int8 192 px"
Encode = Callable[[np.ndarray], np.ndarray]  # uint8[N, side, side, 3] to float32[N, WIDTH], L2-normalised


@dataclass(frozen=True, slots=True)
class Seen:
    """Pictures of a corpus by side, uint8[N, side, side, 3]; its L1 events, each with {pictures an event: int[cameras,
    pictures] rows}; labels of the events."""

    name: str
    pictures: Mapping[int, np.ndarray]
    rows: Sequence[Mapping[int, np.ndarray]]
    labels: Mapping[str, Sequence[str]]


def look(root: str) -> Seen:
    """The pictures that embed picks, one and three an event."""
    corpus = Corpus(root)
    tables: dict[str, dict[str, list[Any]]] = {}
    for name in ("episodes", "alignments", "events", "observations"):
        for row in corpus.table(name).to_dicts():
            tables.setdefault(name, {}).setdefault(row["episode_id"], []).append(row)
    pictures: dict[int, list[np.ndarray]] = {side: [] for side in SIZES}
    rows, labels = [], {"task": [], "primitive": [], "episode": []}
    for name, (alignment,) in sorted(tables["alignments"].items()):
        index = {c["name"]: c["frame_index"] for c in alignment["cameras"]}
        events = [e for e in both_arms(tables["events"].get(name, [])) if e["level"] == "L1"]
        own: list[dict[int, list[Any]]] = [{1: [], 3: []} for _ in events]
        for camera in tables["observations"].get(name, []):
            proxy = Proxy(f"{root}/media/{camera['proxy']}", camera["gop"], index[camera["camera"]])
            shown = [{number: _shown(e, proxy, number) for number in (1, 3)} for e in events]
            wanted = sorted({frame for both in shown for some in both.values() for frame in some})
            place = {frame: len(pictures[SIZES[0]]) + i for i, frame in enumerate(wanted)}
            for side in SIZES:
                found = picked(proxy.path, wanted, proxy.gop, (side, side))
                pictures[side] += [found[frame] for frame in wanted]
            for event, both in zip(own, shown, strict=True):
                for number, some in both.items():
                    event[number].append([place[frame] for frame in some])
        rows += [{number: np.array(some) for number, some in event.items()} for event in own]
        labels["task"] += [tables["episodes"][name][0]["task"]] * len(events)
        labels["episode"] += [name] * len(events)
        labels["primitive"] += [e["primitive"] for e in events]
    return Seen(Path(root).name, {s: np.stack(p) for s, p in pictures.items()}, rows, labels)


def networks() -> dict[str, tuple[int, Encode]]:
    """{name: (side, network)}."""
    packaged, floats = QuantisedEncoder(), image.ImageEncoder("cpu", image.packaged_weights())
    found: dict[str, tuple[int, Encode]] = {
        REFERENCE: (224, lambda p: unit(floats_at(floats, p))),
        PACKAGED: (image.SIDE, lambda p: packaged.encode(list(p))),
    }
    for side in SIZES:
        model = float_model(side)
        made = {"float": model.SerializeToString(), "int8": quantised(model, calibration_pictures(side))}
        for form, data in made.items():
            found[f"ONNX Runtime {form} {side} px"] = (side, through_onnxruntime(data))
            if importlib.util.find_spec("openvino"):
                found[f"OpenVINO {form} {side} px"] = (side, through_openvino(data))
    return found


def floats_at(encoder: image.ImageEncoder, pictures: np.ndarray) -> np.ndarray:
    """The float network at the pictures' own size, in its own batches."""
    done = []
    with torch.inference_mode():
        for start in range(0, len(pictures), encoder.batch):
            batch = torch.from_numpy(pictures[start : start + encoder.batch]).permute(0, 3, 1, 2).float()
            batch = batch.sub_(127.0).div_(128.0).contiguous(memory_format=torch.channels_last)
            done.append(encoder.pooled(batch).numpy())
    return np.concatenate(done)


def given(pictures: np.ndarray, name: str) -> list[np.ndarray]:
    """Each picture by itself as an input of that name wants it."""
    if name == "rgb":
        return [p[None] for p in pictures]
    return [((p.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None] for p in pictures]


def through_onnxruntime(data: bytes) -> Encode:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda pictures: unit(np.concatenate([session.run(None, {name: p})[0] for p in given(pictures, name)]))


def through_openvino(data: bytes) -> Encode:
    import openvino

    core = openvino.Core()
    model = core.read_model(data)
    name = model.input(0).any_name
    model.reshape({0: [1, *[d.get_length() for d in list(model.input(0).partial_shape)[1:]]]})
    how = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(model, "CPU", how).create_infer_request()
    return lambda pictures: unit(
        np.concatenate([next(iter(request.infer({0: p}).values())).copy() for p in given(pictures, name)])
    )


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def rates(found: Mapping[str, tuple[int, Encode]], seen: Seen) -> dict[str, float]:
    """Median ms of processor time a picture, the networks taking turns."""
    chosen = np.linspace(0, len(seen.pictures[SIZES[0]]) - 1, PICTURES).astype(int)
    taken: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(ROUNDS):
        for name, (side, encode) in found.items():
            pictures = seen.pictures[side][chosen]
            started = time.process_time()
            encode(pictures)
            taken[name].append((time.process_time() - started) / PICTURES * 1e3)
    return {name: float(np.median(t[1:])) for name, t in taken.items()}


def reused(encode: Encode, side: int, seen: Seen) -> list[str]:
    """What it would save to take a picture's vector for the next one that hardly differs: rows by how far the most
    different of 16 x 16 patches may be, of 255."""
    patches = np.stack(
        [np.asarray(Image.fromarray(p).resize((16, 16), Image.Resampling.BOX)) for p in seen.pictures[side]]
    )
    vectors, task, lines = encode(seen.pictures[side]), seen.labels["task"], []
    for most in (0, 4, 8, 16):
        stands, last = np.arange(len(vectors)), 0
        for i in range(1, len(vectors)):  # pictures of a camera follow each other
            if np.abs(patches[i].astype(int) - patches[last]).max() < most:
                stands[i] = last
            else:
                last = i
        pooled = unit(np.stack([vectors[stands[rows[3]]].mean(axis=(0, 1)) for rows in seen.rows]))
        share = len(set(stands.tolist())) / len(stands)
        lines.append(f"| {seen.name} | {most} | {share:.2f} | {information(clusterings(pooled), [task]):.2f} |")
    return lines


def judged(found: Mapping[str, tuple[int, Encode]], seen: Seen) -> list[str]:
    """A table: rows are networks, with one and three pictures an event."""
    lines = [
        f"## {seen.name}: {len(seen.rows)} L1 events",
        "",
        "| network | pictures an event | ms a picture | task | primitive | episode | with the floats' clusters "
        "| nearest event is the floats' | of their nearest ten | nearest event has the task |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    taken, reference = rates(found, seen), None
    for name, (side, encode) in found.items():
        vectors = encode(seen.pictures[side])
        for number in (1, 3):
            pooled = unit(np.stack([vectors[rows[number]].mean(axis=(0, 1)) for rows in seen.rows]))
            labels, near = clusterings(pooled), neighbours(pooled)
            reference = reference or (labels, near)
            own = labels is reference[0]
            told = [information(labels, [values]) for values in seen.labels.values()]
            same = repeatability(labels) if own else information(labels, reference[0])
            nearest = float((near[:, 0] == reference[1][:, 0]).mean())
            ten = float(np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(near, reference[1], strict=True)]))
            task = np.array(seen.labels["task"])
            figures = [*told, same, nearest, ten, float((task[near[:, 0]] == task).mean())]
            lines.append(f"| {name} | {number} | {taken[name]:.2f} | " + " | ".join(f"{f:.2f}" for f in figures) + " |")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--write", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = networks()
    corpora = [look(root) for root in asked.corpora]
    lines = [line for seen in corpora for line in judged(found, seen)]
    lines += ["## A vector for pictures that hardly differ", ""]
    lines += ["Three pictures an event. It would save little, so each picture has its own.", ""]
    lines += ["| corpus | patches differ by less than | pictures encoded | task |", "|---|---|---|---|"]
    lines += [line for seen in corpora for line in reused(found[PACKAGED][1], image.SIDE, seen)]
    text = "\n".join([*lines, ""])
    print(text)
    if asked.write:
        asked.write.write_text(HEAD.format(date=time.strftime("%Y-%m-%d")) + text, encoding="utf-8")


if __name__ == "__main__":
    main()
