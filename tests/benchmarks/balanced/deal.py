"""How even tars are: total variation between the clusters of a tar of 500 samples and those of all samples, beside a
random deal and the least that whole samples allow."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from stages.shard.deal import deal, least_variation, variation

TARS, EACH = 256, 500


@dataclass(frozen=True)
class Dealt:
    """Means over tars and both clusterings; seconds of the deal."""

    clusters: int
    ours: float
    random: float
    least: float
    seconds: float


def dealt(clusters: int) -> Dealt:
    """Shares of clusters go with the square root of 1 / rank, as alpha 0.5 makes of Zipf; an eighth are copies."""
    random = np.random.default_rng(clusters)
    share = np.arange(1, clusters + 1) ** -0.5
    events = TARS * EACH * 7 // 8
    vl, action = (random.choice(clusters, events, p=share / share.sum()) for _ in range(2))
    copied = np.concatenate([np.arange(events), random.choice(events, TARS * EACH - events, replace=False)])
    vl, action = vl[copied], action[copied]
    started = time.perf_counter()
    tar = deal(vl, action, copied, TARS)
    seconds = time.perf_counter() - started
    by_chance = random.permutation(len(copied)) % TARS
    figures = [
        (variation(side, tar).mean(), variation(side, by_chance).mean(), least_variation(side, TARS))
        for side in (vl, action)
    ]
    return Dealt(clusters, *(float(np.mean(column)) for column in zip(*figures, strict=True)), seconds)
