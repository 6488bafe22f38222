"""The layout of a dataset: its profile resolved, or inferred from its first episodes.

In: a dataset and its episodes. Out: a `Layout`. Raises SourceError where the source has no motion signal at all: only
then is a source lost, and only that one.
"""

from __future__ import annotations

import numpy as np

from schemas.reasons import Quarantined
from stages.ingest.config import IngestConfig
from stages.ingest.infer import infer
from stages.ingest.lerobot import Dataset, EpisodeRef
from stages.ingest.profile import Layout, choose, resolve
from stages.ingest.rows import episode_rows, numeric, read_file
from stages.ingest.sources import SourceError

LOOK_AT = 5  # episodes read to infer a profile


def layout_of(dataset: Dataset, references: list[EpisodeRef], config: IngestConfig) -> Layout:
    """Layout for this dataset. Raises SourceError."""
    profile = choose(dataset, config.profile)
    if profile is not None:
        layout = resolve(profile, dataset)
        if any(s.kind in ("position", "joints", "velocity") for s in layout.streams):
            return layout
        raise SourceError(
            f"{dataset.uri}: profile {profile.name!r} finds no pose, joints or velocity in "
            f"{[f.column for f in dataset.features]}"
        )
    columns: dict[str, list[np.ndarray]] = {}
    for reference in references[:LOOK_AT]:
        try:
            file = read_file(reference, [f.column for f in dataset.features])
            table = episode_rows(file, reference)
            for feature in dataset.features:
                if feature.column.startswith(("observation", "action", "state", "qpos")):
                    values = numeric(table, feature.column, dataset, reference.expected)
                    columns.setdefault(feature.column, []).append(values)
        except Quarantined:
            continue  # the episode gets its row when ingest reads it; here it only cannot help to guess
    guessed = infer(dataset, columns)
    if guessed is None:
        raise SourceError(
            f"{dataset.uri}: no motion signal in any of {[f.column for f in dataset.features]}; "
            "give a robot profile with ingest.profile=FILE"
        )
    return guessed
