"""The tables of a corpus, one module a table. Imports nothing else of the project."""

from schemas.alignments import ALIGNMENTS, LAG_VOTES, LAGS
from schemas.captions import CAPTIONS
from schemas.clusters import CLUSTERS
from schemas.embeddings import EMBEDDINGS
from schemas.episodes import EPISODES
from schemas.events import EVENTS
from schemas.observations import OBSERVATIONS
from schemas.quarantine import QUARANTINE
from schemas.samples import SAMPLES
from schemas.signals import SIGNALS
from schemas.table import SchemaError, Table

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        EPISODES,
        SIGNALS,
        OBSERVATIONS,
        LAGS,
        LAG_VOTES,
        ALIGNMENTS,
        EVENTS,
        CAPTIONS,
        EMBEDDINGS,
        CLUSTERS,
        SAMPLES,
        QUARANTINE,
    )
}

__all__ = ["TABLES", "SchemaError", "Table"]
