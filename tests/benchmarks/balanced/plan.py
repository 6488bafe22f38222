"""The joint balance of a million events in 256 x 256 clusters: seconds, memory, how well margins are met, how stable.

In: nothing; labels are drawn with sizes that go with 1 / rank in both clusterings. Out: figures, printed and returned.
Three corpora: clusters independent of each other with a wish that can be met; the same where it cannot; and clusters of
one side that decide those of the other but for one event in twenty, which proportional fitting is slow on.
`python -m tests.benchmarks.balanced.plan`, one thread.
"""

from __future__ import annotations

import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from stages.balance import Balance, Wish, balance, draw, explained, table

EVENTS, CLUSTERS = 1_000_000, 256
ADDED = 10  # events added, one at a time
RECOVERIES = 0.05


@dataclass(frozen=True)
class Labels:
    """Columns of EVENTS events."""

    vl: Any
    action: Any
    recovery: Any
    u: Any

    def with_one_more(self, rng: np.random.Generator) -> Labels:
        like = rng.integers(len(self.vl))
        columns = (np.append(c, c[like]) for c in (self.vl, self.action, self.recovery))
        return Labels(*columns, np.append(self.u, rng.random()))


def labels(blocks: float, seed: int = 0) -> Labels:
    """blocks: share of events whose action cluster lies in the block of 16 that their VL cluster decides."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, CLUSTERS + 1)
    vl, action = (rng.choice(CLUSTERS, EVENTS, p=share / share.sum()) for _ in range(2))
    action = np.where(rng.random(EVENTS) < blocks, vl // 16 * 16 + action % 16, action)
    return Labels(vl, action, rng.random(EVENTS) < RECOVERIES, rng.random(EVENTS))


CASES = {
    "can be met": (0.0, Wish(250_000, alpha=0.5, max_repeats=4)),
    "with recoveries": (0.0, Wish(250_000, alpha=0.5, max_repeats=4, recovery_share=0.1)),
    "cannot be met": (0.0, Wish(800_000, alpha=0.5, max_repeats=1)),
    "blocks": (0.95, Wish(250_000, alpha=0.5, max_repeats=4)),
    "blocks, cannot be met": (0.95, Wish(800_000, alpha=0.43, max_repeats=2)),
}


def measured(events: Labels, wish: Wish) -> tuple[dict[str, float], Balance, Any]:
    """(figures, balance, repeats of each event)."""
    started = time.perf_counter()
    cells, cell = table(events.vl, events.action, events.recovery)
    tabled = time.perf_counter()
    plan = balance(cells, wish)
    planned = time.perf_counter()
    repeats = draw(cell, events.u, plan.copies)
    drawn = time.perf_counter()
    off = {
        name: max(float(np.abs(m.drawn - getattr(m, name)).max()) for m in (plan.vl, plan.action))
        for name in ("target", "attainable")
    }
    figures = {
        "cells": len(cells),
        "table_s": tabled - started,
        "balance_s": planned - tabled,
        "draw_s": drawn - planned,
        "rounds": plan.rounds,
        "residual": plan.residual,
        "off_target": off["target"],
        "off_attainable": off["attainable"],
        "cuts": len(plan.cuts),
        "recoveries": plan.recoveries[2],
    }
    return figures, plan, repeats


def main() -> dict[str, dict[str, float]]:
    """{case: figures}."""
    result = {}
    for name, (blocks, wish) in CASES.items():
        events = labels(blocks)
        figures, plan, repeats = measured(events, wish)
        rng = np.random.default_rng(1)
        changed = [int((measured(events.with_one_more(rng), wish)[2][:-1] != repeats).sum()) for _ in range(ADDED)]
        figures |= {"changed_mean": float(np.mean(changed)), "changed_most": max(changed)}
        for side, rows in explained(plan).items():
            figures |= {f"gini_{side}_{row.kind}": row.gini for row in rows}
        print(name)
        print("   " + ", ".join(f"{key} {value:.4g}" for key, value in figures.items()))
        print("".join(f"   {note}\n" for note in plan.notes), end="")
        result[name] = figures
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    print(f"largest resident size {peak:.2f} GB")
    result["process"] = {"peak_gb": peak}
    return result


if __name__ == "__main__":
    main()
