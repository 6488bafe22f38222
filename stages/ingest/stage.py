"""ingest: the logs of a unit's episodes in, their `episodes` and `signals` rows out."""

from __future__ import annotations

from schemas.episodes import EPISODES
from schemas.reasons import Quarantined
from schemas.signals import SIGNALS
from stages.forgotten import refuse, refuse_unread, refuse_unreadable
from stages.ingest import IngestWork
from stages.ingest.config import IngestConfig
from stages.ingest.describe import extra_columns
from stages.ingest.extract import extract, needed_columns
from stages.sources.protocol import Reader
from stages.work import Outcome, Unit


def ingest(unit: Unit[IngestWork], config: IngestConfig) -> Outcome:
    """Episodes one after another; what neighbours share is read once, by the reader of their source."""
    outcome, given = Outcome(), unit.payload
    episodes = {e.episode_id: e for e in given.episodes}
    readers: dict[str, Reader] = {}

    def work(name: str) -> None:
        of = episodes[name]
        dataset, layout = given.datasets[of.source], given.layouts[of.source]
        if of.source not in readers:
            readers[of.source] = dataset.reader(needed_columns(dataset, layout), extra_columns(dataset, layout))
        refuse_unread(name, given.forgotten)
        try:
            episode, signals = extract(dataset, of, layout, readers[of.source].read(of), config)
        except Quarantined:
            refuse_unreadable(name, given.forgotten)
            raise
        refuse(name, signals, given.forgotten)
        outcome.add(EPISODES, [episode])
        outcome.add(SIGNALS, signals)
        outcome.count(name, episodes=1, rows=episode["n_rows"], hours=(episode["t1"] - episode["t0"]) / 3600)

    return outcome.each(unit.names, work)
