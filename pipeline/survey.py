"""The survey: which sources, datasets and episodes a build is about, found without opening a data or video file.

In: source arguments and the ingest config. Out: a `Survey`. A source that is absent, whose metadata cannot be read, or
in which nothing moves, is lost alone: it is noted in `lost`, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.fingerprint import fingerprint
from pipeline.work import as_quarantined
from schemas.reasons import Quarantined, Reason
from stages import storage
from stages.ingest import IngestConfig
from stages.ingest.layout import layout_of
from stages.ingest.lerobot import Dataset, EpisodeRef, load
from stages.ingest.profile import Layout
from stages.ingest.sources import SourceError, add_datasets, datasets_of, name_of_source
from stages.text import plain


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
    entries: list[Lost] = field(default_factory=list)  # of a source's list of episodes, whose others go on

    @property
    def refused(self) -> list[Lost]:
        """All that has a quarantine row although no stage has seen it."""
        return [*self.lost, *self.entries]


def survey(sources: Iterable[str], config: IngestConfig) -> Survey:
    """Raises SourceError for two sources of one name; storage.Unusable."""
    result = Survey()
    for name, uri in _datasets(sources, result).items():
        references: list[EpisodeRef] = []
        try:
            dataset, references = load(name, uri, config.links == "follow")
            layout = layout_of(dataset, references, config)
        except storage.Unusable:
            raise
        except Exception as error:  # whatever is wrong with a source must not cost the others
            known = tuple(r.episode_id for r in references)
            result.lost.append(Lost(name, uri, _refused(error, bool(known)), known))
            continue
        result.datasets[name], result.layouts[name] = dataset, layout
        result.episodes.update((r.episode_id, r) for r in references)
        for place, why in dataset.lost_entries.items():
            refused = Quarantined(Reason.ENTRY_UNREADABLE, why)
            result.entries.append(Lost(name, uri, refused, (f"{name}/{place}",)))
    return result


def _datasets(sources: Iterable[str], result: Survey) -> dict[str, str]:
    """{name: URI}; a source in which there is no dataset is noted as lost, under a name that no other has."""
    found: dict[str, str] = {}
    absent: dict[str, str] = {}
    for source in sources:
        try:
            own = datasets_of(source)
        except (SourceError, storage.UnknownStore) as error:
            absent.setdefault(source, plain(error))
            continue
        add_datasets(found, own)
    names = {name.casefold() for name in found}
    for source, why in absent.items():
        name, uri = name_of_source(source)
        while name.casefold() in names:
            name += "_lost"
        names.add(name.casefold())
        result.lost.append(Lost(name, uri, Quarantined(Reason.SOURCE_ABSENT, why), ()))
    return found


def _refused(error: Exception, listed: bool) -> Quarantined:
    if isinstance(error, SourceError):
        return Quarantined(Reason.NO_MOTION_SIGNAL if listed else Reason.UNREADABLE_FILE, plain(error))
    return as_quarantined(error)
