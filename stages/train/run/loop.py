"""The training loop: stages of the recipe one after the other, from shards to a page.

In: URLs of releases, a configuration, a folder. Out: in the folder, metrics, checkpoints, predictions, the averaged
weights and one page. A run that was stopped goes on by `resume` with the very losses that it would have had: samples
follow the loader's state, noise a step's number.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from stages.load import EventLoader, NotARelease, Unreadable
from stages.train.batch import Batch
from stages.train.config import Config, ConfigError, StageConfig, plain
from stages.train.data import Facts, Source
from stages.train.data.texts import Texts
from stages.train.ema import Ema
from stages.train.optimiser import Optimiser
from stages.train.run import checkpoint as checkpoints
from stages.train.run import distributed
from stages.train.run.checkpoint import Checkpoint, NoCheckpoint
from stages.train.run.ending import end, held_batches
from stages.train.run.progress import Metrics, Progress, Say
from stages.train.run.progress import plain as printed
from stages.train.run.stopping import Stop, heeded
from stages.train.run.validation import Score, scored
from stages.train.text import Embed, encoder

LOOKED_AT = {"video": ("video",), "action": ("action",), "text": (), "joint": ("video", "action")}
FREE = {"data": ("workers", "cache"), "run": ("device", "threads", "log_every", "validate_every", "validate_batches",
        "sample_steps", "checkpoint_every", "tensorboard", "bf16", "compile")}  # fmt: skip
"""What may differ when a run is resumed: where and how it runs, not what is computed but for rounding."""


class Diverged(ArithmeticError):
    """A loss or gradient that is no number."""


class Stopped(KeyboardInterrupt):
    """A run that was asked to stop, and has saved where it is."""


class Model(Protocol):
    """What the loop asks of a model, which is an nn.Module."""

    def losses(self, batch: Batch, stage: str, generator: torch.Generator | None) -> dict[str, Tensor]: ...
    def trainable(self, stage: str) -> list[tuple[str, nn.Parameter]]: ...
    def predict_video(self, batch: Batch, steps: int, generator: torch.Generator | None) -> Tensor: ...
    def predict_action(self, batch: Batch, steps: int, generator: torch.Generator | None) -> Tensor: ...


Build = Callable[[Mapping[str, Any], Facts], Any]


@dataclass(slots=True)
class Place:
    """How far a run is: steps in all, its stage, steps of that; sums of losses since the last line of metrics and of
    how many steps; seconds of training."""

    step: int = 0
    stage: int = 0
    of_stage: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    summed: int = 0
    seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Run:
    """All that a run holds. val: batches that are held for validation; None on ranks that do not validate."""

    config: Config
    folder: Path
    device: torch.device
    rank: int
    world: int
    source: Source
    loader: EventLoader
    model: Any
    val: Sequence[Batch] | None
    place: Place
    stop: Stop
    say: Say
    resumed: Checkpoint | None
    losses: Callable[..., dict[str, Tensor]]
    scores: dict[str, Score] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    sums: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """scores: of the val split by what is predicted; page: where it lies; seconds: of training."""

    folder: Path
    page: Path
    steps: int
    seconds: float
    scores: Mapping[str, Score]


def train(
    shards: str | Sequence[str],
    config: Config,
    out: str | Path,
    *,
    resume: bool = False,
    embed: Embed | None = None,
    build: Build | None = None,
    say: Say = printed,
) -> Outcome:
    """embed, build: the text encoder and the model, if not this package's own. Raises ConfigError, NoCheckpoint,
    Diverged, Stopped, and what the loader raises."""
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    device = device_of(config.run.device)
    with heeded() as stop, distributed.world(device) as (rank, world):
        run = _opened(shards, config, Path(out), resume, (embed, build), (device, rank, world), (stop, say))
        return _all_stages(run)


def device_of(name: str) -> torch.device:
    """Of several processes on a machine each has a GPU of its own. Raises ConfigError."""
    there = torch.cuda.is_available()
    try:
        device = torch.device(("cuda" if there else "cpu") if name == "auto" else name)
    except RuntimeError as error:
        raise ConfigError(f"run.device: {name!r} is no device: {error}") from error
    if device.type != "cuda":
        return device
    if not there:
        raise ConfigError(f"run.device: {name!r}, but torch finds no GPU")
    return device if device.index is not None else torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def _opened(
    shards: str | Sequence[str],
    config: Config,
    folder: Path,
    resume: bool,
    parts: tuple[Embed | None, Build | None],
    where: tuple[torch.device, int, int],
    told: tuple[Stop, Say],
) -> Run:
    device, rank, world = where
    own = folder / "checkpoints"
    there = bool(checkpoints.listed(own))
    if there and not resume:
        raise NoCheckpoint(f"{folder} holds a run: --resume goes on with it, or give another folder")
    resumed = checkpoints.latest(own) if there else None
    if resumed is not None:
        same_run(config, resumed.state["config"])
    embed, build = parts
    texts = Texts(embed or encoder())
    captions = resumed.state["facts"]["captions"] if resumed is not None else None
    try:
        source = Source(shards, config.data, texts, captions=captions)
    except (NotARelease, Unreadable):
        raise
    except ValueError as error:  # what the loader says of its settings, which are the configuration's
        raise ConfigError(f"data: {error}") from error
    if not source.facts.cameras and any(own.stage == "video" for own in config.stages):
        raise ConfigError("stages: video needs a camera, and there is none: leave the stage out")
    loader = source.loader(config.data.workers, pin_memory=device.type == "cuda")
    torch.manual_seed(config.run.seed)
    model = (build or _build())(config.model, source.facts).to(device)
    place = Place()
    if resumed is not None:
        model.load_state_dict(resumed.tensors["model"])
        loader.load_state_dict(resumed.state["loader"])
        place = Place(**resumed.state["place"])
    folder.mkdir(parents=True, exist_ok=True)
    val = held_batches(shards, config, source, device) if rank == 0 else None
    losses = torch.compile(model.losses, dynamic=True) if config.run.compile else model.losses
    scores = {name: Score(**own) for name, own in resumed.state["scores"].items()} if resumed is not None else {}
    return Run(config, folder, device, rank, world, source, loader, model, val, place, *told, resumed, losses, scores)


def _build() -> Build:
    from stages.train.run.build import build

    return build


def same_run(config: Config, saved: Mapping[str, Any]) -> None:
    """Raises ConfigError where a run would go on as another one."""
    now, before = plain(config), json.loads(json.dumps(saved))
    for part, names in FREE.items():
        for own in (now, before):
            for name in names:
                own[part].pop(name, None)
    for part in now:
        if now[part] != before.get(part):
            keys = [key for key in now[part] if now[part][key] != before[part].get(key)] if isinstance(
                now[part], dict) else []  # fmt: skip
            shown = f"{part}.{keys[0]}" if keys else part
            raise ConfigError(f"{shown} is not what the run was begun with: resume it with the same, or begin another")


def _all_stages(run: Run) -> Outcome:
    config, place = run.config, run.place
    total = sum(own.steps for own in config.stages)
    metrics = Metrics(run.folder, place.step, config.run.tensorboard) if run.rank == 0 else None
    progress = Progress(total, place.step, run.say if run.rank == 0 else lambda _: None)
    feed = _endless(run)
    try:
        for number in range(place.stage, len(config.stages)):
            _one_stage(run, config.stages[number], feed, metrics, progress)
    finally:
        if metrics is not None:
            metrics.close()
    if run.rank == 0:
        page = end(run.folder, config, run.source.facts, run.model, run.val or (), run.scores, place.seconds)
        run.say(f"Done in {place.seconds:,.0f} s of training: {page}")
    return Outcome(run.folder, run.folder / "page.html", place.step, place.seconds, run.scores)


def _endless(run: Run) -> Iterator[Batch]:
    while True:
        yield from run.source.batches(run.loader)


def _one_stage(
    run: Run, stage: StageConfig, feed: Iterator[Batch], metrics: Metrics | None, progress: Progress
) -> None:
    """The stage that the run is in, from where it is in it, to its end."""
    config, place = run.config, run.place
    named = list(run.model.trainable(stage.stage))
    trained = {id(p) for _, p in named}
    for p in run.model.parameters():
        p.requires_grad_(id(p) in trained)
    optimiser = Optimiser(named, config.optimiser, stage.steps, stage.lr)
    ema = Ema(named, config.optimiser.ema)
    if run.resumed is not None and place.of_stage:
        optimiser.load(run.resumed.tensors["optimiser"])
        ema.load(run.resumed.tensors["ema"], int(run.resumed.state["ema_steps"]))
    run.resumed = None
    run.model.train()
    while place.of_stage < stage.steps:
        began = time.perf_counter()
        samples = _step(run, stage, next(feed), optimiser, ema)
        place.seconds += time.perf_counter() - began
        if (place.summed and place.of_stage % config.run.log_every == 0) or place.of_stage == stage.steps:
            _log(run, stage, metrics, progress)
        progress.step(place.step, stage.stage, samples)
        at_end = place.of_stage == stage.steps
        if not at_end and config.run.validate_every and place.of_stage % config.run.validate_every == 0:
            with ema.swapped():
                validate(run, stage.stage, metrics, progress)
        stopping = _stopping(run)
        if not at_end and (stopping or place.of_stage % config.run.checkpoint_every == 0):
            _save(run, optimiser, ema)
        if stopping and not at_end:
            progress.line(f"Stopped: saved at step {place.step}; --resume goes on from there.")
            raise Stopped
    ema.settle()
    validate(run, stage.stage, metrics, progress)
    place.stage, place.of_stage = place.stage + 1, 0
    _save(run, None, None)
    if place.stage < len(config.stages) and _stopping(run):
        progress.line(f"Stopped: saved at step {place.step}; --resume goes on from there.")
        raise Stopped


def _stopping(run: Run) -> bool:
    """Whether a rank was asked to stop: all stop at one place, where one alone would leave the others waiting."""
    return distributed.any_of(run.stop.asked, run.device) if run.world > 1 else run.stop.asked


def _step(run: Run, stage: StageConfig, batch: Batch, optimiser: Optimiser, ema: Ema) -> int:
    """One step of the optimiser. Returns the rows of the global batch."""
    place = run.place
    batch = batch.to(run.device)
    seed = noise_seed(run.config.run.seed, place.step, run.rank)
    generator = torch.Generator(device=run.device).manual_seed(seed)
    torch.manual_seed(seed)  # layers that draw by themselves, such as dropout; loaders that start draw from it too
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.config.run.bf16 and run.device.type == "cuda"):
        losses = run.losses(batch, stage.stage, generator)
    share = distributed.share_of(distributed.valid_tokens(batch, stage.stage)) if run.world > 1 else None
    (losses["loss"] if share is None else losses["loss"] * share).backward()
    if share is not None:
        distributed.add_gradients([p for _, p in optimiser.named])
    norm = optimiser.step(place.of_stage)
    ema.update()
    found = {name: value.detach() * (1 if share is None else share) for name, value in losses.items()}
    _sum(run, found | {"gradient": norm})
    place.step, place.of_stage = place.step + 1, place.of_stage + 1
    return len(batch.action) * run.world


def noise_seed(seed: int, step: int, rank: int) -> int:
    """Of a step's noise, on which nothing else hangs."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{step}:{rank}".encode(), digest_size=7).digest(), "little")


