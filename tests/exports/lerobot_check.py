"""Opens datasets with the lerobot package and trains a policy of its own on them, in its own training loop.

In: `open FOLDER`, a dataset that `corpus export lerobot` has written; `train --dataset FOLDER`, on that; `train
--release FOLDER`, on a release through `stages.load`, layout "lerobot". Out: a JSON object of figures on the last line.
Run by `make check-exports` in an environment of its own.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lerobot.configs.default import DatasetConfig, WandBConfig
from lerobot.configs.train import TrainPipelineConfig
from lerobot.datasets import factory
from lerobot.datasets.language_render import active_at
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.scripts.lerobot_train import train

CHUNK = 10  # actions that a step predicts
BATCH = 2


def opened(folder: Path) -> dict[str, Any]:
    """The first, the middle and the last frame of every episode, decoded, with both ways in which a subtask is told."""
    data = LeRobotDataset(folder.name, root=folder, video_backend="pyav")
    texts = pd.read_parquet(folder / "meta/subtasks.parquet")
    rows = data.hf_dataset.with_format("numpy", columns=["episode_index", "subtask_index"])
    index, episode = rows["subtask_index"][:], rows["episode_index"][:]
    events = 1 + int(np.sum((np.diff(index) != 0) | (np.diff(episode) != 0)))
    seen = 0
    for first, last in zip(
        data.meta.episodes["dataset_from_index"], data.meta.episodes["dataset_to_index"], strict=True
    ):
        for row in (first, (first + last) // 2, last - 1):
            item = data[row]
            for camera in data.meta.camera_keys:
                assert item[camera].shape == (3, *data.meta.features[camera]["shape"][:2]), camera
                seen += 1
            said = active_at(item["timestamp"].item(), persistent=item["language_persistent"], style="subtask")
            assert said is not None
            assert said["content"] == texts.iloc[item["subtask_index"].item()].name
            assert isinstance(item["task"], str)
    return {
        "robot": data.meta.robot_type,
        "episodes": data.num_episodes,
        "frames": len(data),
        "cameras": len(data.meta.camera_keys),
        "pictures": seen,
        "events": events,
        "subtasks": texts.index.nunique(),
        "tasks": data.meta.total_tasks,
    }


class Losses(logging.Filter):
    """What the training loop logs of itself. (A filter: it takes all handlers away when it begins.)"""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[float] = []

    def filter(self, record: logging.LogRecord) -> bool:
        meter = getattr(record.msg, "metrics", {}).get("loss") if hasattr(record.msg, "metrics") else None
        if meter is not None:
            self.found.append(round(float(meter.avg), 4))
        return True


def trained(steps: int, dataset: Path | None, release: Path | None) -> dict[str, Any]:
    """A small ACT from nothing, on the CPU, by lerobot's own `train`; for a release its `make_dataset` gives ours."""
    if release is not None:
        ours = of_release(release)
        factory.make_dataset = lambda _: ours
    losses = Losses()
    logging.getLogger().addFilter(losses)
    policy = ACTConfig(
        chunk_size=CHUNK,
        n_action_steps=CHUNK,
        dim_model=64,
        n_heads=4,
        dim_feedforward=128,
        n_encoder_layers=1,
        n_vae_encoder_layers=1,
        latent_dim=8,
        pretrained_backbone_weights=None,
        device="cpu",
        push_to_hub=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        config = TrainPipelineConfig(
            dataset=DatasetConfig(repo_id="export", root=str(dataset) if dataset else None, video_backend="pyav"),
            policy=policy,
            output_dir=Path(folder, "run"),
            steps=steps,
            batch_size=BATCH,
            num_workers=1,  # started anew, so that a dataset must travel to it
            log_freq=max(1, steps // 5),
            save_checkpoint=True,
            save_freq=steps,
            env_eval_freq=0,
            wandb=WandBConfig(enable=False),
            seed=0,
        )
        began = time.perf_counter()
        train(config)
        seconds = time.perf_counter() - began
        saved = sorted(str(p.relative_to(folder)) for p in Path(folder).rglob("model.safetensors"))
    assert saved, "no checkpoint was saved"
    assert losses.found, "the loop logged no loss"
    assert np.isfinite(losses.found).all(), losses.found
    return {"steps": steps, "batch": BATCH, "losses": losses.found, "seconds": round(seconds, 1)}


def of_release(release: Path) -> Any:
    """A release as lerobot's loop wants a dataset: the actions of the next CHUNK rows with each frame."""
    from stages.load import EventDataset

    return EventDataset(str(release), layout="lerobot", horizon=CHUNK)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("open").add_argument("folder", type=Path)
    training = commands.add_parser("train")
    training.add_argument("--steps", type=int, required=True)
    of = training.add_mutually_exclusive_group(required=True)
    of.add_argument("--dataset", type=Path)
    of.add_argument("--release", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)  # the same wherever it runs, and no waiting for other threads on a busy machine
    found = opened(given.folder) if given.command == "open" else trained(given.steps, given.dataset, given.release)
    print(json.dumps({"lerobot": version("lerobot"), "torch": torch.__version__, **found}))


if __name__ == "__main__":
    main()
