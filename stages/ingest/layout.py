"""The layout of a dataset: its profile resolved, or inferred from names, units and what its first episodes show.

In: a dataset and its episodes. Out: a `Guess`: a `Layout`, and what was told of it rather than known. Raises
SourceError where neither state nor action can be told, or nothing moves: only then is a source lost, and only that one.
"""

from __future__ import annotations

from schemas.reasons import Flag
from stages.ingest.config import IngestConfig
from stages.ingest.inference.arms import Finding
from stages.ingest.inference.guess import Guess, infer, with_grippers
from stages.ingest.inference.mixed import padded
from stages.ingest.probe import Probe
from stages.ingest.profile import choose, given_for, is_for, resolve, unresolved
from stages.ingest.roles import state_and_action
from stages.sources.protocol import Dataset, Episodes, SourceError


def layout_of(dataset: Dataset, episodes: Episodes, config: IngestConfig) -> Guess:
    """Layout for this dataset. Raises SourceError."""
    profile, probe = choose(dataset, config.profile), Probe(dataset, episodes)
    names = [f.column for f in dataset.features]
    if profile is not None:
        layout = resolve(profile, dataset, probe)
        if not layout.moves:
            raise SourceError(f"{dataset.uri}: profile {profile.name!r} finds no pose, joints or velocity in {names}")
        given = given_for(dataset.name, config.profile)
        wrong = unresolved(profile, layout, dataset) if given and given.endswith((".yaml", ".yml")) else None
        if wrong:
            raise SourceError(f"ingest.profile={given}: {wrong}")
        if not (layout.state and layout.action):
            state, action = state_and_action(dataset.features, dataset.uri)
            layout = layout.model_copy(update={"state": layout.state or state, "action": layout.action or action})
        guess = with_grippers(layout, dataset, probe, config.certainty)
        if given and profile.match.robot_types and not is_for(profile, dataset):
            made = f"made for {', '.join(profile.match.robot_types)}, and this robot is {dataset.robot}"
            guess = Guess(guess.layout, (Finding(f"profile {profile.name} is given", 0.5, (made,)), *guess.findings))
        return _told(guess, probe)
    state, action = state_and_action(dataset.features, dataset.uri)
    inferred = infer(dataset, probe, state, action, config.certainty)
    if inferred is None:
        raise SourceError(
            f"{dataset.uri}: no motion signal in any of {names}; give a robot profile with ingest.profile=FILE"
        )
    return _told(inferred, probe)


def _told(guess: Guess, probe: Probe) -> Guess:
    """With what the values say of the dataset as a whole. (A profile that fits was read from no value: so it stays.)"""
    mixed = padded(guess.layout.state, probe) if guess.layout.inferred else None
    if mixed is None:
        return guess
    flagged = guess.layout.model_copy(update={"flags": (Flag.ROBOTS_MIXED,)})
    return Guess(flagged, (*guess.findings, Finding("two robots may lie in one dataset", 0.9, (mixed,))))
