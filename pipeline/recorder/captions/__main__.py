"""Trains the sample's captioner: ``python -m pipeline.recorder.captions --out pipeline/sample/captioner``.

In: nothing but the recorder (MuJoCo) and a seed; no weights and no pictures from elsewhere. Out: a folder in the format
of transformers, with what it was trained on and for how long in `training.json`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from pipeline.captioner import base, sight, train
from pipeline.captioner.examples import Example, load
from pipeline.recorder.captions import recordings
from stages.caption.vlm.asking import EVENT_FIELDS, NAME_FIELDS
from stages.caption.vlm.prompts import NAMES, prompt, prompts_hash


def main() -> None:
    parser = argparse.ArgumentParser(prog="pipeline.recorder.captions", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--examples", type=Path, default=None, help="folder of examples that are recorded already")
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--looks", type=int, default=5, help="of each episode")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--look-steps", type=int, default=1800)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = options.examples or Path(folder) / "examples"
        if not place.is_dir():
            recordings.record(options.episodes, options.looks, options.seed, place.parent, options.workers)
        examples = list(load(place))
    print(f"{len(examples)} examples", flush=True)
    processor, model = untrained(examples, options.seed)
    named = [e for e in examples if e.request.fields == NAME_FIELDS]
    sight.look(processor, model, named, train.Schedule(options.look_steps, rate=2e-3, seed=options.seed), _tell)
    schedule = train.Schedule(options.steps, rate=2e-3, seed=options.seed)
    model = train.train(processor, model, examples, schedule, told=_tell)
    recorded = {} if options.examples else {"episodes": options.episodes, "looks": options.looks}
    told = {
        "examples": len(examples), **recorded, "seed": options.seed,
        "look_steps": options.look_steps, "steps": options.steps, "weights": model.num_parameters(),
        "prompts": prompts_hash(), "picture_px": [64, 256],
    }  # fmt: skip
    train.save(str(options.out), processor, model, told)


def untrained(examples: list[Example], seed: int) -> tuple[Any, Any]:
    """Processor and model for these examples."""
    texts = [t for e in examples for t in (e.request.facts, e.text, *(p.label for p in e.request.pictures))]
    lines = [line for name in NAMES for line in prompt(name).splitlines()]
    parts = [f'{{"{fields[0]}": "' for fields in (NAME_FIELDS, EVENT_FIELDS)] + ['"}']
    parts += [f'", "{field}": "' for field in dict.fromkeys((*NAME_FIELDS, *EVENT_FIELDS))]
    tokens = base.tokenizer(texts, [*lines, *parts])
    return base.processor(tokens), base.model(tokens, seed)


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
