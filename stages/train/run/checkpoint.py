"""Checkpoints: what a run needs to go on as if it had never stopped.

A folder a checkpoint, `step-00001200/`: `.safetensors` of model, ema and optimiser, and `state.json`, everything else.
It is written under another name, flushed to the disk and renamed, so that one that is there is whole; the last two are
kept. There are no states of random generators in it: what is drawn in a step hangs on the seed and its number alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

KEPT = 2
NAME = re.compile(r"step-(\d{8,})")
PARTS = ("model", "ema", "optimiser")
STATE = "state.json"


class NoCheckpoint(ValueError):
    """A folder without a checkpoint that can be read, or that holds another run's."""


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """step: of the whole run; tensors: {part: {name: tensor}}; state: of JSON's kinds."""

    step: int
    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Writes it into `folder`, removes all but the last KEPT, and returns its own folder."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"step-{checkpoint.step:08d}"
    partial = folder / f".{final.name}.{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for part in PARTS:
        write_tensors(partial / f"{part}.safetensors", checkpoint.tensors.get(part, {}))
    write_bytes(partial / STATE, json.dumps(checkpoint.state, indent=1).encode())
    _flushed(partial)
    if final.exists():  # of the same step: the run was resumed there and stopped at once
        shutil.rmtree(final)
    partial.rename(final)
    _flushed(folder)
    for old in listed(folder)[:-KEPT]:
        shutil.rmtree(old)
    return final


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """A safetensors file, on the disk when this returns. Raises ModuleNotFoundError where the package is missing."""
    from safetensors.torch import save as to_bytes

    # copies: safetensors refuses tensors that share memory, and a scalar's step may
    write_bytes(path, to_bytes({name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}))


def write_bytes(path: Path, content: bytes) -> None:
    with open(path, "wb") as sink:
        sink.write(content)
        sink.flush()
        os.fsync(sink.fileno())


def _flushed(folder: Path) -> None:
    """Names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def listed(folder: Path) -> list[Path]:
    """Checkpoints of a folder, the oldest first."""
    found = [own for own in folder.glob("step-*") if NAME.fullmatch(own.name)] if folder.is_dir() else []
    return sorted(found, key=lambda own: int(own.name.removeprefix("step-")))


def latest(folder: Path) -> Checkpoint:
    """The last checkpoint that can be read. Raises NoCheckpoint."""
    problems = []
    for own in reversed(listed(folder)):
        try:
            return load(own)
        except NoCheckpoint as error:
            problems.append(str(error))
    raise NoCheckpoint("; ".join(problems) or f"{folder}: no checkpoint lies there")


def load(path: Path) -> Checkpoint:
    """Raises NoCheckpoint."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        state = json.loads((path / STATE).read_bytes())
        tensors = {part: load_file(path / f"{part}.safetensors") for part in PARTS}
        return Checkpoint(int(state["step"]), tensors, state)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise NoCheckpoint(f"{path} cannot be read: {type(error).__name__}: {error}") from error
