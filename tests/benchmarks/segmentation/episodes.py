"""Episodes of a corpus as the baselines and the segmenter see them.

In: a corpus built at least to `align`. Out: `Episode`s on the canonical clock, and the rows that segment makes of each.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.corpus.view import Corpus
from stages.episode import Signal, signals_of
from stages.segment import SegmentConfig
from stages.segment.stage import event_rows
from tests.benchmarks.segmentation.baselines import Episode


class Logs:
    """Signals and alignment of each episode, read once."""

    def __init__(self, root: str) -> None:
        corpus = Corpus(root)
        self.alignments = {a["episode_id"]: a for a in corpus.table("alignments").to_dicts()}
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in self.alignments}
        for row in corpus.table("signals").to_dicts():
            rows.setdefault(row["episode_id"], []).append(row)
        self.signals: dict[str, dict[str, Signal]] = {name: signals_of(rows[name]) for name in self.alignments}

    def episode(self, name: str) -> Episode:
        times = np.asarray(self.alignments[name]["time_s"])
        log_times = np.asarray(self.alignments[name]["signal_time_s"])
        signals = self.signals[name]
        path = [
            next(signals[f"{kind}/{arm}"] for kind in ("position", "joints", "velocity") if f"{kind}/{arm}" in signals)
            for arm in ("single", "left", "right")
            if any(f"{kind}/{arm}" in signals for kind in ("position", "joints", "velocity"))
        ]
        grippers = [s for s in signals.values() if s.kind == "gripper"]
        opening = np.hstack([g.at(log_times) for g in grippers]) if grippers else np.zeros((len(times), 0))
        end = float(times[-1] + np.median(np.diff(times)))
        return Episode(name, times, np.hstack([p.at(log_times) for p in path]), opening, end)

    def cuts(self, name: str, config: SegmentConfig, track: str = "all") -> dict[str, list[float]]:
        """{level: interior boundaries, s}."""
        rows = event_rows(name, self.signals[name], self.alignments[name], config)
        return {
            level: sorted(
                r["start_s"] for r in rows if r["level"] == level and r["track"] == track and r["start_frame"]
            )
            for level in ("L2", "L1", "L0")
        }
