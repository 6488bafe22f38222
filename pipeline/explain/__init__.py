"""Why an episode is cut where it is: `corpus explain` draws a picture (PNG) and a page (HTML)."""

from __future__ import annotations

from pipeline.corpus.view import Corpus
from stages import storage


class UnknownEpisode(ValueError):
    """No such episode has events; the message says what there is."""


def explain(corpus: Corpus, episode: str, folder: str) -> list[str]:
    """Write both files into a folder and return their URIs. Raises UnknownEpisode."""
    from pipeline.explain.gather import explanation
    from pipeline.explain.page import page
    from pipeline.explain.picture import picture

    found = explanation(corpus, episode)
    stem = storage.join(storage.normalise(folder), f"explain-{episode.replace('/', '-')}")
    written = {f"{stem}.png": picture(found), f"{stem}.html": page(found).encode()}
    for uri, data in written.items():
        storage.write_bytes(uri, data)
    return list(written)
