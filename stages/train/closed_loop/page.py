"""One page: the table of successes, and a success and a failure a task as small clips; everything inside the file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from stages.train.closed_loop.figures import Tried, rows

STYLE = """
:root { color-scheme: light dark; --soft: #5d6878; --line: #8884; --panel: #8881; --good: #1a7f37; --bad: #b42318 }
@media (prefers-color-scheme: dark) { :root { --soft: #9aa5b4; --good: #5cc07a; --bad: #ff8a80 } }
body { margin: 0 auto; max-width: 1060px; padding: 28px 20px 60px;
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
p { max-width: 760px } .soft { color: var(--soft) } .good { color: var(--good) } .bad { color: var(--bad) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: 14px }
th { text-align: left; font-weight: 500; color: var(--soft) }
th, td { padding: 6px 16px 6px 0; border-bottom: 1px solid var(--line); white-space: nowrap }
td span { color: var(--soft); font-size: 12px }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(220px, 1fr)); gap: 16px; margin-top: 12px }
.panel { background: var(--panel); border-radius: 8px; padding: 10px; font-size: 13px }
video { display: block; width: 100%; border-radius: 4px; background: #000; margin-bottom: 6px }
"""


@dataclass(frozen=True, slots=True)
class Clip:
    """A rollout to look at: uri of an MP4."""

    task: str
    instruction: str
    policy: str
    seed: int
    success: bool
    seconds: float
    uri: str


def page(tried: Tried, clips: Sequence[Clip], about: Sequence[str]) -> str:
    """HTML; about: paragraphs on how it was measured."""
    body = [
        "<h1>Closed loop</h1>",
        *(f'<p class="soft">{escape(text)}</p>' for text in about),
        "<h2>Successes</h2>",
        "<p>Share of episodes that succeeded, and between which shares it lies with 95 %.</p>",
        _table(tried),
        "<h2>To look at</h2>",
        "<p>A success and a failure of each task, each of the first policy in the table that has one.</p>",
        f'<div class="grid">{"".join(_panel(own) for own in clips)}</div>',
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Closed loop</title><style>{STYLE}</style>{''.join(body)}</html>"
    )


def _table(tried: Tried) -> str:
    head, *body = rows(tried)
    lines = ["<tr>" + "".join(f"<th>{escape(text)}</th>" for text in head) + "</tr>"]
    for name, *cells in body:
        marked = (escape(text).replace(" (", "<br><span>").replace(")", "</span>") for text in cells)
        lines.append(f"<tr><td>{escape(name)}</td>" + "".join(f"<td>{text}</td>" for text in marked) + "</tr>")
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _panel(own: Clip) -> str:
    kind, verdict = ("good", f"done after {own.seconds:.1f} s") if own.success else ("bad", "not done")
    return (
        f'<div class="panel"><video src="{own.uri}" autoplay loop muted playsinline controls></video>'
        f'{escape(own.instruction)}<br><b class="{kind}">{verdict}</b> '
        f'<span class="soft">{escape(own.policy)}, start {own.seed}</span></div>'
    )
