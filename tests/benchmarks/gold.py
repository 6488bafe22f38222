"""The gold set: how far its two passes agree, and what boundaries and captions score against it.

In: `tests/gold/*.csv`, the real recordings beside the checkout. Out: Markdown. Every figure is given against both
passes, and beside it how far those agree: nothing can be expected to agree with either much better than that.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from pipeline import scoring
from pipeline.corpus.view import Corpus
from stages.segment.agreement import Counts, boundaries
from tests.benchmarks.segmentation.scores import interval, total

FOLDER = Path("tests/gold")
PASSES = ("first", "second")
REAL = Path("../shared/data")
SETS = ("cr5_banana", "g1_crisps", "gr1_sim_picknplace")
RATES = {"cr5_banana": 10.0, "g1_crisps": 30.0, "gr1_sim_picknplace": 20.0, "bridge_rlds": 5.0}
TOLERANCE_S = 0.5


def marked(which: str) -> pl.DataFrame:
    """A pass, with an episode_id."""
    table = pl.read_csv(FOLDER / f"{which}.csv")
    number = pl.col("episode").cast(pl.String).str.zfill(6)
    return table.with_columns(episode_id=pl.col("source") + "/" + number)


def agreement(one: pl.DataFrame, other: pl.DataFrame) -> dict[str, str]:
    """How far two passes agree: boundaries within 0.5 s, verbs and objects of spans that overlap (IoU 0.5), and Cohen's
    kappa of the verbs frame by frame."""
    counts, verbs, objects, frames = [], [], [], []
    for name in one["episode_id"].unique(maintain_order=True):
        a, b = (t.filter(episode_id=name).sort("start_frame").to_dicts() for t in (one, other))
        rate = RATES[name.split("/")[0]]
        starts = [np.array([r["start_frame"] / rate for r in rows[1:]]) for rows in (a, b)]
        counts.append(boundaries(starts[0], starts[1], TOLERANCE_S))
        for row in a:
            best = max(b, key=lambda r: _iou(row, r))
            if _iou(row, best) >= scoring.IOU:
                verbs.append(row["verb"] == best["verb"])
                if row["object"] and best["object"]:
                    objects.append(row["object"].split()[-1] == best["object"].split()[-1])
        by_frame = [{f: r["verb"] for r in rows for f in range(r["start_frame"], r["end_frame"])} for rows in (a, b)]
        frames += [(by_frame[0][f], by_frame[1].get(f, "")) for f in by_frame[0]]
    low, high = interval(counts, lambda c: c.f1)
    return {
        "events": f"{one.height}, {other.height}",
        "boundary F1 at 0.5 s": f"{total(counts).f1:.2f} [{low:.2f}, {high:.2f}]",
        "verb, of spans that overlap": str(scoring.Share(sum(verbs), len(verbs))),
        "object's noun": str(scoring.Share(sum(objects), len(objects))),
        "kappa of verbs, by frame": f"{_kappa(frames):.2f}",
    }


def _iou(a: Mapping[str, int], b: Mapping[str, int]) -> float:
    shared = min(a["end_frame"], b["end_frame"]) - max(a["start_frame"], b["start_frame"])
    whole = max(a["end_frame"], b["end_frame"]) - min(a["start_frame"], b["start_frame"])
    return max(0, shared) / whole


def _kappa(pairs: Sequence[tuple[str, str]]) -> float:
    n = len(pairs)
    agree = sum(a == b for a, b in pairs) / n
    one, other = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(one[k] * other[k] for k in one) / n**2
    return (agree - chance) / (1 - chance)


def boundary_table(corpus: Corpus) -> list[str]:
    """Boundaries of each level of a corpus against both passes, by set."""
    events = corpus.table("events").filter(track="all")
    times = {a["episode_id"]: a["time_s"] for a in corpus.table("alignments").to_dicts()}
    lines = [
        "| set | level | F1 against the first pass | against the second | predicted / marked |",
        "| --- " * 5 + "|",
    ]
    for source in (*SETS, "all"):
        for level in ("L1", "L0"):
            cells, ratio = [], 0.0
            for which in PASSES:
                counts = []
                for name, rows in marked(which).partition_by("episode_id", as_dict=True).items():
                    own = times.get(str(name[0]))
                    if own is None or source not in ("all", str(name[0]).split("/")[0]):
                        continue
                    true = [float(own[min(f, len(own) - 1)]) for f in rows["start_frame"].sort().to_list()[1:]]
                    said = events.filter(episode_id=name[0], level=level)["start_s"].sort().to_list()[1:]
                    counts.append(boundaries(said, true, TOLERANCE_S))
                low, high = interval(counts, lambda c: c.f1)
                whole: Counts = total(counts)
                cells.append(f"{whole.f1:.2f} [{low:.2f}, {high:.2f}]")
                ratio = whole.predicted / whole.true
            lines.append(f"| {source} | {level} | {' | '.join(cells)} | {ratio:.2f} |")
    return lines


def caption_table(corpus: Corpus) -> list[str]:
    """Captions of L1 against both passes, and shuffled among events of one verb."""
    captions, events, scored = corpus.table("captions"), corpus.table("events"), {}
    for which in PASSES:
        found = scoring.pairs(captions, events, scoring.truth(str(FOLDER / f"{which}.csv"), corpus), "L1")
        scored[f"{which} pass"] = scoring.judged(found)
        scored[f"{which} pass, shuffled"] = scoring.judged(scoring.shuffled(found))
    return scoring.table(scored)


def built(folder: str, *more: str) -> Corpus:
    """The real recordings up to caption."""
    sources = [word for name in SETS for word in ("--source", str(REAL / name))]
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "build",
        *sources,
        "--corpus",
        f"{folder}/corpus",
        "--until",
        "caption",
    ]
    done = subprocess.run([*command, *(w for m in more for w in ("--set", m))], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return Corpus(f"{folder}/corpus")


def sections(corpus: Corpus) -> list[str]:
    """All tables."""
    one, other = (marked(which) for which in PASSES)
    lines = ["## The two passes", "", "| | all | " + " | ".join(RATES) + " |", "| --- " * (2 + len(RATES)) + "|"]
    columns = [agreement(one, other)]
    columns += [agreement(one.filter(source=name), other.filter(source=name)) for name in RATES]
    lines += [f"| {key} | " + " | ".join(c[key] for c in columns) + " |" for key in columns[0]]
    lines += ["", "## Boundaries", "", *boundary_table(corpus)]
    return [*lines, "", "## Captions of L1, by `signals`", "", *caption_table(corpus)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--corpus", help="of the real recordings, built to caption; built anew if not given")
    options = parser.parse_args()
    if not REAL.is_dir():
        sys.exit("the real recordings are not beside the checkout: nothing to score")
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(options.corpus) if options.corpus else built(folder)
        head = [
            "# Against events that were marked by eye",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, `make bench-captions` or `make bench-segment`. How the set was made, and "
            "by whom: `tests/gold/rules.md`.",
            "",
        ]
        text = "\n".join([*head, *sections(corpus)]) + "\n"
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
