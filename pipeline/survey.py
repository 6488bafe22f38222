"""The survey: which sources, datasets and episodes a build is about, found without opening a data or video file.

In: source arguments and the ingest config. Out: a `Survey`. A source whose metadata cannot be read, or in which
nothing moves, is lost alone: it is noted in `lost`, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.fingerprint import fingerprint
from schemas.reasons import Quarantined, Reason
from stages.ingest import IngestConfig
from stages.ingest.layout import layout_of
from stages.ingest.lerobot import Dataset, EpisodeRef, load
from stages.ingest.profile import Layout
from stages.ingest.sources import SourceError, find_datasets


@dataclass(frozen=True, slots=True)
class Lost:
    """A source that cannot be used, with the episodes that are known of it."""

    source: str
    uri: str
    error: Quarantined
    episodes: tuple[str, ...]

    def items(self) -> list[tuple[str, str]]:
        """(item, fingerprint) in quarantine: its episodes, or the source itself where none is known."""
        return [(i, fingerprint("lost", i, self.error.message)) for i in self.episodes or (self.source,)]


@dataclass(slots=True)
class Survey:
    """Datasets and layouts by source name, episodes in order, sources that are lost."""

    datasets: dict[str, Dataset] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)
    episodes: dict[str, EpisodeRef] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)


def survey(sources: Iterable[str], config: IngestConfig) -> Survey:
    """Raises SourceError for an argument that names no dataset, or two sources of one name."""
    result = Survey()
    for name, uri in find_datasets(sources).items():
        try:
            dataset, references = load(name, uri)
        except SourceError as error:
            result.lost.append(Lost(name, uri, Quarantined(Reason.UNREADABLE_FILE, str(error)), ()))
            continue
        try:
            layout = layout_of(dataset, references, config)
        except SourceError as error:
            known = tuple(r.episode_id for r in references)
            result.lost.append(Lost(name, uri, Quarantined(Reason.NO_MOTION_SIGNAL, str(error)), known))
            continue
        result.datasets[name], result.layouts[name] = dataset, layout
        result.episodes.update((r.episode_id, r) for r in references)
    return result