def _sum(run: Run, found: Mapping[str, Tensor]) -> None:
    """Losses onto the sums, on the device: to read them every step would have it wait for the loader."""
    values = torch.stack([value.double() for value in found.values()])
    if run.world > 1:
        torch.distributed.all_reduce(values[:-1])  # the norm is the same on all
    if run.sums is None or tuple(found) != run.names:
        before = [run.place.sums.get(name, 0.0) for name in found]
        run.names, run.sums = tuple(found), torch.tensor(before, dtype=torch.float64, device=values.device)
    run.sums += values
    run.place.summed += 1


def _read_sums(run: Run) -> None:
    """Sums into the place. Raises Diverged."""
    if run.sums is None:
        return
    run.place.sums = dict(zip(run.names, run.sums.tolist(), strict=True))
    wrong = [name for name, value in run.place.sums.items() if not math.isfinite(value)]
    if wrong:
        raise Diverged(
            f"{', '.join(wrong)}: no number at step {run.place.step} or shortly before; nothing was saved since. A "
            "smaller optimiser.lr or a longer warm-up may help"
        )


def _log(run: Run, stage: StageConfig, metrics: Metrics | None, progress: Progress) -> None:
    place = run.place
    _read_sums(run)
    means = {name: value / place.summed for name, value in place.sums.items()}
    place.sums, place.summed, run.sums = {}, 0, None
    progress.loss = means["loss"]
    if metrics is not None:
        speed = {"samples_per_s": progress.samples_per_s, "seconds": place.seconds}
        metrics.write(place.step, stage.stage, means | speed)


