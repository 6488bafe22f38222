"""Contact sheets: pictures and captions of events in the largest and the rarest clusters of both clusterings.

In: a corpus. Out: `Sheet`s. Labels are read for all events of the shard level, captions and thumbnails for the few
that are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from pipeline.corpus.view import Corpus
from pipeline.report import pictures
from pipeline.report.refusals import clipped
from schemas.ids import SOURCE_OF
from schemas.observations import OBSERVATIONS

CLUSTERS = 3  # largest and rarest of each kind
PICTURES = 6
TEXT = 160  # characters of a caption


@dataclass(frozen=True, slots=True)
class Sheet:
    """A cluster: `space` vl or action, `place` largest or rarest, its name, number of events and of their sources;
    pictures with the event they are of, and the caption of the event nearest to the centre."""

    space: str
    place: str
    label: int
    name: str
    size: int
    sources: int
    caption: str
    pictures: list[tuple[str, str]]


def sheets(corpus: Corpus, names: Mapping[tuple[str, int], str]) -> list[Sheet]:
    """Largest first, then rarest, per clustering; fewer where there are fewer clusters, none before cluster. names: of
    clusters, by space and label."""
    if not corpus.has("cluster"):
        return []
    level = corpus.manifest["config"]["shard"]["level"]
    columns = ["event_id", "episode_id", "level"] + [
        f"{s}_{c}" for s in ("vl", "action") for c in ("cluster", "distance")
    ]
    labels = corpus.table("clusters", columns=columns).filter(level=level)
    chosen = [
        (space, place, label, members, _spread(members, space))
        for space in ("vl", "action")
        for place, label, members in _extremes(labels, space)
    ]
    episodes = sorted({e for *_, some in chosen for e in some["episode_id"]})
    if not episodes:
        return []
    spans = corpus.table("events", episodes, ["event_id", "start_s", "end_s"])
    texts = dict(corpus.table("captions", episodes, ["event_id", "text"]).iter_rows())
    middle = dict(spans.select("event_id", (pl.col("start_s") + pl.col("end_s")) / 2).iter_rows())
    seen: dict[str, pictures.Filmed] = {}
    for row in corpus.narrow(OBSERVATIONS, pictures.Filmed, episodes):
        seen.setdefault(row["episode_id"], row)  # the first camera
    return [
        Sheet(
            space,
            place,
            label,
            names.get((space, label), ""),
            members.height,
            members["episode_id"].str.extract(SOURCE_OF, 1).n_unique(),
            clipped(texts.get(some["event_id"][0], ""), TEXT),
            _pictures(corpus, some.select("event_id", "episode_id").rows(), middle, seen),
        )
        for space, place, label, members, some in chosen
    ]


def _extremes(labels: pl.DataFrame, space: str) -> list[tuple[str, int, pl.DataFrame]]:
    """(largest or rarest, label, members by distance); no cluster twice."""
    column = f"{space}_cluster"
    order = labels.group_by(column).len().sort("len", column, descending=[True, False])[column].to_list()
    number = min(CLUSTERS, (len(order) + 1) // 2)
    rarest = order[max(number, len(order) - CLUSTERS) :]
    return [
        (place, label, labels.filter(pl.col(column) == label).sort(f"{space}_distance", "event_id"))
        for place, some in (("largest", order[:number]), ("rarest", rarest))
        for label in some
    ]


def _spread(members: pl.DataFrame, space: str) -> pl.DataFrame:
    """A few members from the centre outwards."""
    return members.sort(f"{space}_distance", "event_id").gather_every(max(1, members.height // PICTURES)).head(PICTURES)


def _pictures(
    corpus: Corpus, some: Sequence[tuple[str, str]], middle: Mapping[str, float], seen: Mapping[str, pictures.Filmed]
) -> list[tuple[str, str]]:
    """(event, the thumbnail nearest to its middle) of those (event, episode) that have a camera."""
    return [
        (event, pictures.nearest(corpus, seen[episode], [middle[event]])[0])
        for event, episode in some
        if episode in seen and event in middle
    ]
