"""The rooms: for each stage, how a unit's inputs are read and handed to the stage's pure core.

In: a `Unit` and the `Context`. Out: an `Outcome`. Runs inside a Ray worker; heavy libraries are imported by the stage
that needs them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pyarrow as pa

from pipeline.ledger import Ledger
from pipeline.media import MediaWriter
from pipeline.parts import by_episode
from pipeline.work import Context, Outcome, Room, Unit, as_quarantined, each
from schemas.reasons import Quarantined, Reason
from stages import storage
from stages.episode import Signal, signals_of


def ingest(unit: Unit, context: Context) -> Outcome:
    from stages.ingest.extract import extract, wanted_columns
    from stages.ingest.rows import read_file

    outcome = Outcome()
    dataset, layout, references = (unit.payload[k] for k in ("dataset", "layout", "references"))
    by_name = {r.episode_id: r for r in references}
    columns = wanted_columns(dataset, layout)
    last: tuple[str, pa.Table] | None = None  # v3 keeps many episodes in one file: read it once

    def work(name: str) -> None:
        nonlocal last
        reference = by_name[name]
        uri = reference.file.uri if reference.file else reference.expected
        if last is None or last[0] != uri:
            last = (uri, read_file(reference, columns))
        episode, signals = extract(dataset, reference, layout, last[1], context.config.ingest)
        outcome.add("episodes", [episode])
        outcome.add("signals", signals)
        outcome.count(name, episodes=1, rows=episode["n_rows"], hours=(episode["t1"] - episode["t0"]) / 3600)

    each(unit, outcome, work)
    return outcome


def observe(unit: Unit, context: Context) -> Outcome:
    from stages.observe.stage import observe_file

    outcome, rows = Outcome(), []
    with MediaWriter(Ledger(context.root)) as media:
        for uri, spans in unit.payload["files"].items():
            names = {span.episode_id: f"{span.episode_id}@{span.camera}" for span in spans}
            try:
                with storage.local_copy(uri) as local:
                    observed = observe_file(local, uri, spans, context.config.observe, media.write)
            except storage.Unusable:
                raise
            except Exception as error:  # no frame of this file can be had; the unit's other files go on
                outcome.refused |= dict.fromkeys(names.values(), as_quarantined(error))
                continue
            rows += observed.rows
            outcome.refused |= {names[episode]: error for episode, error in observed.refused.items()}
            first = next(iter(names.values()))  # a file's frames are counted with the first of its episodes
            outcome.count(first, source_frames=observed.source_frames, decoded_frames=observed.decoded_frames)
    written = {f"{row['episode_id']}@{row['camera']}": row for row in rows}

    def keep(name: str) -> None:
        """Names a clip's files and its row once they are in place."""
        if name in written:
            row = written[name]
            proxy, strip = media.file(row["proxy"]), media.file(row["thumbnails"])
            outcome.written |= {proxy.path: proxy, strip.path: strip}
            outcome.add("observations", [{**row, "proxy_bytes": proxy.bytes}])

    each(unit, outcome, keep)
    return outcome


def lag(unit: Unit, context: Context) -> Outcome:
    from stages.align.stage import lag_rows

    outcome, inputs = Outcome(), _Inputs(unit, context)

    def work(name: str) -> None:
        rows = lag_rows(
            inputs.episode(name), inputs.signals(name), inputs.rows("observations", name), context.config.align
        )
        outcome.add("lags", rows)

    each(unit, outcome, work)
    return outcome


def align(unit: Unit, context: Context) -> Outcome:
    from stages.align.stage import alignment_row

    outcome, inputs = Outcome(), _Inputs(unit, context)
    decisions = unit.payload["decisions"]

    def work(name: str) -> None:
        episode = inputs.episode(name)
        row = alignment_row(
            episode,
            inputs.signals(name),
            inputs.rows("observations", name),
            inputs.rows("lags", name),
            decisions[episode["source"]],
            context.config.align,
        )
        outcome.add("alignments", [row])
        outcome.count(name, frames=row["n_frames"])

    each(unit, outcome, work)
    return outcome


