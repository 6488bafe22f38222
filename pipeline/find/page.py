"""The page of `corpus find --html`: what was found, with stills of each camera, everything inside it.

In: a corpus, `Found`. Out: HTML. All text is escaped by the template; a still takes some 3 kB, so that twelve events
of three cameras are a third of a megabyte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.corpus.view import Corpus
from pipeline.find.search import WAYS, Found, Hit
from pipeline.report.page import template
from pipeline.report.pictures import Clip, Frames, jpeg_uri, stills
from schemas.alignments import ALIGNMENTS
from schemas.observations import OBSERVATIONS
from schemas.reasons import Quarantined

STILLS = 3  # of an event and camera: its first frame, its middle, its last
HEIGHT = 108  # px
CAMERAS = 4
WORDS = {
    "words": "words of captions, labels and tasks",
    "caption": "meaning of captions",
    "label": "meaning of labels",
    "picture": "what pictures show",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A hit with {camera: stills as data URIs}, and why there are none."""

    hit: Hit
    stills: Mapping[str, Sequence[str]]
    without: str
    scores: str


def render(corpus: Corpus, found: Found) -> str:
    """Reads the proxies of the events that were found."""
    episodes = sorted({hit.episode_id for hit in found.hits})
    clips: dict[str, list[Clip]] = {}
    shown: dict[str, dict[str, list[int]]] = {}
    if episodes:
        for row in corpus.narrow(OBSERVATIONS, Clip, episodes):
            clips.setdefault(row["episode_id"], []).append(row)
        for aligned in corpus.narrow(ALIGNMENTS, Frames, episodes):
            shown[aligned["episode_id"]] = {c["name"]: c["frame_index"] for c in aligned["cameras"]}
    cards = [_card(corpus, hit, clips.get(hit.episode_id, []), shown.get(hit.episode_id, {})) for hit in found.hits]
    ways = [WORDS[way] for way in found.ways]
    return template("find.html.j2").render(found=found, cards=cards, ways=ways)


def scores_of(hit: Hit) -> str:
    """`words 7.14, caption 0.12`: what each way says of an event."""
    return ", ".join(f"{way} {hit.by[way]:.2f}" for way in WAYS if hit.by.get(way) is not None)


def _card(corpus: Corpus, hit: Hit, clips: Sequence[Clip], index: Mapping[str, Sequence[int]]) -> Card:
    frames = np.linspace(hit.frames[0], hit.frames[1] - 1, STILLS).round().astype(int)
    pictures, without = {}, "" if clips else "no video"
    try:
        for clip in clips[:CAMERAS]:
            numbers = [int(index[clip["camera"]][frame]) for frame in dict.fromkeys(frames.tolist())]
            pictures[clip["camera"]] = [jpeg_uri(p) for p in stills(corpus, clip, numbers, HEIGHT)]
    except (OSError, KeyError, ValueError, Quarantined) as error:  # a proxy that is gone costs its pictures alone
        without = f"its pictures cannot be read: {type(error).__name__}"
    return Card(hit, pictures, without, scores_of(hit))
