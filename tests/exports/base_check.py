"""The loader with the base install alone: a small policy trains from a release over http; torchdata resumes an epoch.

In: `train URL`, in an environment that has this project without extras; `resume URL`, with torchdata beside it. Out: a
JSON object of figures on the last line. Run by `make check-exports`.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from importlib.metadata import distributions, version
from typing import Any

import torch

from stages.load import EventDataset

STEPS, BATCH, HORIZON, SIDE = 60, 32, 8, 32


def trained(url: str) -> dict[str, Any]:
    """Behaviour cloning from one camera and the state, on windows over events, two workers."""
    there = [name for name in ("pyarrow", "polars", "ray", "decord", "scipy") if importlib.util.find_spec(name)]
    assert not there, f"the base install has {there}"
    torch.manual_seed(0)
    data = EventDataset(url, mode="chunk", horizon=HORIZON, frames=1, size=(SIDE, SIDE), normalise="mean_std")
    camera, (state, action) = next(iter(data.sizes)), data.vectors
    seen = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 5, 2),
        torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 5, 2),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
    )
    head = torch.nn.Sequential(
        torch.nn.Linear(800 + state.width, 128), torch.nn.ReLU(), torch.nn.Linear(128, HORIZON * action.width)
    )
    optimiser = torch.optim.AdamW([*seen.parameters(), *head.parameters()], lr=1e-3)
    losses: list[float] = []
    began = time.perf_counter()
    for batch in data.loader(BATCH, workers=2):
        pictures = seen(batch[f"video.{camera}"][:, -1].float() / 255)
        answer = head(torch.cat([pictures, batch["state"][:, -1]], 1)).view(-1, HORIZON, action.width)
        valid = ~batch["action_is_pad"]
        loss = ((answer - batch["action"]) ** 2)[valid].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if len(losses) == STEPS:
            break
    return {
        "packages": sorted(d.metadata["Name"] for d in distributions()),
        "torch": version("torch"),
        "steps": len(losses),
        "first": sum(losses[:5]) / 5,
        "last": sum(losses[-5:]) / 5,
        "seconds": round(time.perf_counter() - began, 1),
    }


def resumed(url: str) -> dict[str, Any]:
    """torchdata's StatefulDataLoader over a stream: stopped at every third batch of an epoch, it goes on exactly."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    def loader(workers: int) -> Any:
        return StatefulDataLoader(EventDataset(url, frames=0).stream(16), batch_size=None, num_workers=workers)

    tried = 0
    for workers in (0, 2):
        whole = [batch["key"] for batch in loader(workers)]
        for stop in range(1, len(whole), 3):
            first = loader(workers)
            begun = [batch["key"] for _, batch in zip(range(stop), first, strict=False)]
            state = json.loads(json.dumps(first.state_dict()))
            second = loader(workers)
            second.load_state_dict(state)
            assert begun + [batch["key"] for batch in second] == whole, (workers, stop)
            tried += 1
    return {"torchdata": version("torchdata"), "stops": tried, "batches": len(whole)}


if __name__ == "__main__":
    print(json.dumps({"train": trained, "resume": resumed}[sys.argv[1]](sys.argv[2])))