def segment(unit: Unit, context: Context) -> Outcome:
    from stages.segment.labels import labels_from
    from stages.segment.stage import segmented

    outcome, inputs = Outcome(), _Inputs(unit, context)

    def work(name: str) -> None:
        labels = [*unit.payload["labels"].get(name, ()), *labels_from(inputs.episode(name)["labels"])]
        rows, refused = segmented(name, inputs.signals(name), inputs.alignment(name), labels, context.config.segment)
        outcome.add("events", rows)
        for number, (label, why) in enumerate(refused):
            told = (
                f"{label.said_by}: {label.level} {label.start:g} to {label.end:g} {label.unit} ({label.text!r}): {why}"
            )
            where = f"{name}/{label.level}/label-{number}"
            outcome.events_refused.append((name, Quarantined(Reason.LABEL_REFUSED, told, event_id=where)))
        for row in (r for r in rows if r["track"] == "all"):
            outcome.count(name, **{row["level"]: 1})

    each(unit, outcome, work)
    return outcome


def caption(unit: Unit, context: Context) -> Outcome:
    from stages.caption.stage import caption_rows

    outcome, inputs = Outcome(), _Inputs(unit, context)

    def work(name: str) -> None:
        rows = caption_rows(
            inputs.episode(name),
            inputs.signals(name),
            inputs.alignment(name),
            inputs.events(name),
            context.config.caption,
        )
        outcome.add("captions", rows)
        outcome.count(name, captions=len(rows))

    each(unit, outcome, work)
    return outcome


def embed(unit: Unit, context: Context) -> Outcome:
    from contextlib import ExitStack

    from stages.embed.stage import Proxy, embedding_rows

    outcome, inputs = Outcome(), _Inputs(unit, context)

    def work(name: str) -> None:
        alignment = inputs.alignment(name)
        index = {c["name"]: c["frame_index"] for c in alignment["cameras"]}
        with ExitStack() as stack:
            proxies = [
                Proxy(
                    stack.enter_context(inputs.proxy(row["proxy"])),
                    row["gop"],
                    index[row["camera"]],
                )
                for row in inputs.rows("observations", name)
            ]
            texts = {c["event_id"]: c["text"] for c in inputs.rows("captions", name)}
            rows, pictures = embedding_rows(
                inputs.signals(name), alignment, inputs.events(name), texts, proxies, context.config.embed
            )
        outcome.add("embeddings", rows)
        outcome.count(name, events=len(rows), pictures=pictures)

    each(unit, outcome, work)
    return outcome


class _Inputs:
    """The input tables of a unit, read once and looked up by episode."""

    def __init__(self, unit: Unit, context: Context) -> None:
        self.ledger = Ledger(context.root)
        parts = unit.payload["parts"]
        self.media = unit.payload.get("media", {})
        self.tables = {table: by_episode(context.root, table, parts[table]) for table in parts}

    def rows(self, table: str, episode: str) -> list[dict[str, Any]]:
        return self.tables[table].get(episode, [])

    def episode(self, episode: str) -> dict[str, Any]:
        return self.rows("episodes", episode)[0]

    def alignment(self, episode: str) -> dict[str, Any]:
        return self.rows("alignments", episode)[0]

    def events(self, episode: str) -> list[dict[str, Any]]:
        """Events of both arms together: what is captioned and trained on."""
        return [e for e in self.rows("events", episode) if e["track"] == "all"]

    def signals(self, episode: str) -> dict[str, Signal]:
        return signals_of(self.rows("signals", episode))

    def proxy(self, path: str) -> AbstractContextManager[str]:
        return self.ledger.intact(f"media/{path}", self.media[f"media/{path}"])


def rooms() -> dict[str, Room]:
    """Room of each stage that runs by units."""
    from pipeline.corpus_rooms import cluster, shard

    return {
        "ingest": ingest,
        "observe": observe,
        "lag": lag,
        "align": align,
        "segment": segment,
        "caption": caption,
        "embed": embed,
        "cluster": cluster,
        "shard": shard,
    }
