"""An import from its start to its end: with the store of this machine's server, so that no server decides meanwhile.

In: a corpus, a file. Out: what was taken, in the store and published.
"""

from __future__ import annotations

import getpass
import os
import time
from contextlib import ExitStack

from pipeline.corpus import decisions, tombstones
from pipeline.corpus.view import Corpus
from pipeline.review.catalogue import Catalogue, events_of
from pipeline.review.files import rows, spans
from pipeline.review.files.take import Standing, Taken, take_rows, take_spans
from pipeline.review.store import Store, default_store


def bring(
    corpus: Corpus, file: str, actor: str | None, level: str | None, track: str, store: str | None, dry: bool
) -> Taken:
    """Raises StoreInUse, LabelError, DamagedDecisions, storage.Unusable."""
    path = store or default_store(corpus.root)
    with ExitStack() as stack:
        kept: Store | None = None
        if not dry or os.path.exists(path):
            kept = Store(path)
            stack.callback(kept.close)
        forgotten, now = tombstones.until_ms(corpus.root), int(time.time() * 1000)
        if kept is not None and not dry:
            for episode, until in forgotten.items():
                kept.forget(episode, until)  # of a server that was killed: nothing of it may be published below
        decided = {r["decision_id"]: r for r in [*decisions.read(corpus.root), *(kept.all() if kept else ())]}
        standing = Standing(Catalogue(events_of(corpus)), decided.values(), forgotten, now)
        if file.lower().rpartition(".")[2] in rows.FORMATS:
            taken = take_rows(standing, file)
        else:
            where = level or corpus.level(), track
            taken = take_spans(standing, spans.Placed(corpus), file, where, actor or getpass.getuser(), now)
        if kept is not None and not dry:
            kept.add(taken.new)
            if waiting := kept.unpublished():  # of an import that was killed here too
                decisions.publish(corpus.root, waiting)
                kept.note_published(waiting)
        return taken
