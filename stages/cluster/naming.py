"""What a cluster is called, and how far today's events have drifted from those that it was fitted on.

In: labels, distances and captions of events. Out: a few words that set a cluster's captions apart from the others', its
most central events; figures of drift. Words are ranked by what they add to the Kullback-Leibler divergence of a
cluster's words from those of all: share log(share / share in all captions).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from stages.cluster.model import Clustering

EMPTY_WORDS = [
    "a",
    "an",
    "and",
    "at",
    "by",
    "for",
    "from",
    "in",
    "into",
    "is",
    "it",
    "its",
    "of",
    "off",
    "on",
    "onto",
    "that",
    "the",
    "there",
    "to",
    "with",
]
WORDS = 3  # of a name
READ = 300  # captions of a cluster that are read, those of the most central events
CENTRAL = 5  # events that stand for it


def central(labels: pl.DataFrame) -> pl.DataFrame:
    """The READ most central events of each cluster, nearest first; labels: event_id, cluster, distance."""
    ranked = labels.sort("cluster", "distance", "event_id")
    return ranked.filter(pl.int_range(pl.len()).over("cluster") < READ)


def named(labels: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """cluster, name, central (event ids) of each cluster that has an event. labels: of `central`; texts: event_id,
    text."""
    events = labels.group_by("cluster", maintain_order=True).agg(central=pl.col("event_id").head(CENTRAL))
    said = labels.join(texts, on="event_id", how="left", maintain_order="left").group_by("cluster", maintain_order=True)
    joined = said.agg(pl.col("text").drop_nulls())
    documents = ["\n".join(own) for own in joined["text"].to_list()]
    return events.with_columns(name=pl.Series(_names(documents), dtype=pl.String))


def _names(documents: list[str]) -> list[str]:
    """The words that set each document apart; empty for one without any."""
    from sklearn.feature_extraction.text import CountVectorizer  # here: a build that has nothing to do does without

    counter = CountVectorizer(lowercase=True, token_pattern=r"(?u)\b\w+\b", stop_words=EMPTY_WORDS, dtype=np.float64)
    try:
        counts = counter.fit_transform(documents).toarray()
    except ValueError:  # no document has a word
        return [""] * len(documents)
    words = np.array(counter.get_feature_names_out())
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    apart = np.maximum(share, 1e-12) / (counts.sum(axis=0) / counts.sum())
    weight = share * np.log(apart)
    return [", ".join(words[np.argsort(-row, kind="stable")][: min(WORDS, (row > 0).sum())].tolist()) for row in weight]


def drift(labels: pl.DataFrame, clustering: Clustering) -> dict[str, float]:
    """How today's events differ from those of the fit; labels: cluster, distance.

    stability: population stability index, sum (p - q) log(p / q) over the clusters' shares now and then (half an event
    each for empty ones; under 0.1 is taken for none, over 0.25 for much). distance: mean squared distance to the
    centroids now over then.
    """
    now = np.bincount(labels["cluster"].to_numpy(), minlength=len(clustering.sizes)).astype(np.float64)
    then = clustering.sizes.astype(np.float64)
    p, q = ((n + 0.5) / (n + 0.5).sum() for n in (now, then))
    before = float((clustering.distances * then).sum() / max(then.sum(), 1.0))
    mean = float(labels["distance"].mean() or 0.0)  # type: ignore[arg-type]
    return {
        "stability": round(float(((p - q) * np.log(p / q)).sum()), 6),
        "distance": round(mean / before, 6) if before > 0 else 1.0,
    }
