"""A dataset card for a release: `README.md` as the Hugging Face Hub reads it, of measured facts alone.

In: the plan, the fates of events, figures of the balance, what the tars hold. Out: the bytes of the file, the same for
the same tables. YAML front matter after https://huggingface.co/docs/hub/datasets-cards; what comes from a source is
escaped (`markdown`). The card tells what was when the release was first written: it is not written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import polars as pl
import yaml

from pipeline.plan import Plan
from pipeline.release.card.facts import Facts, gathered, sources
from pipeline.release.card.markdown import NOTHING, code, counted, escaped, table
from stages.caption import CAPTION
from stages.embed import EMBED

NAME = "README.md"
# identifiers that the Hub knows and that are SPDX's too, in lower case as it writes them
_HUB = """
    0bsd afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsl-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0
    cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0
    cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0 cdla-permissive-2.0
    cdla-sharing-1.0 ecl-2.0 epl-2.0 eupl-1.1 eupl-1.2 gpl-2.0 gpl-3.0 isc lgpl-2.1 lgpl-3.0 mit mpl-2.0 ms-pl odbl
    odc-by osl-3.0 pddl unlicense zlib"""
HUB_LICENCES = frozenset(_HUB.split())
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
MOST = 40  # sources that are listed; manifest.json has all
BALANCE = {"before": "as recorded", "target": "wanted", "sampled": "as drawn", "random": "as many at random"}

__all__ = ["NAME", "card", "sources"]


def card(
    plan: Plan, name: str, rows: pl.DataFrame, shards: Mapping[str, int], balance: Mapping[str, Any]
) -> bytes:  # fmt: skip
    """README.md of the release `name`; shards: {file: samples in it}; balance: `release.evenness.figures`."""
    facts = gathered(plan, rows)
    parts = [
        _front(facts, name, shards), _holds(facts, name, shards), _sources(facts), _made(plan, facts),
        _balance(balance), _limits(facts), _use(shards),
    ]  # fmt: skip
    return "\n".join(line for part in parts for line in part).encode()


def front_licence(licences: list[str]) -> dict[str, str]:
    """`license` and what belongs to it of the front matter, for the licences of all sources; empty ones are unknown."""
    different = sorted({licence.casefold() for licence in licences})
    if different in ([], [""]):
        return {"license": "unknown"}
    if len(different) == 1 and different[0] in HUB_LICENCES:
        return {"license": different[0]}
    called = "several" if len(different) > 1 else licences[0]
    return {"license": "other", "license_name": called, "license_link": NAME}


def _front(facts: Facts, name: str, shards: Mapping[str, int]) -> list[str]:
    samples = sum(shards.values())
    files = {"train": "train-*.tar", "validation": "val-*.tar"}
    there = {split: glob for split, glob in files.items() if any(s.startswith(glob.split("*")[0]) for s in shards)}
    about: dict[str, Any] = {
        **front_licence([s["licence"] for s in facts.sources.values() if s["samples"]]),
        "pretty_name": f"event-corpus release {name}",
        "task_categories": ["robotics"],
        "tags": ["robotics", "teleoperation", "event-corpus", "webdataset", "video"],
        "size_categories": [next((word for most, word in SIZES if samples < most), "n>1M")],
    }
    if there:
        data = [{"split": split, "path": glob} for split, glob in there.items()]
        about["configs"] = [{"config_name": "default", "data_files": data}]
    return ["---", yaml.safe_dump(about, sort_keys=False, allow_unicode=False, width=1000).rstrip(), "---", ""]


def _holds(facts: Facts, name: str, shards: Mapping[str, int]) -> list[str]:
    samples, fates = sum(shards.values()), dict(facts.fates)
    lines = [
        f"# Robot teleoperation, cut at events: release {code(name)}",
        "",
        f"{counted(samples, 'sample')} in {counted(len(shards), 'WebDataset tar')}: events of level {facts.level} of "
        f"{counted(facts.episodes, 'episode')} ({facts.hours:.2f} h) of {counted(len(facts.sources), 'source')}, each "
        "with the clips of its cameras, states and actions on one clock, and captions of all levels. All figures here "
        "are counted over the tables that the release was made from.",
        "",
        "## What it holds",
        "",
        f"- episodes: {facts.episodes:,} of {facts.listed:,} that the sources list, {facts.hours:.2f} h; "
        + _listed(facts.splits),
        f"- robots (episodes): {_listed(facts.robots)}",
        f"- cameras (episodes): {_listed(facts.cameras)}",
        f"- rows and frames a second (episodes): {_listed(facts.rates)}",
        f"- events of {facts.level}: {_listed(facts.fates)} (`sampled`: in a tar, some more than once; `reserve`: left "
        f"out by balance); {counted(fates.get('sampled', 0), 'event')} drawn",
        f"- primitives of {facts.level}: {_listed(facts.primitives)}",
        f"- recoveries among them: {_listed(facts.recoveries)}",
        "",
    ]
    rows = (
        (level, f"{number:,}", f"{static:,}", f"{median:.2f}")
        for level, (number, static, median) in facts.events.items()
    )
    return lines + table(("level", "events", "at rest", "median of the others, s"), rows)


def _sources(facts: Facts) -> list[str]:
    unknown = [name for name, s in facts.sources.items() if not s["licence"]]
    listed = sorted(facts.sources.items(), key=lambda pair: (-pair[1]["samples"], pair[0]))
    rows = (
        (
            code(name), f"{s['episodes']:,}", f"{s['events']:,}", f"{s['samples']:,}",
            escaped(s["licence"]) if s["licence"] else "**unknown**",
            escaped(s["attribution"]), f"<{s['url']}>" if s["url"] else NOTHING,
        )
        for name, s in listed[:MOST]
    )  # fmt: skip
    lines = ["## Sources, their licences, whom to name", ""]
    lines += table(("source", "episodes", "events", "of them drawn", "licence", "attribution", "published at"), rows)
    if len(listed) > MOST:
        lines += [f"And {len(listed) - MOST:,} more: `sources` in `manifest.json` has all.", ""]
    if unknown:
        lines += [
            f"The licence of {len(unknown):,} of {counted(len(listed), 'source')} is unknown: nobody has said what may "
            "be done with samples of it. Find out before you use or publish them.",
            "",
        ]
    lines += ["Each sample says its own: `provenance.licence`, `.attribution`, `.url` in `KEY.json`.", ""]
    return lines


def _made(plan: Plan, facts: Facts) -> list[str]:
    caption, embed = plan.config(CAPTION), plan.config(EMBED)
    encoder = embed.encoder and "one model for pictures and texts (`embed.encoder`)"
    total = sum(number for *_, number in facts.captions)
    lines = [
        "## How it was made",
        "",
        f"By event-corpus {version('event-corpus')} after the recipe of WALL-WM (arXiv 2606.01955): logs are put on "
        "one clock, cut at events of four nested levels, captioned, embedded, clustered, and drawn so that clusters of "
        "what is seen and said, and of how arms move, are both balanced. Settings and library versions are in "
        "`manifest.json`.",
        "",
        "- versions of the stages: " + ", ".join(f"{s.name} {s.version}" for s in plan.stages if s.shown),
        f"- captioner: {code(caption.captioner)}; encoders: "
        f"{encoder or f'{code(embed.image_encoder)}, {code(embed.text_encoder)}'}",
        "",
    ]
    rows = (
        (escaped(source), escaped(status), escaped(model), f"{number:,}", f"{number / total:.1%}")
        for source, status, model, number in facts.captions
    )
    lines += ["Captions of all levels, by who wrote them and how it went:", ""] if facts.captions else []
    lines += table(("written by", "status", "model", "captions", "share"), rows)
    lines += ["Set aside, and in no sample:", ""] if facts.aside or facts.lost else ["Nothing was set aside.", ""]
    lines += table(("by", "reason", "episodes"), ((s, code(reason), f"{n:,}") for s, reason, n in facts.aside))
    lines += [f"{counted(facts.lost, 'source')} could not be used.", ""] if facts.lost else []
    return lines


def _balance(balance: Mapping[str, Any]) -> list[str]:
    if not balance:
        return []
    rows = []
    for space, words in (("vl", "seen and said"), ("action", "how arms move")):
        for kind, called in BALANCE.items():
            one = balance.get(space, {}).get(kind)
            if one:
                rows.append((words, called, f"{one['gini']:.3f}", f"{one['entropy']:.3f}", f"{one['tail_share']:.3f}"))
    lines = ["## Balance", "", "Of train events over clusters; Gini 0 and entropy 1 where all are equally large.", ""]
    lines += table(("clustering", "events", "Gini", "entropy", "share of the smaller half"), rows)
    return lines + [f"- {escaped(note)}" for note in balance.get("notes", ())] + [""]


def _limits(facts: Facts) -> list[str]:
    machine = sum(n for source, *_, n in facts.captions if source != "human")
    total = sum(n for *_, n in facts.captions)
    review = dict(facts.review)
    seen = "nobody has reviewed them"
    if facts.accepted:
        seen = f"people have found {counted(facts.accepted, 'event')} of {facts.level} right as they are"
    lines = [
        "## Known limits",
        "",
        f"- {machine:,} of {counted(total, 'caption')} were written by a machine, and {seen}.",
        f"- {review.get('machine', 0):,} of {sum(review.values()):,} events of {facts.level} were cut by a machine.",
        "- `val` keeps its natural mix; only `train` is balanced.",
    ]
    if facts.flags:
        lines += ["- Used with doubts (`flags` of a sample):", ""]
        return lines + table(("flag", "episodes"), ((code(flag), f"{n:,}") for flag, n in facts.flags))
    return [*lines, ""]


def _use(shards: Mapping[str, int]) -> list[str]:
    pattern = "train-*.tar" if any(s.startswith("train") for s in shards) else "*.tar"
    return [
        "## Loading",
        "",
        "```python",
        "import glob, io, json",
        "import numpy as np, webdataset as wds",
        "",
        f'for sample in wds.WebDataset(sorted(glob.glob("{pattern}")), shardshuffle=False):',
        '    about, arrays = json.loads(sample["json"]), np.load(io.BytesIO(sample["lowdim.npz"]))',
        '    print(about["captions"], arrays["action"].shape, [name for name in sample if name.endswith(".mp4")])',
        "```",
        "",
        "`index.parquet` has a row a sample with its weight, `stats.json` statistics of the arrays, `manifest.json` "
        "what their columns are.",
        "",
        "## Citing",
        "",
        "Name the sources above. The recipe is that of WALL-WM, arXiv 2606.01955.",
        "",
    ]


def _listed(counts: list[tuple[str, int]]) -> str:
    shown = ", ".join(f"{escaped(name, 60)} {number:,}" for name, number in counts[:MOST])
    return (shown or "none") + (f" and {len(counts) - MOST:,} more" if len(counts) > MOST else "")
