"""How near each event is to a query by its vectors, read a part of `embeddings` at a time.

In: a corpus, a level, the vector of a text. Out: a frame of keys (`gather.keyed`) and cosines. A text can be held
against captions with every encoder; against pictures only where both are embedded in one space (`embed.encoder`).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from pipeline.config import ConfigError
from pipeline.corpus.tables import frame
from pipeline.corpus.view import Corpus
from pipeline.find.gather import KEY, keyed
from pipeline.find.labels import likeness
from schemas.clusters import EMBEDDINGS
from schemas.ids import EPISODE_OF
from stages import storage
from stages.embed.encoders import Encoder, load_text

Vector = npt.NDArray[np.float32]
DIGITS = 4  # of a cosine: half floats know no more, and the last bits of a product depend on how many rows share it
AT_ONCE = 65_536  # rows whose vectors are floats at a time
COLUMNS = ["event_id", "vl", "encoder"]
SCHEMA = {KEY: pl.UInt64, "caption": pl.Float32, "picture": pl.Float32}


class OtherEncoder(ConfigError):
    """The vectors of the corpus are of another encoder than the one at hand; the message names both."""


@dataclass(frozen=True, slots=True)
class Query:
    """vector float32[D] of a text, by the text encoder `name`; joint: pictures are in the same space; labels: how near
    the text is to each label of events."""

    vector: Vector
    name: str
    joint: bool
    labels: Mapping[str, float]

    @property
    def made_by(self) -> str:
        """How a name in `embeddings.encoder` ends whose captions can be held against it."""
        return f"{self.name} {len(self.vector)}"


def embedded(text: str, config: Mapping[str, Any], encoder: str | None = None) -> Query:
    """A text as the configuration of a corpus (`embed`) embeds captions; encoder: where that model lies here. Raises
    storage.Unusable."""
    given = encoder or config["encoder"]
    model = _model(given, config["text_encoder"])
    (vector,) = model.encode([text])
    return Query(vector, model.name, given is not None, likeness(model, vector))


@lru_cache(maxsize=1)
def _model(encoder: str | None, text_encoder: str) -> Encoder:
    return load_text(encoder, text_encoder)


def cosines(corpus: Corpus, level: str, query: Query) -> pl.DataFrame:
    """SCHEMA: of the embedded events of a level; picture is null where the encoders are two, or an episode has no
    video. Raises OtherEncoder."""
    pieces = [pl.DataFrame(schema=SCHEMA)]
    for path, items in sorted(corpus.parts(EMBEDDINGS.name).items()):
        part = _part(corpus.root, path, items)
        _same_encoder(part["encoder"].unique(), query)
        part = part.filter(pl.col("event_id").str.contains(f"/{level}/", literal=True))
        pieces += [_of(piece, query) for piece in part.iter_slices(AT_ONCE) if piece.height]
    return pl.concat(pieces)


def _part(root: str, path: str, items: Sequence[str]) -> pl.DataFrame:
    """Rows of a part that count. Polars decodes lists of half floats ten times as fast as pyarrow (0.04 s for 4,000
    events of 1,792, pyarrow 0.4 s), but knows no checksums of pages: nothing that is kept hangs on a search, and
    `corpus verify` hashes all. What it cannot read is read as everywhere else, or refused as there."""
    uri = storage.join(root, path)
    try:
        source = uri if storage.is_local(uri) else io.BytesIO(storage.read_bytes(uri))
        part = pl.read_parquet(source, columns=COLUMNS)
    except (pl.exceptions.PolarsError, OSError):
        return frame(root, EMBEDDINGS, {path: items}, COLUMNS)
    return part.filter(pl.col("event_id").str.extract(EPISODE_OF, 1).is_in(list(items)))


def _same_encoder(names: pl.Series, query: Query) -> None:
    for name in names.to_list():
        seen, _, said = name.rpartition(" + ")
        one = not query.joint or seen == query.made_by  # both towers are one model's
        if said != query.made_by or not one:
            raise OtherEncoder(
                f"the corpus was embedded with {name}, the encoder at hand is {query.made_by}: give the same "
                "(--encoder FOLDER), or search by words alone (--by words)"
            )


def _of(rows: pl.DataFrame, query: Query) -> pl.DataFrame:
    width, flat = len(query.vector), rows["vl"].explode().to_numpy().reshape(rows.height, -1)
    said = pl.Series(_products(flat[:, -width:], query.vector), dtype=pl.Float32)
    picture = pl.Series([None] * rows.height, dtype=pl.Float32)
    if query.joint:
        near, shown = _products(flat[:, :width], query.vector), flat[:, :width].any(axis=1)
        picture = pl.Series(np.where(shown, near, np.nan), dtype=pl.Float32).fill_nan(None)
    return rows.select(keyed(), caption=said, picture=picture)


def _products(rows: npt.NDArray[np.float16], vector: Vector) -> Vector:
    return np.round(rows.astype(np.float32) @ vector, DIGITS)
