"""The layout of a dataset: its profile resolved, or inferred from names, units and what its first episodes show.

In: a dataset and its episodes. Out: a `Guess`: a `Layout`, and what was told of it rather than known. Raises
SourceError where neither state nor action can be told, or nothing moves: only then is a source lost, and only that one.
"""

from __future__ import annotations

from stages.ingest.config import IngestConfig
from stages.ingest.inference.guess import Guess, infer, with_grippers
from stages.ingest.look import Look
from stages.ingest.profile import choose, resolve
from stages.ingest.roles import state_and_action
from stages.sources.protocol import Dataset, Episodes, SourceError


def layout_of(dataset: Dataset, episodes: Episodes, config: IngestConfig) -> Guess:
    """Layout for this dataset. Raises SourceError."""
    profile, look = choose(dataset, config.profile), Look(dataset, episodes)
    names = [f.column for f in dataset.features]
    if profile is not None:
        layout = resolve(profile, dataset, look)
        if not layout.moves:
            raise SourceError(f"{dataset.uri}: profile {profile.name!r} finds no pose, joints or velocity in {names}")
        if not (layout.state and layout.action):
            state, action = state_and_action(dataset.features, dataset.uri)
            layout = layout.model_copy(update={"state": layout.state or state, "action": layout.action or action})
        return with_grippers(layout, dataset, look, config.certainty)
    state, action = state_and_action(dataset.features, dataset.uri)
    guess = infer(dataset, look, state, action, config.certainty)
    if guess is None:
        raise SourceError(
            f"{dataset.uri}: no motion signal in any of {names}; give a robot profile with ingest.profile=FILE"
        )
    return guess
