"""The survey: which sources, datasets and episodes a build is about, found without opening a data or video file.

In: source arguments and the ingest config. Out: a `Survey`, in columns: an episode becomes an object when a unit that
runs asks for it. A source that is absent, whose metadata cannot be read, or in which nothing moves, is lost alone: it
is noted in `lost`, and the others go on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from schemas.ids import CAMERA, EPISODE, camera_id, episode_id, episode_of, source_of
from schemas.reasons import Quarantined, Reason
from stages import storage
from stages.fingerprint import fingerprint
from stages.forgotten import Tombstone
from stages.ingest.config import IngestConfig, uses
from stages.ingest.inference.arms import Finding
from stages.ingest.layout import layout_of
from stages.ingest.streams import Layout
from stages.sources.find import FORMATS, Place, add_datasets, datasets_of, name_of_source
from stages.sources.places import placed
from stages.sources.protocol import CAMERAS, Camera, Dataset, Episode, Episodes, Format, SourceError
from stages.sources.rights import Rights, rights_of
from stages.text import plain
from stages.work import as_quarantined

EPISODES = {"episode_id": pl.String, "source": pl.String, "identity": pl.String, "named": pl.Boolean}
PLACED = {"first": pl.Int64, "whole": pl.Int64, "claimed": pl.String}
OF_CAMERAS = {"episode_id": pl.String, "item": pl.String, **{k: t for k, t in CAMERAS.items() if k != "key"}}


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
    """Datasets, layouts and episodes by source name; sources that are lost.

    episodes: episode_id, source, identity, named, in order. cameras (none where `ingest.video` is ignore): episode_id,
    item (episode@camera), camera, uri (null: no file), size, mtime_ns, from_s, to_s, fps, frames, column;
    first, whole, claimed as `stages.sources.places.placed` has them.
    """

    datasets: dict[str, Dataset] = field(default_factory=dict)
    layouts: dict[str, Layout] = field(default_factory=dict)
    rights: dict[str, Rights] = field(default_factory=dict)  # licence, attribution
    notes: dict[str, list[str]] = field(default_factory=dict)  # on how a source was found
    findings: dict[str, tuple[Finding, ...]] = field(default_factory=dict)  # what was told of a layout, not known
    listed: dict[str, Episodes] = field(default_factory=dict)
    episodes: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=EPISODES))
    cameras: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema={**OF_CAMERAS, **PLACED}))
    lost: list[Lost] = field(default_factory=list)
    entries: list[Lost] = field(default_factory=list)  # of a source's list of episodes, whose others go on
    forgotten: tuple[Tombstone, ...] = ()
    passed: list[str] = field(default_factory=list)  # episodes that are forgotten, and not in `episodes`
    _numbers: dict[str, int] = field(default_factory=dict)  # of each episode in its source

    @property
    def refused(self) -> list[Lost]:
        """All that has a quarantine row although no stage has seen it."""
        return [*self.lost, *self.entries]

    def episode(self, name: str) -> Episode:
        """An episode as its source declares it. Raises KeyError."""
        if not self._numbers:
            for source, own in self.listed.items():
                self._numbers |= {episode_id(source, key): number for number, key in enumerate(own.table["key"])}
        return self.listed[source_of(name)].make(self._numbers[name])

    def pass_over(self, tombstones: Sequence[Tombstone]) -> None:
        """Take out what is known to be forgotten, by name and identity; `passed` names it."""
        known = pl.DataFrame(
            [(t.episode_id, t.identity) for t in tombstones if t.identity],
            schema={"episode_id": pl.String, "identity": pl.String},
            orient="row",
        )
        gone = self.episodes.join(known, on=["episode_id", "identity"], how="semi")["episode_id"].to_list()
        kept = ~pl.col("episode_id").is_in(gone)
        self.forgotten, self.passed = tuple(tombstones), gone
        self.episodes, self.cameras = self.episodes.filter(kept), self.cameras.filter(kept)

    def camera(self, item: str) -> Camera:
        """A camera of an episode, by episode@camera. Raises KeyError."""
        cameras = self.episode(episode_of(item)).cameras
        found = next((c for c in cameras if camera_id(episode_of(item), c.name) == item), None)
        if found is None:
            raise KeyError(item)
        return found


def survey(sources: Iterable[str], config: IngestConfig, formats: Sequence[Format] = FORMATS) -> Survey:
    """Raises SourceError for two sources of one name; storage.Unusable."""
    result = Survey()
    tables, cameras = [result.episodes], [pl.DataFrame(schema=OF_CAMERAS)]
    contents: dict[str, str] = {}
    for name, place in _datasets(sources, formats, result).items():
        episodes: Episodes | None = None
        try:
            dataset, episodes = place.format.load(name, place.uri, config.links == "follow")
            guess = layout_of(dataset, episodes, config)
            filmed = [_cameras(name, dataset, episodes, config)] if config.video == "require" else []
        except storage.Unusable:
            raise
        except Exception as error:  # whatever is wrong with a source must not cost the others
            known = tuple(_ids(name, episodes)["episode_id"]) if episodes is not None else ()
            result.lost.append(Lost(name, place.uri, _refused(error, bool(known)), known))
            continue
        result.datasets[name], result.layouts[name] = dataset, guess.layout
        result.findings[name] = guess.findings
        result.rights[name], untold = rights_of(
            name, place.uri, config.licences, config.attributions, config.links == "follow"
        )
        result.notes[name] = [*([place.note] if place.note else []), *untold]
        twin = contents.setdefault(dataset.content, name) if dataset.content else name
        if twin != name:
            result.notes[name].append(f"it holds the same files as {twin}: one recording may be in train and in val")
        tables.append(_ids(name, episodes).select(list(EPISODES)))
        cameras += filmed
        result.listed[name] = replace(episodes, cameras=episodes.cameras.clear())  # `cameras` has them
        for entry, why in dataset.lost_entries.items():
            refused = Quarantined(Reason.ENTRY_UNREADABLE, why)
            result.entries.append(Lost(name, place.uri, refused, (f"{name}/{entry}",)))
    result.episodes, result.cameras = pl.concat(tables), placed(pl.concat(cameras))
    return result


def _ids(name: str, episodes: Episodes) -> pl.DataFrame:
    return episodes.table.with_columns(episode_id=pl.format(EPISODE, pl.lit(name), "key"), source=pl.lit(name))


def _cameras(name: str, dataset: Dataset, episodes: Episodes, config: IngestConfig) -> pl.DataFrame:
    used = [c for c in episodes.cameras["camera"].unique() if uses(config, c)]
    episode = pl.format(EPISODE, pl.lit(name), "key")
    return (
        episodes.cameras.cast(CAMERAS)  # type: ignore[arg-type]
        .filter(pl.col("camera").is_in(used))
        .select(
            episode.alias("episode_id"),
            pl.format(CAMERA, episode, "camera").alias("item"),
            *(c for c in OF_CAMERAS if c not in ("episode_id", "item")),
        )
        .with_columns(pl.col("fps").fill_null(dataset.fps))
    )


def _datasets(sources: Iterable[str], formats: Sequence[Format], result: Survey) -> dict[str, Place]:
    """{name: dataset}; a source in which there is none is noted as lost, under a name that no other has."""
    found: dict[str, Place] = {}
    absent: dict[str, str] = {}
    for source in sources:
        try:
            own = datasets_of(source, formats)
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
