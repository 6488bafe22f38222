"""`make bench-captions`: what the sample's captioner says, against the truth. Run it before and after a prompt changes.

In: the sample (its seed is none that the captioner was trained on) and its truth. Out: Markdown: verb, object, colour
and arm with intervals, beside the signals' captions, captions shuffled among events of one verb, and captions made from
blanked pictures; statuses; confidence against being right; rate beside a bare loop over the same questions.
"""

from __future__ import annotations

import argparse
import difflib
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from pipeline import scoring
from pipeline.corpus.view import Corpus
from schemas.alignments import ALIGNMENTS
from schemas.captions import CAPTIONS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.observations import OBSERVATIONS
from schemas.signals import SIGNALS
from stages import storage
from stages.caption import CaptionConfig
from stages.caption.backends.transformers import Transformers
from stages.caption.stage import caption_rows, pictures
from stages.caption.vlm.asking import Asking, asking
from stages.caption.vlm.episode import talk
from stages.caption.vlm.prompts import prompts_hash
from stages.caption.vlm.requests import Request
from stages.episode import both_arms, signals_of

SAMPLE, TRUTH = "pipeline/sample", "pipeline/sample/truth.parquet"
CONFIG = "pipeline/configs/sample.yaml"
BINS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.01)
Seen = Mapping[tuple[str, int], bytes]


