"""Successes as figures: by policy and task, each with its interval.

In: outcomes by policy. Out: cells of a table, as text for a terminal and the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stages.train.simulation.evaluate import Outcome, interval

Tried = Mapping[str, Sequence[Outcome]]
"""Outcomes by policy."""


def cell(outcomes: Sequence[Outcome]) -> str:
    """`92 % (85 to 96)`: share of successes, 95 % interval."""
    if not outcomes:
        return "-"
    done = sum(own.success for own in outcomes)
    low, high = interval(done, len(outcomes))
    return f"{100 * done / len(outcomes):.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def rows(tried: Tried) -> list[list[str]]:
    """Head and a row a policy: its name, all tasks, each task."""
    tasks = list(dict.fromkeys(own.task for outcomes in tried.values() for own in outcomes))
    table = [["policy", "all", *(task.removesuffix("-v3") for task in tasks)]]
    for name, outcomes in tried.items():
        table.append([name, cell(outcomes), *(cell([o for o in outcomes if o.task == task]) for task in tasks)])
    return table


def shown(tried: Tried) -> str:
    """The table in columns, for a terminal."""
    table = rows(tried)
    widths = [max(len(row[n]) for row in table) for n in range(len(table[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)


def telling(tried: Tried) -> list[tuple[str, Outcome]]:
    """(policy, outcome) of one success and one failure a task, of the first policy that has such a one."""
    found: dict[tuple[str, bool], tuple[str, Outcome]] = {}
    for name, outcomes in tried.items():
        for own in outcomes:
            found.setdefault((own.task, own.success), (name, own))
    return [found[key] for key in sorted(found, key=lambda key: (key[0], not key[1]))]
