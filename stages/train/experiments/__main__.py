"""Writes docs/experiments.md of the results that there are.

    python -m stages.train.experiments --windows windows.jsonl --balance balance.jsonl --write docs/experiments.md

In: files of results, of one machine or several. Out: tables of means and of paired differences, each with its interval,
and what they say in one sentence that a program chose by the intervals alone.
"""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from stages.train.experiments import balance, windows
from stages.train.experiments.cells import Cell, Result, done
from stages.train.experiments.statistics import Mean, difference, mean

Results = Mapping[Cell, Result]
Measure = Callable[[Result], float]


def column(results: Results, condition: str, draws: Sequence[int], measure: Measure) -> list[float]:
    return [measure(results[Cell(draw, condition)]) for draw in draws]


def whole_draws(results: Results, conditions: Sequence[str]) -> list[int]:
    """Draws that have all conditions."""
    return sorted({c.draw for c in results if all(Cell(c.draw, other) in results for other in conditions)})


def verdict(what: str, of: Mean) -> str:
    """A sentence that says no more than the interval does."""
    if not of.resolved:
        return f"{what}: {of.signed()} points; not resolved with {of.n} draws."
    return f"{what}: {of.signed()} points; the interval leaves zero out."


NONE = "No draw has all conditions yet."


def told_windows(results: Results) -> list[str]:
    conditions = [c for c in windows.CONDITIONS if any(cell.condition == c for cell in results)]
    draws = whole_draws(results, conditions)
    if not draws:
        return [NONE]

    def of(condition: str) -> list[float]:
        return column(results, condition, draws, lambda row: float(row["share"]))

    starts = len(next(iter(results[Cell(draws[0], conditions[0])]["success"].values())))
    lines = [
        f"{len(draws)} draws of {windows.DEMONSTRATIONS} demonstrations a task, {starts} starts of each of five tasks, "
        f"{windows.STEPS} steps of 128 instants; {windows.EXECUTE} actions are done before the next look.",
        "",
        "| window, text, told by | success, % | from *fixed, task*, points |",
        "| --- | --- | --- |",
    ]
    for condition in conditions:
        against = "" if condition == "fixed, task" else difference(of(condition), of("fixed, task")).signed()
        lines.append(f"| {condition} | {mean(of(condition))} | {against} |")
    lines += ["", *TELLERS, "", "Contrasts, paired by draw:", ""]
    contrasts = {
        "Event window rather than fixed, with captions and the planner": ("event, caption", "fixed, caption"),
        "Event window rather than fixed, with the task's words": ("event, task", "fixed, task"),
        "Captions rather than the task's words, in fixed windows": ("fixed, caption", "fixed, task"),
        "Captions rather than the task's words, in event windows": ("event, caption", "event, task"),
        "Events with captions rather than fixed windows with the task's words": ("event, caption", "fixed, task"),
        "The same with the oracle's switch": ("event, caption, oracle", "fixed, task"),
        "Event window rather than fixed, with captions and the oracle": (
            "event, caption, oracle",
            "fixed, caption, oracle",
        ),
        "What the planner costs event windows with captions": ("event, caption", "event, caption, oracle"),
    }
    for what, (first, second) in contrasts.items():
        if first in conditions and second in conditions:
            lines.append(f"- {verdict(what, difference(of(first), of(second)))}")
    four = ("event, caption", "event, task", "fixed, caption", "fixed, task")
    if set(four) <= set(conditions):
        a, b, c, d = (np.array(of(name)) for name in four)
        lines.append(f"- {verdict('Interaction (window x text)', mean((a - b - c + d).tolist()))}")
    return lines


def told_balance(results: Results) -> list[str]:
    conditions = [c for c in balance.CONDITIONS if any(cell.condition == c for cell in results)]
    draws = whole_draws(results, conditions)
    if not draws:
        return [NONE]
    starts = len(next(iter(results[Cell(draws[0], conditions[0])]["success"].values())))

    def of(condition: str, role: str, key: str = "success") -> list[float]:
        return column(results, condition, draws, lambda row: float(np.mean(row[key][role])))

    counts = ", ".join(f"{name} {count}" for name, count in balance.COUNTS.items())
    lines = [
        f"{len(draws)} draws ({counts} demonstrations; the rare task in turn one of {', '.join(balance.TASKS)}), "
        f"{starts} starts a task, {windows.STEPS} steps. *Sampled*: the rare task among instants drawn.",
        "",
        "| sampling | head, % | middle, % | tail, % | sampled, % |",
        "| --- | --- | --- | --- | --- |",
    ]
    for condition in conditions:
        shares = " | ".join(str(mean(of(condition, role))) for role in balance.COUNTS)
        seen = 100 * float(np.mean(of(condition, "tail", "sampled")))
        lines.append(f"| {condition} | {shares} | {seen:.0f} |")
    lines += ["", "Differences, paired by draw:", ""]
    for condition in conditions:
        for other in ("alpha 1", "permuted"):
            if condition in ("alpha 1", other) or other not in conditions:
                continue
            for role in balance.COUNTS:
                what = f"{condition} rather than {other}, {role}"
                lines.append(f"- {verdict(what, difference(of(condition, role), of(other, role)))}")
    return lines


TELLERS = """\
*Fixed*: a chunk of 16 actions from any instant, over borders of events; *event*: of these, those up to the end of the
event alone are learned and done. *Caption*: the policy is told the event's caption instead of the task. Who tells it,
and when the event ends, is a *planner*, the text conditioner, trained on the draw's own demonstrations; or an
*oracle*, a rule over the simulator's exact state: the next event begins where hand, thing and goal lie as they do
where it begins in all the pool's demonstrations. Where the oracle is worse than the planner, it does not bound what
planning costs: it says only that this rule is no better switch. An instant within 0.15 s of the end of its event
counts as the next one's: told otherwise a robot stops at the first border (0 of 50 in a pilot).
""".splitlines()

INTRODUCTION = """\
# Experiments on the corpus

Two things that the report leaves open (WALL-WM, arXiv 2606.01955, measures them together with other changes, or not at
all), tried in closed loop on state observations with the two-step policy of `stages/train/policies` (0.2 million
weights) on five tasks of Meta-World. Demonstrations come through the whole pipeline: events, captions and clusters are
those of its release. Intervals are 95 %, Student's t over draws; a draw has demonstrations, initial weights and batches
of its own, the starts are the same for all, and steps, horizon and executed actions were chosen on other starts.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="stages.train.experiments", description=__doc__)
    parser.add_argument("--windows", type=Path, nargs="+", default=[])
    parser.add_argument("--balance", type=Path, nargs="+", default=[])
    parser.add_argument("--write", type=Path, required=True)
    options = parser.parse_args()
    parts = [INTRODUCTION.strip(), f"Run on {datetime.date.today().isoformat()}."]
    for title, paths, told in (
        ("Windows and texts", options.windows, told_windows),
        ("Balance over joint clusters", options.balance, told_balance),
    ):
        results = done(paths)
        if results:
            parts += [f"## {title}", "\n".join(told(results))]
    options.write.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
