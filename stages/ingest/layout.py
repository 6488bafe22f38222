"""The layout of a dataset: its profile resolved, or inferred from its first episodes.

In: a dataset and its episodes. Out: a `Layout`. Raises SourceError where the source has no motion signal at all: only
then is a source lost, and only that one.
"""

from __future__ import annotations

from itertools import islice

import numpy as np

from schemas.reasons import Quarantined
from stages.ingest.checks import finite
from stages.ingest.config import IngestConfig
from stages.ingest.infer import infer
from stages.ingest.profile import Layout, choose, resolve
from stages.sources.protocol import Dataset, Episodes, SourceError

LOOK_AT = 5  # episodes read to infer a profile


def layout_of(dataset: Dataset, episodes: Episodes, config: IngestConfig) -> Layout:
    """Layout for this dataset. Raises SourceError."""
    profile = choose(dataset, config.profile)
    names = [f.column for f in dataset.features]
    if profile is not None:
        layout = resolve(profile, dataset)
        if any(s.kind in ("position", "joints", "velocity") for s in layout.streams):
            return layout
        raise SourceError(f"{dataset.uri}: profile {profile.name!r} finds no pose, joints or velocity in {names}")
    columns: dict[str, list[np.ndarray]] = {}
    reader = dataset.reader(names)
    for episode in islice(episodes, LOOK_AT):
        try:
            log = reader.read(episode)
            for name in (n for n in names if n.startswith(("observation", "action", "state", "qpos"))):
                columns.setdefault(name, []).append(finite(log.stream(name).values, name, log.where))
        except Quarantined:
            continue  # the episode gets its row when ingest reads it; here it only cannot help to guess
    guessed = infer(dataset, columns)
    if guessed is None:
        raise SourceError(
            f"{dataset.uri}: no motion signal in any of {names}; give a robot profile with ingest.profile=FILE"
        )
    return guessed
