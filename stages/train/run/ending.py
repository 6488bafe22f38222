"""What a run leaves behind: averaged weights, predictions beside the truth, its page.

In: the model at the end, batches of the val split. Out: in the run's folder `model.safetensors`, `run.json`
(configuration, facts of the data, scores), `samples/`, `page.html`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from stages.train.batch import Batch
from stages.train.config import Config, plain
from stages.train.data import Facts, Source
from stages.train.run import clips, page
from stages.train.run.checkpoint import write_bytes, write_tensors
from stages.train.run.validation import SEED, Score, predicted_pixels

SAMPLES = 6  # events whose predictions are shown


def held_batches(
    shards: str | Sequence[str], config: Config, source: Source, device: torch.device
) -> tuple[Batch, ...]:
    """Batches of the val split, the same ones each time; none where there is no such split."""
    try:
        val = Source(shards, config.data, source.texts, "val", source.captions)
    except ValueError as error:
        if "no sample of split" not in str(error):
            raise
        return ()
    loader = val.loader(0, drop_last=False, rank=0, world=1)
    return tuple(b.to(device) for _, b in zip(range(config.run.validate_batches), val.batches(loader), strict=False))


def end(
    folder: Path,
    config: Config,
    facts: Facts,
    model: Any,
    val: Sequence[Batch],
    scores: Mapping[str, Score],
    seconds: float,
) -> Path:
    """Writes it all; the page's path."""
    write_tensors(folder / "model.safetensors", model.state_dict())
    about = {
        "config": plain(config),
        "facts": plain(facts),
        "scores": {name: asdict(score) for name, score in scores.items()},
        "seconds": seconds,
        "parameters": sum(p.numel() for p in model.parameters()),
    }
    write_bytes(folder / "run.json", json.dumps(about, indent=1).encode())
    if any(own.stage in ("video", "joint") for own in config.stages) and facts.cameras and val:
        write_samples(folder / "samples", model, val, config.run.sample_steps, facts)
    return page.write(folder)


@torch.no_grad()  # type: ignore[untyped-decorator]
def write_samples(folder: Path, model: Any, val: Sequence[Batch], steps: int, facts: Facts) -> None:
    """Clips of the truth above what was predicted of it from the first picture, all views side by side."""
    folder.mkdir(exist_ok=True)
    model.eval()
    written: list[dict[str, Any]] = []
    fps = facts.fps[0] / facts.stride
    for number, batch in enumerate(val):
        generator = torch.Generator(device=batch.action.device).manual_seed(SEED + number)
        seen = predicted_pixels(batch)
        if len(written) == SAMPLES or not seen.any():
            continue
        found = model.predict_video(batch, steps, generator)
        # of each batch the events in which most is seen to change, not those at rest
        moves = [_change(batch, row, seen) for row in range(len(found))]
        for row in sorted(range(len(found)), key=lambda r: -moves[r])[: -(-SAMPLES // len(val))]:
            places = (batch.picture_segment[row] == 1).nonzero()[:, 0]
            views = batch.view_valid[row, 0].nonzero()[:, 0].tolist()
            if len(places) < 2 or not views or len(written) == SAMPLES:
                continue
            truth, guess = batch.pictures[row, places], found[row, places].clone()
            guess[0] = truth[0]  # it is given
            both = [clips.beside([own[:, v] for v in views]) for own in (truth, guess)]
            white = torch.full_like(both[0][:, : clips.GAP], 255)
            clip = clips.mp4(torch.cat([both[0], white, both[1]], dim=1), fps)
            name = f"{len(written):02d}.mp4"
            write_bytes(folder / name, clip)
            error = float((truth[1:] - guess[1:]).square()[:, views].mean())
            copy = float((truth[1:] - truth[:1]).square()[:, views].mean())
            written.append({"file": name, "pictures": len(places), "error": error, "copy": copy, "fps": fps})
    write_bytes(folder / "samples.json", json.dumps(written, indent=1).encode())


def _change(batch: Batch, row: int, seen: torch.Tensor) -> float:
    own = seen[row]
    return float((batch.pictures[row] - batch.pictures[row, :1])[own].square().mean()) if own.any() else 0.0