def validate(run: Run, stage: str, metrics: Metrics | None, progress: Progress) -> None:
    """Errors beside baselines on the val split, into the metrics and the run's scores."""
    if not run.val:
        return
    for what in LOOKED_AT[stage]:
        if what == "video" and not run.source.facts.cameras:
            continue
        score = scored(run.model, run.val, what, run.config.run.sample_steps, run.source.facts.mean_action)
        run.scores[what] = score
        progress.line(f"step {run.place.step:,}, validation, {score.summary()}")
        if metrics is not None:
            figures = {f"val/{what}": score.error, f"val/{what}_baseline": score.baseline}
            metrics.write(run.place.step, stage, figures)


def _save(run: Run, optimiser: Optimiser | None, ema: Ema | None) -> None:
    """A checkpoint; without an optimiser: between two stages."""
    _read_sums(run)
    if run.rank:
        return
    tensors = {
        "model": run.model.state_dict(),
        "ema": ema.averages if ema is not None else {},
        "optimiser": optimiser.tensors() if optimiser is not None else {},
    }
    state = {
        "step": run.place.step,
        "place": asdict(run.place),
        "ema_steps": ema.steps if ema is not None else 0,
        "loader": run.loader.state_dict(),
        "config": plain(run.config),
        "facts": plain(run.source.facts),
        "scores": {name: asdict(own) for name, own in run.scores.items()},
        "torch": torch.__version__,
    }
    checkpoints.save(run.folder / "checkpoints", Checkpoint(run.place.step, tensors, state))
