"""A trained policy as one file: tensors in safetensors, settings and texts as JSON in its header."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from stages.train.policies.features import Embed, Scale, Texts
from stages.train.policies.network import ChunkNetwork
from stages.train.policies.regression import RegressionPolicy, Settings

FORMAT = "state-policy-1"


def save(policy: RegressionPolicy, path: str | Path) -> None:
    """Needs safetensors."""
    from safetensors.numpy import save_file

    texts = list(policy.texts.known)
    tensors = {f"network.{name}": own.numpy() for name, own in policy.network.state_dict().items()}
    tensors |= {"seen.shift": policy.seen.shift, "seen.unit": policy.seen.unit}
    tensors |= {"done.shift": policy.done.shift, "done.unit": policy.done.unit, "texts": policy.texts.rows(texts)}
    said = {"format": FORMAT, "settings": json.dumps(asdict(policy.settings)), "texts": json.dumps(texts)}
    save_file({name: np.ascontiguousarray(own) for name, own in tensors.items()}, str(path), said)


def load(path: str | Path, embed: Embed | None = None) -> RegressionPolicy:
    """embed: of texts that the training set has not. Raises ValueError where the file is something else."""
    from safetensors import safe_open

    with safe_open(str(path), "np") as file:
        said = file.metadata() or {}
        if said.get("format") != FORMAT:
            raise ValueError(f"{path}: no policy of format {FORMAT}")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dictionary)
    settings = Settings(**json.loads(said["settings"]))
    known = dict(zip(json.loads(said["texts"]), tensors["texts"], strict=True))
    own = {name.removeprefix("network."): torch.from_numpy(t) for name, t in tensors.items() if "network." in name}
    seen = Scale(tensors["seen.shift"], tensors["seen.unit"])
    features = len(seen.shift) + tensors["texts"].shape[1]
    network = ChunkNetwork(features, settings.horizon, len(tensors["done.shift"]), settings.width, settings.blocks)
    network.load_state_dict(own)
    done = Scale(tensors["done.shift"], tensors["done.unit"])
    return RegressionPolicy(network, settings, seen, done, Texts(known, embed))
