"""The figures of a balance as stats.json holds them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stages.balance import Balance, explained

KINDS = {"before": "before", "target": "target", "after": "sampled", "random": "random"}  # as the file calls them


def figures(balance: Balance | None) -> dict[str, Any]:
    """Of each clustering, per kind of KINDS: sizes of its clusters and the figures of `stages.balance.figures`; notes
    and how the fit went; {} where nothing was balanced. `random` is a uniform draw of as many samples."""
    if balance is None:
        return {}
    rows = explained(balance)
    result: dict[str, Any] = {
        "events": int(balance.cells.n.sum()),
        "sampled": int(balance.copies.sum()),
        "recoveries": dict(zip(("before", "target", "sampled"), balance.recoveries, strict=True)),
        "rounds": balance.rounds,
        "residual": balance.residual,
        "notes": list(balance.notes),
    }
    for space, margin in (("vl", balance.vl), ("action", balance.action)):
        sizes = {"before": margin.recorded, "target": margin.target, "after": margin.drawn}
        result[space] = {}
        for row in rows[space]:  # type: ignore[index]
            found = asdict(row)
            kind = found.pop("kind")
            result[space][KINDS[kind]] = found
            if kind in sizes:
                found["sizes"] = sizes[kind].tolist()
    return result
