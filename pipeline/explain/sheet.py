"""A contact sheet: events with their captions above what the cameras saw, to judge captions by eye.

In: a corpus, ids of events, or how many to draw at random. Out: PNG bytes.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
import polars as pl
from PIL import Image, ImageDraw, ImageFont

from pipeline.corpus.view import Corpus
from pipeline.explain import UnknownEpisode
from pipeline.report.pictures import Clip, Frames, stills
from schemas.alignments import ALIGNMENTS, AlignedCamera
from schemas.events import EVENTS
from schemas.ids import episode_of
from schemas.observations import OBSERVATIONS

PICTURES = 6  # of an event and camera: its first frame, its last, and evenly between
HEIGHT = 150  # of a picture, px
LINE, MARGIN, LETTERS = 18, 10, 130


class Event(TypedDict):
    """What a sheet says of an `events` row: canonical frames, s from the episode's beginning."""

    event_id: str
    episode_id: str
    start_frame: int
    end_frame: int
    start_s: float
    end_s: float
    primitive: str
    recovery: str | None
    holds: list[str]
    confidence: float


def drawn(corpus: Corpus, number: int, level: str, source: str | None, seed: int) -> list[str]:
    """Ids of events drawn at random among those of a level that are not static, in order. Raises UnknownEpisode."""
    events = corpus.table("events", columns=["event_id", "level", "track", "static"])
    events = events.filter(pl.col("level") == level, pl.col("track") == "all", ~pl.col("static"))
    if source:
        events = events.filter(pl.col("event_id").str.starts_with(f"{source}/"))
    if events.is_empty():
        raise UnknownEpisode(f"no event of {level} to draw" + (f" in {source}" if source else ""))
    return sorted(events["event_id"].sort().sample(min(number, events.height), seed=seed).to_list())


def sheet(corpus: Corpus, wanted: Sequence[str]) -> bytes:
    """PNG. Raises UnknownEpisode for an event that is not there."""
    episodes = sorted({episode_of(name) for name in wanted})
    rows = {e["event_id"]: e for e in corpus.narrow(EVENTS, Event, episodes)}
    missing = [name for name in wanted if name not in rows]
    if missing:
        raise UnknownEpisode(f"{missing[0]}: no such event; `corpus show events` lists them")
    texts = dict(corpus.table("captions", episodes, ["event_id", "text"]).iter_rows())
    shown = {a["episode_id"]: a["cameras"] for a in corpus.narrow(ALIGNMENTS, Frames, episodes)}
    clips: dict[str, list[Clip]] = {}
    for row in corpus.narrow(OBSERVATIONS, Clip, episodes):
        clips.setdefault(row["episode_id"], []).append(row)
    blocks = [_block(corpus, rows[n], texts.get(n, ""), shown, clips.get(rows[n]["episode_id"], [])) for n in wanted]
    width = max(b.width for b in blocks) + 2 * MARGIN
    page = Image.new("RGB", (width, sum(b.height + MARGIN for b in blocks) + MARGIN), "white")
    top = MARGIN
    for block in blocks:
        page.paste(block, (MARGIN, top))
        top += block.height + MARGIN
    buffer = io.BytesIO()
    page.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _block(
    corpus: Corpus,
    event: Event,
    text: str,
    shown: Mapping[str, Sequence[AlignedCamera]],
    clips: Sequence[Clip],
) -> Image.Image:
    """One event: its words, and a row of pictures a camera."""
    frames = np.linspace(event["start_frame"], event["end_frame"] - 1, PICTURES).round().astype(int)
    index = {c["name"]: c["frame_index"] for c in shown[event["episode_id"]]}
    strips = [(c["camera"], stills(corpus, c, [int(index[c["camera"]][f]) for f in frames], HEIGHT)) for c in clips]
    words = [
        f"{event['event_id']}   {event['start_s']:.2f} to {event['end_s']:.2f} s   {event['primitive']}"
        + (f" ({event['recovery']})" if event["recovery"] else "")
        + (f"   holds: {', '.join(event['holds'])}" if event["holds"] else "")
        + f"   sure {event['confidence']:.2f}",
        *textwrap.wrap(text or "no caption yet", LETTERS),
    ]
    width = max([LETTERS * 7, *(sum(p.width + 2 for p in own) for _, own in strips)])
    height = LINE * len(words) + 4 + sum(HEIGHT + LINE for _ in strips)
    block = Image.new("RGB", (width, height), "white")
    draw, font = ImageDraw.Draw(block), ImageFont.load_default(14)
    for number, line in enumerate(words):
        draw.text((0, number * LINE), line, fill="#333" if number else "#888", font=font)
    top = LINE * len(words) + 4
    for camera, own in strips:
        draw.text((0, top), camera, fill="#888", font=font)
        left = 0
        for picture in own:
            block.paste(picture, (left, top + LINE))
            left += picture.width + 2
        top += HEIGHT + LINE
    return block
