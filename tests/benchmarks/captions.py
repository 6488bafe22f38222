"""`make bench-captions`: what the sample's captioner says, against the truth. Run it before and after a prompt changes.

In: the sample (its seed is none that the captioner was trained on) and its truth. Out: Markdown: verb, object, colour
and arm with intervals, beside the signals' captions, captions shuffled among events of one verb, and captions made from
blanked pictures; statuses; confidence against being right; rate beside a bare loop over the same questions.
"""

from __future__ import annotations

import argparse
import difflib
import io
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
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
from stages.caption.backends import Settings, make
from stages.caption.backends.transformers import LEAST, Transformers
from stages.caption.stage import caption_rows, pictures
from stages.caption.vlm.asking import Asking, asking
from stages.caption.vlm.episode import talk
from stages.caption.vlm.prompts import prompts_hash
from stages.caption.vlm.requests import Request
from stages.episode import both_arms, signals_of
from tests.benchmarks.segmentation import reliability
from tests.benchmarks.segmentation.truth import sample_spans
from tests.captioning.fake_vlm import FakeServer

SAMPLE, TRUTH = "pipeline/sample", "pipeline/sample/truth.parquet"
CONFIG, CAPTIONER = "pipeline/configs/sample.yaml", "pipeline/sample/captioner"
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


def judged(captions: pl.DataFrame, corpus: Corpus, held_out: bool) -> list[tuple[float, bool]]:
    """(confidence, right in verb, object and colour) of the model's own captions of L1, of one half of the tasks."""
    own = set(sample_spans(held_out))
    true = scoring.truth(TRUTH, corpus)
    found = scoring.pairs(captions.filter(source="vlm"), corpus.table("events"), true, "L1")
    return [
        (p.caption["confidence"], _right(p))
        for p in found
        if p.caption["confidence"] is not None and p.true.episode in own
    ]


def calibrated(said: Sequence[tuple[float, bool]]) -> dict[str, float]:
    """A logistic curve of the log odds."""
    from sklearn.linear_model import LogisticRegression

    chance = np.clip([c for c, _ in said], LEAST, 1 - LEAST)
    odds = np.log(chance) - np.log(1 - chance)
    curve = LogisticRegression().fit(odds[:, None], [r for _, r in said])
    return {"scale": round(float(curve.coef_[0, 0]), 4), "shift": round(float(curve.intercept_[0]), 4)}


def sure(captions: pl.DataFrame, corpus: Corpus) -> dict[str, list[tuple[float, bool]]]:
    """(confidence, right) on the half of the tasks that the curve was fitted on, and on the other."""
    return {"fitted on": judged(captions, corpus, False), "held out": judged(captions, corpus, True)}


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
    return [
        *lines,
        "## Confidence",
        "",
        *reliability.table(sure(captions, corpus)),
        "",
        "## Rate",
        "",
        *rates(backend, questions),
        "",
        in_flight(),
    ]


def curve(model: Path) -> None:
    """Fit the curve of a model's confidence on half of the tasks, and write it beside the model."""
    (model / "calibration.json").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus = built(folder, f"caption.model={model}")
        found = calibrated(judged(corpus.table("captions"), corpus, False))
    (model / "calibration.json").write_text(json.dumps(found) + "\n")


def in_flight() -> str:
    """How much of a server's capacity is kept busy: one that answers after two seconds, however many ask at once."""
    number, at_once, seconds = 160, 16, 2.0
    server = FakeServer(seconds=seconds)
    settings = Settings("openai", "m", "cpu", 8, (server.url,), at_once, 10.0, 0, "NO_KEY", None)
    asked = [Request("Look.", (), f"task: {n}", ("object",), 10) for n in range(number)]
    backend = make(settings)
    backend.ask(asked[:at_once])  # connections are made
    started = time.perf_counter()
    backend.ask(asked)
    took = time.perf_counter() - started
    server.stop()
    busy = number * seconds / at_once / took
    return (
        f"`openai` against a server of {at_once} at once and {seconds:g} s an answer: {busy:.2f} of its capacity kept "
        f"busy ({number / took:.0f} answers/s)."
    )


def said_by_signals(all_of_them: Sequence[tuple[Asking, Seen]], config: CaptionConfig) -> pl.DataFrame:
    rows = [row for asked, _ in all_of_them for row in caption_rows(asked, None, config)]
    return pl.from_arrow(CAPTIONS.build(rows))  # type: ignore[return-value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--model", help="another captioner than the sample's")
    parser.add_argument(
        "--calibrate", action="store_true", help="fit the captioner's confidence first, and keep the curve"
    )
    options = parser.parse_args()
    if options.calibrate:
        curve(Path(options.model or CAPTIONER))
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
        drawn = reliability.drawing(sure(corpus.table("captions"), corpus))
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        before = options.write.read_text().splitlines() if options.write.exists() else []
        changes = list(difflib.unified_diff(before, text.splitlines(), "before", "after", lineterm="", n=0))
        print("\n".join(changes) if changes else "the same as before")
        options.write.write_text(text)
        options.write.with_name("captions-reliability.svg").write_bytes(drawn)


if __name__ == "__main__":
    main()
