"""`make bench-segment`: how well boundaries agree with the truth, beside other ways to cut the same episodes.

Without arguments: the sample's contact boundaries (held-out and other tasks), CR5's gripper flips where those
recordings are at hand, and the cost of it. With `--events` and `--truth`: any events table against any truth.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from pipeline.labels import LabelError, read
from schemas.episodes import Label
from stages.segment import SegmentConfig
from stages.segment.stage import event_rows
from stages.segment.tracks import tracks_of
from tests.benchmarks.segmentation import baselines, learned, reliability, steadiness, table, truth
from tests.benchmarks.segmentation.episodes import Logs
from tests.benchmarks.segmentation.table import Figures, Truth
from tests.motions import clock, pick_and_place, stream, times

LEVELS = ("L2", "L1", "L0")
REAL = Path("../shared/data")
CR5, OTHERS = REAL / "cr5_banana", (REAL / "g1_crisps", REAL / "gr1_sim_picknplace")
RELIABILITY = "segmentation-reliability.svg"
DRAWN: list[bytes] = []
COLUMNS = ["episode_id", "level", "start_s", "end_s"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--events", help="events table to score: Parquet, as `corpus show events --to` writes it, or a label file"
    )
    parser.add_argument(
        "--truth",
        help="true spans: CSV or JSON as segment.labels takes it (episode_id, level, start_s, end_s), or such Parquet",
    )
    parser.add_argument(
        "--truth-level", help="level of the truth to hold the events against; all of its spans if not given"
    )
    parser.add_argument("--track", default="all")
    parser.add_argument("--corpus", help="corpus of the sample, built to align; built anew if not given")
    parser.add_argument("--write", help="also write the tables to this file")
    options = parser.parse_args()
    if bool(options.events) != bool(options.truth):
        parser.error("--events and --truth go together")
    try:
        lines = _given(options) if options.events else _own(options)
    except (LabelError, FileNotFoundError) as error:
        sys.exit(f"bench-segment: {str(error).replace('segment.labels=', '')}")
    text = "\n".join(lines) + "\n"
    print(text)
    if options.write:
        Path(options.write).write_text(text)
        if not options.events:
            Path(options.write).with_name(RELIABILITY).write_bytes(DRAWN.pop())


def _given(options: argparse.Namespace) -> list[str]:
    events, true = (_spans(path) for path in (options.events, options.truth))
    if "track" in events.columns:
        events = events.filter(track=options.track)
    if options.truth_level:
        true = true.filter(level=options.truth_level)
    if true.is_empty():
        sys.exit("the truth holds no span")
    ends = {e: (float(a), float(b)) for e, a, b in _extent(events)}
    marked = set(true["episode_id"])
    missing = sorted(marked - ends.keys())
    true = true.filter(pl.col("episode_id").is_in(list(ends)))
    if true.is_empty():
        sys.exit(
            f"no episode of the truth is among the events; the truth has {missing[:3]}, the events {sorted(ends)[:3]}"
        )
    named, notes = set(true["level"]) & set(events["level"]), []
    lines = [
        f"{len(marked)} episodes in the truth; {len(missing)} of them are not among the events and are passed over."
    ]
    if len(named) > 1:
        notes = [f"The truth has spans of {', '.join(sorted(named))}: each level is held against its own."]
    lines += [*notes, "", table.HEAD]
    by_level = {}
    for level in sorted(events["level"].unique(), reverse=True):
        if len(named) > 1 and level not in named:
            continue
        of_level = true.filter(level=level) if len(named) > 1 else true
        truths = {
            str(name): Truth(
                *ends[str(name)], [(float(a), float(b)) for a, b in rows.select("start_s", "end_s").iter_rows()]
            )
            for (name,), rows in of_level.sort("start_s").partition_by("episode_id", as_dict=True).items()
        }
        own = events.filter(level=level)
        starts = {
            name: rows["start_s"].sort().to_list()[1:]
            for (name,), rows in own.partition_by("episode_id", as_dict=True).items()
        }
        by_level[level] = table.figures(starts, truths)
        lines.append(table.row(level, by_level[level]))
    words = "As many at random, as many evenly: F1 at 0.5 s and segment F1 of boundaries that know only their number."
    return [*lines, "", f"Nearest in number: {table.nearest(by_level)}. {words}"]


def _spans(path: str) -> pl.DataFrame:
    if path.endswith(".parquet"):
        frame = pl.read_parquet(path)
        missing = [c for c in ("episode_id", "start_s", "end_s") if c not in frame.columns]
        if missing:
            sys.exit(f"{path}: no column {', '.join(missing)}; found are {', '.join(frame.columns)}")
        return frame if "level" in frame.columns else frame.with_columns(level=pl.lit("truth"))
    rows = [(e, x.level, x.track, x.start, x.end) for e, own in read([path]).items() for x in own if _seconds(x, path)]
    return pl.DataFrame(rows, schema=["episode_id", "level", "track", "start_s", "end_s"], orient="row")


def _seconds(label: Label, path: str) -> bool:
    if label.unit != "seconds":
        sys.exit(f"{path}: spans are in frames; give seconds (start_s, end_s)")
    return True


def _extent(events: pl.DataFrame) -> Iterator[tuple[str, float, float]]:
    yield from events.group_by("episode_id").agg(pl.col("start_s").min(), pl.col("end_s").max()).iter_rows()


def _own(options: argparse.Namespace) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        logs = Logs(options.corpus or _built("pipeline/sample", folder, "sample"))
        lines = [
            "# Boundaries against the truth",
            "",
            f"`make bench-segment`, {_where()}.",
            "",
            "Boundaries are matched one to one, spans one to one by intersection over union; an episode's ends are no",
            "boundaries. Brackets: 95 % by bootstrap over episodes. Baselines have their published settings and see",
            "the same signals; KernelCPD is told the true number.",
            "",
            *_sample(logs, held_out=True),
            *_sample(logs, held_out=False),
            *learned.section(logs),
            *_sure(logs),
        ]
        steady = {"cell": logs}
        if CR5.is_dir():
            real = {path.name: Logs(_built(str(path), folder, path.name)) for path in (CR5, *OTHERS) if path.is_dir()}
            lines += _flips(real[CR5.name])
            steady |= real
        lines += steadiness.section(steady)
    return [*lines, *_cost()]


def _where() -> str:
    python, numpy = platform.python_version(), np.__version__
    return f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {python}, NumPy {numpy}"


def _built(source: str, folder: str, name: str) -> str:
    root = f"{folder}/{name}"
    words = [sys.executable, "-m", "pipeline", "build", "--source", source, "--corpus", root, "--until", "align"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return root


def _sample(logs: Logs, held_out: bool) -> list[str]:
    spans = truth.sample_spans(held_out)
    episodes = {name: logs.episode(name) for name in spans}
    truths = {n: Truth(float(e.times[0]), e.end, truth.in_seconds(spans[n], e)) for n, e in episodes.items()}
    rivals = {
        k: table.figures({n: cut(e) for n, e in episodes.items()}, truths) for k, cut in baselines.BASELINES.items()
    }
    told = "KernelCPD, told the true number"
    rivals[told] = table.figures(
        {n: baselines.kernel_cpd(e, len(truths[n].boundaries)) for n, e in episodes.items()}, truths
    )
    cuts = {name: logs.cuts(name, SegmentConfig()) for name in spans}
    ours = {level: table.figures({n: c[level] for n, c in cuts.items()}, truths) for level in LEVELS}
    level = table.nearest(ours)
    blind = {k: v for k, v in rivals.items() if k != told}
    tasks = ", ".join(sorted(truth.sample_tasks(held_out)))
    return [
        f"## The sample, {'held-out' if held_out else 'other'} tasks",
        "",
        f"{len(spans)} episodes, {sum(len(t.boundaries) for t in truths.values())} true boundaries: {tasks}.",
        "",
        table.HEAD,
        *(table.row(k, v) for k, v in rivals.items()),
        *(table.row(f"**ours, {k}**" if k == level else f"ours, {k}", v) for k, v in ours.items()),
        "",
        f"Nearest to the truth in number: {level}. Of the gap between the best baseline and 1 it closes",
        f"{_closed(ours[level], blind, 'boundaries')} in boundary F1 at 0.5 s and",
        f"{_closed(ours[level], blind, 'segments')} in segment F1 at IoU 0.75; with KernelCPD, told the number,",
        f"{_closed(ours[level], rivals, 'boundaries')} and {_closed(ours[level], rivals, 'segments')}.",
        "",
    ]


def _sure(logs: Logs) -> list[str]:
    """Confidence against what is right."""
    said: dict[str, list[reliability.Said]] = {}
    for name, held in (("other tasks (fitted)", False), ("held-out tasks", True)):
        own = said.setdefault(name, [])
        for episode, phases in truth.sample_spans(held).items():
            rows = event_rows(episode, logs.signals[episode], logs.alignments[episode], SegmentConfig())
            events = [r for r in rows if r["level"] == "L1" and r["track"] == "all"]
            e = logs.episode(episode)
            own += reliability.judged(events, phases, e.times, e.end)
    DRAWN.append(reliability.drawing(said))
    return [
        "## Confidence",
        "",
        "An L1 event is right where both boundaries are within 0.5 s of true ones and its primitive agrees with the",
        "true phase. The curve was fitted on the other tasks and is checked on the held-out ones. It is the sample's:",
        "what people would say of other robots it does not know.",
        "",
        f"![reliability]({RELIABILITY})",
        "",
        *reliability.table(said),
        "",
    ]


def _closed(ours: Figures, rivals: dict[str, Figures], what: str) -> str:
    def figure(f: Figures) -> float:
        return f.f1(0.5) if what == "boundaries" else f.segment_f1(0.75)

    name = max(rivals, key=lambda k: figure(rivals[k]))
    best = figure(rivals[name])
    return f"{(figure(ours) - best) / (1 - best):.0%} ({name}: {best:.3f})"


def _flips(logs: Logs) -> list[str]:
    worst, boundaries, flips = 0.0, 0, 0
    for name in logs.alignments:
        cuts, true = logs.cuts(name, SegmentConfig())["L1"], truth.flips(logs.episode(name))
        worst = max(worst, *(min(abs(c - t) for c in cuts) for t in true))
        boundaries, flips = boundaries + len(cuts), flips + len(true)
    return [
        "## CR5: the gripper's flips",
        "",
        f"{len(logs.alignments)} real episodes, {flips} flips. The farthest flip from an L1 boundary: {worst:.2f} s. "
        f"L1 boundaries a flip: {boundaries / flips:.2f}.",
        "",
    ]


def _cost() -> list[str]:
    lines = ["## Cost", "", "Two arms at 30 Hz that pick and place all the time; one core.", ""]
    lines += ["| frames | s | us a frame | boundaries, all levels and tracks |", "| --- | --- | --- | --- |"]
    for frames in (10_000, 100_000, 1_000_000):
        at = times(frames / 30.0, 30.0)
        rounds = int(at[-1] / 14)
        signals = pick_and_place(at, 1, "left", rounds) | pick_and_place(at, 2, "right", rounds)
        started = time.process_time()
        tracks = tracks_of(signals, clock(at), SegmentConfig())
        spent = time.process_time() - started
        found = sum(len(level.frames) - 2 for track in tracks for level in track.levels.values())
        lines.append(f"| {frames:,} | {spent:.2f} | {1e6 * spent / frames:.2f} | {found:,} |")
    at = times(1_000_000 / 30.0, 30.0)
    wandering = np.random.default_rng(0).normal(size=(len(at), 3)).cumsum(axis=0)
    toggling = ((at / 0.1).astype(int) % 2).astype(float)
    signals = stream("position", "single", "m", at, wandering) | stream("gripper", "single", "1", at, toggling)
    started = time.process_time()
    tracks_of(signals, clock(at), SegmentConfig())
    spent = time.process_time() - started
    lines += ["", f"A gripper that toggles every 0.1 s, beside a random walk: {spent:.1f} s for 1,000,000 frames."]
    return [*lines, "", "Segmentation alone, without reading or writing tables."]


if __name__ == "__main__":
    main()