def built(folder: str, *overrides: str) -> Corpus:
    words = [w for o in overrides for w in ("--set", o)]
    command = [sys.executable, "-m", "pipeline", "build", "--source", SAMPLE, "--corpus", f"{folder}/corpus"]
    done = subprocess.run([*command, "--config", CONFIG, "--until", "caption", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return Corpus(f"{folder}/corpus")


def episodes(corpus: Corpus, config: CaptionConfig) -> list[tuple[Asking, Seen]]:
    """Each episode as it is asked about, and its pictures."""
    found = []
    for name in corpus.table("episodes")["episode_id"].to_list():
        (episode,), (alignment,) = corpus.rows(EPISODES, [name]), corpus.rows(ALIGNMENTS, [name])
        clips, events = corpus.rows(OBSERVATIONS, [name]), both_arms(corpus.rows(EVENTS, [name]))
        alignment["time_s"] = np.asarray(alignment["time_s"])
        signals = signals_of(corpus.rows(SIGNALS, [name]))
        asked = asking(episode, signals, alignment, events, [c["camera"] for c in clips], config.moments)
        frames = asked.frames(asked.handlings(), asked.asked())

        def media(path: str) -> Any:
            return storage.local_copy(corpus.ledger.path(path))

        found.append((asked, pictures(media, clips, alignment, frames, config.picture_side)))
    return found


def said(all_of_them: Sequence[tuple[Asking, Seen]], ask: Callable, config: CaptionConfig) -> pl.DataFrame:
    """The captions that a backend gives them."""
    rows = [row for asked, seen in all_of_them for row in caption_rows(asked, talk(asked, seen, ask), config)]
    return pl.from_arrow(CAPTIONS.build(rows))  # type: ignore[return-value]


def blank(seen: Seen) -> Seen:
    """The same pictures, all of one grey."""
    found = {}
    for key, jpeg in seen.items():
        buffer = io.BytesIO()
        Image.new("RGB", Image.open(io.BytesIO(jpeg)).size, (128, 128, 128)).save(buffer, "JPEG")
        found[key] = buffer.getvalue()
    return found


def scores(captions: pl.DataFrame, corpus: Corpus, level: str) -> dict[str, dict[str, scoring.Share]]:
    found = scoring.pairs(captions, corpus.table("events"), scoring.truth(TRUTH, corpus), level)
    return {
        "all": scoring.judged(found),
        "text names no object": scoring.judged([p for p in found if not p.true.named]),
    }


def reliability(captions: pl.DataFrame, corpus: Corpus) -> list[str]:
    """How often captions so sure are right in verb, object and colour."""
    found = scoring.pairs(captions.filter(source="vlm"), corpus.table("events"), scoring.truth(TRUTH, corpus), "L1")
    judged = [(p.caption["confidence"], _right(p)) for p in found if p.caption["confidence"] is not None]
    lines = ["| confidence | captions | say | are right |", "| --- " * 4 + "|"]
    error = 0.0
    for low, high in pairwise(BINS):
        own = [(c, r) for c, r in judged if low <= c < high]
        if own:
            sure, right = np.mean(own, axis=0)
            error += abs(sure - right) * len(own) / len(judged)
            lines.append(f"| {low:.2f} to {min(high, 1.0):.2f} | {len(own)} | {sure:.2f} | {right:.2f} |")
    return [*lines, "", f"Expected calibration error: {error:.3f}."]


def _right(pair: scoring.Pair) -> bool:
    score = scoring.judged([pair])
    return all(s.right == s.of for name, s in score.items() if name in ("verb", "object", "colour"))


def rates(backend: Transformers, questions: Sequence[Request]) -> list[str]:
    """Captions a second through the backend, and by the model's own generate over the same inputs, in turns."""
    import torch

    def bare() -> None:
        for start in range(0, len(questions), backend.batch):
            some = questions[start : start + backend.batch]
            shown = [[Image.open(io.BytesIO(p.jpeg)).convert("RGB") for p in r.pictures] for r in some]
            inputs = backend.processor(
                text=[backend._prompt(r) for r in some], images=shown, padding=True, return_tensors="pt"
            )
            with torch.inference_mode():
                backend.model.generate(**inputs, max_new_tokens=some[0].most_tokens, do_sample=False)

    took: dict[str, list[float]] = {"backend": [], "bare generate": []}
    for _ in range(3):
        for name, work in (("backend", lambda: backend.ask(questions)), ("bare generate", bare)):
            started = time.perf_counter()
            work()
            took[name].append(time.perf_counter() - started)
    ratio = float(np.median(np.array(took["bare generate"]) / np.array(took["backend"])))
    each = ", ".join(f"{name} {len(questions) / min(times):.1f}/s" for name, times in took.items())
    return [f"{len(questions)} questions about events, three times in turns on one thread: {each}; ratio {ratio:.2f}."]


def report(corpus: Corpus, config: CaptionConfig) -> list[str]:
    backend = Transformers(config.model, "cpu", config.batch)
    captions = corpus.table("captions")
    all_of_them = episodes(corpus, config)
    blanked = said([(asked, blank(seen)) for asked, seen in all_of_them], backend.ask, config)
    plain = said_by_signals(all_of_them, config)
    lines = []
    for level in ("L1", "L0"):
        found = scoring.pairs(captions, corpus.table("events"), scoring.truth(TRUTH, corpus), level)
        table = {"captioner": scoring.judged(found), "shuffled": scoring.judged(scoring.shuffled(found))}
        for name, own in (("signals", plain), ("blanked pictures", blanked)):
            table[name] = scores(own, corpus, level)["all"]
        lines += [f"## {level}: {len(found)} events whose span agrees with a true one", "", *scoring.table(table), ""]
        unnamed = {"captioner": scores(captions, corpus, level)["text names no object"]}
        for name, own in (("signals", plain), ("blanked pictures", blanked)):
            unnamed[name] = scores(own, corpus, level)["text names no object"]
        lines += ["Episodes whose text names neither object nor colour:", "", *scoring.table(unnamed), ""]
        own = captions.filter(level=level)
        counts = ", ".join(f"{n} {s}" for s, n in own["status"].value_counts().sort("status").iter_rows())
        asked = own.filter(pl.col("status") != "human")
        against = int((asked["contradictions"] > 0).sum())
        lines += [
            f"Statuses: {counts}. Distinct sentences per 100 events: {scoring.distinct(own):.0f} "
            f"(signals {scoring.distinct(plain.filter(level=level)):.0f}). "
            f"Contradicting the signals before checks: {against} of "
            f"{asked.height}; after: 0 by rule.",
            "",
        ]
    questions = [asked.event(e, "", seen) for asked, seen in all_of_them[:4] for e in asked.asked()]
    return [*lines, "## Confidence", "", *reliability(captions, corpus), "", "## Rate", "", *rates(backend, questions)]


def said_by_signals(all_of_them: Sequence[tuple[Asking, Seen]], config: CaptionConfig) -> pl.DataFrame:
    rows = [row for asked, _ in all_of_them for row in caption_rows(asked, None, config)]
    return pl.from_arrow(CAPTIONS.build(rows))  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--model", help="another captioner than the sample's")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        more = (f"caption.model={options.model}",) if options.model else ()
        corpus = built(folder, *more)
        config = CaptionConfig.model_validate(corpus.manifest["config"]["caption"])
        lines = [
            "# The sample's captioner",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, `make bench-captions`. Prompts {prompts_hash()}, model "
            f"{corpus.table('captions').filter(source='vlm')['model'].unique().to_list()}.",
            "",
            *report(corpus, config),
        ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        before = options.write.read_text().splitlines() if options.write.exists() else []
        changes = list(difflib.unified_diff(before, text.splitlines(), "before", "after", lineterm="", n=0))
        print("\n".join(changes) if changes else "the same as before")
        options.write.write_text(text)


if __name__ == "__main__":
    main()
