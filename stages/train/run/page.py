"""One page of a run: what it came to, curves, predictions, rollouts, configuration.

In: the run's folder: `run.json`, `metrics.jsonl`, `samples/`, and `rollouts/` where somebody has put some there
(`rollouts.json`: a list of {file, title, note}). Out: `page.html`, everything inside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from stages.train.run import clips, curves
from stages.train.run.checkpoint import write_bytes
from stages.train.run.progress import clock, read
from stages.train.run.validation import Score, psnr

MOST_CLIPS = 24
MOST_BYTES = 1_700_000  # of clips as text, so that the page stays under 2 MB
STYLE = """
:root { --ink:#1c2430; --soft:#5d6878; --paper:#fff; --panel:#f5f7fa; --line:#dfe4ea; --one:#2f6fb2; --two:#d9480f; --good:#1a7f37; --bad:#b42318; color-scheme: light dark }
@media (prefers-color-scheme: dark) { :root { --ink:#e6eaf0; --soft:#9aa5b4; --paper:#12161c; --panel:#1b212a; --line:#2c3541; --one:#6ea8e0; --two:#ff9f5a; --good:#5cc07a; --bad:#ff8a80 } }
* { box-sizing:border-box }
body { margin:0 auto; max-width:1060px; padding:28px 20px 60px; background:var(--paper); color:var(--ink); font:15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
h1 { font-size:27px; margin:0 0 2px } h2 { font-size:20px; margin:40px 0 8px; padding-top:10px; border-top:1px solid var(--line) } h3 { font-size:15px; margin:0 0 6px }
p { margin:6px 0 12px; max-width:760px } .soft { color:var(--soft) } .good { color:var(--good) } .bad { color:var(--bad) }
.cards { display:grid; grid-template-columns:repeat(auto-fit, minmax(220px, 1fr)); gap:12px; margin:18px 0 }
.card { background:var(--panel); border-radius:8px; padding:12px 14px; font-size:14px; color:var(--soft) } .card b { display:block; font-size:24px; line-height:1.25; color:var(--ink) } .card b.good { color:var(--good) } .card b.bad { color:var(--bad) }
.grid { display:grid; grid-template-columns:repeat(auto-fit, minmax(min(100%, 320px), 1fr)); gap:16px } .panel { background:var(--panel); border-radius:8px; padding:12px; min-width:0; font-size:13px }
video { display:block; width:100%; border-radius:4px; background:#000 } svg { width:100%; height:auto; display:block } svg text { font:11.5px system-ui, "DejaVu Sans", sans-serif; fill:var(--soft) }
table { border-collapse:collapse; width:100%; font-size:14px } th { text-align:left; font-weight:500; color:var(--soft) } th, td { padding:6px 12px 6px 0; border-bottom:1px solid var(--line) } td.n, th.n { text-align:right; font-variant-numeric:tabular-nums }
pre { background:var(--panel); border-radius:8px; padding:12px; overflow-x:auto; font-size:12.5px } summary { cursor:pointer }
"""  # noqa: E501


def write(folder: Path) -> Path:
    """The page's path. Raises OSError where the folder holds no run that has ended."""
    about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    lines = read(folder)
    room = MOST_BYTES
    predictions, room = _clips(folder / "samples", "samples.json", room)
    rollouts, _ = _clips(folder / "rollouts", "rollouts.json", room)
    body = [
        _head(about),
        _scores(about["scores"]),
        "<h2>Curves</h2>",
        '<div class="grid">',
        *(f'<div class="panel"><h3>{escape(title)}</h3>{drawn}</div>' for title, drawn in curves.drawn(lines)),
        "</div>",
    ]
    if predictions:
        body += [
            "<h2>Predicted video</h2>",
            '<p class="soft">Events of the val split. Above: the truth; below: what the video tower makes of the first '
            "picture, which it is given, and the caption.</p>",
            _grid(predictions, _prediction),
        ]
    if rollouts:
        body += ["<h2>Rollouts</h2>", _grid(rollouts, _rollout)]
    body += [_data(about), _config(about["config"])]
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Training run</title><style>{STYLE}</style>{''.join(body)}</html>"
    )
    write_bytes(folder / "page.html", text.encode())
    return folder / "page.html"


def _head(about: Mapping[str, Any]) -> str:
    stages = ", ".join(f"{own['stage']} {own['steps']:,}" for own in about["config"]["stages"])
    return (
        f"<h1>Training run</h1><p class='soft'>{about['parameters'] / 1e6:.2f} M parameters; steps: {escape(stages)}; "
        f"{clock(about['seconds'])} of training</p>"
    )


def _scores(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Cards of what was reached, and the table behind them."""
    if not scores:
        return "<p>The release has no val split: nothing says what the model is worth on events it has not seen.</p>"
    cards, rows = [], []
    for name, own in scores.items():
        score = Score(**own)
        verdict = ("good", "beats") if score.beats else ("bad", "does not beat")
        other = "copying the last picture" if name == "video" else "the mean action"
        share = score.error / max(score.baseline, 1e-12)
        worth = f"{1 - share:.0%} less error" if score.beats else f"{share:.2f} times the error"
        cards.append(f'<div class="card"><b class="{verdict[0]}">{worth}</b>{escape(name)}: {verdict[1]} {other}</div>')
        shown = (
            (f"{psnr(score.error):.2f} dB", f"{psnr(score.baseline):.2f} dB") if name == "video" else ("", "")
        )  # fmt: skip
        cells = (f"{score.error:.5f} {shown[0]}", f"{score.baseline:.5f} {shown[1]}", other, f"{score.values:,}")
        kinds = (' class="n"', ' class="n"', "", ' class="n"')
        columns = "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, cells, strict=True))
        rows.append(f"<tr><td>{escape(name)}</td>{columns}</tr>")
    return (
        f'<div class="cards">{"".join(cards)}</div><table><tr><th>val split</th><th class="n">mean squared error</th>'
        f'<th class="n">baseline</th><th>which is</th><th class="n">numbers</th></tr>{"".join(rows)}</table>'
    )


def _clips(folder: Path, index: str, room: int) -> tuple[list[dict[str, Any]], int]:
    """Entries of an index with their clips as URIs, as many as there is room for (bytes)."""
    path = folder / index
    found: list[dict[str, Any]] = []
    for entry in json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []:
        clip = (folder / Path(entry["file"]).name).read_bytes()
        if len(found) < MOST_CLIPS and 4 * len(clip) // 3 <= room:
            room -= 4 * len(clip) // 3
            found.append({**entry, "uri": clips.uri(clip)})
    return found, room


def _grid(entries: Sequence[Mapping[str, Any]], note: Any) -> str:
    playing = "autoplay loop muted playsinline controls"
    shown = (f'<div class="panel"><video src="{own["uri"]}" {playing}></video>{note(own)}</div>' for own in entries)
    return f'<div class="grid">{"".join(shown)}</div>'


def _prediction(own: Mapping[str, Any]) -> str:
    less = f"{1 - own['error'] / own['copy']:.0%} less error than copying" if own["error"] < own["copy"] else (
        "more error than copying")  # fmt: skip
    return f"{own['pictures']} pictures, {psnr(own['error']):.1f} dB, {less}"


def _rollout(own: Mapping[str, Any]) -> str:
    return f"<b>{escape(str(own.get('title', '')))}</b> {escape(str(own.get('note', '')))}"


def _data(about: Mapping[str, Any]) -> str:
    facts = about["facts"]
    rows = {
        "cameras": ", ".join(facts["cameras"]) or "none: state alone",
        "pictures": f"{facts['side']} px, one of {facts['stride']} rows",
        "rows a second": ", ".join(f"{rate:g}" for rate in facts["fps"]),
        "state": f"{', '.join(facts['state'])}: {facts['state_width']} columns",
        "action": f"{', '.join(facts['action'])}: {facts['action_width']} columns",
        "captions": f"{len(facts['captions']):,} different ones",
    }
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in rows.items())
    return f"<h2>Data</h2><table>{cells}</table>"


def _config(config: Mapping[str, Any]) -> str:
    return (
        "<h2>Configuration</h2><details><summary>all keys, as JSON</summary>"
        f"<pre>{escape(json.dumps(config, indent=1))}</pre></details>"
    )
