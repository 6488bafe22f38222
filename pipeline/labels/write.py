"""Events as label files: what `read` takes, AgiBot's task_info, LeRobot's subtask columns.

In: a corpus. Out: one file or a folder (LeRobot). CSV, JSON, JSON Lines and Parquet that are written and given back say
what people have changed in them, and nothing else; AgiBot and LeRobot know one level, and LeRobot joins neighbours of
one caption.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Literal, TypedDict, get_args

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.view import Corpus
from pipeline.labels import label_studio
from pipeline.labels.read import LabelError
from pipeline.labels.returned import exported
from pipeline.labels.spans import FrameSpan, JsonSpan, TimedSpan, WrittenSpan
from schemas.alignments import ALIGNMENTS, AlignedCamera
from schemas.ids import number_of, source_of
from stages import storage

FORMATS = ("csv", "json", "jsonl", "parquet", "agibot", "lerobot", "labelstudio")
Column = Literal[
    "id", "episode_id", "level", "track", "start_s", "end_s", "caption", "primitive", "origin", "said_by", "exported",
]  # fmt: skip
COLUMNS: tuple[Column, ...] = get_args(Column)
DECIMALS = 3  # of seconds: event ids are in ms
Rows = list[WrittenSpan]


class Pairing(TypedDict):
    """What source frames need of an `alignments` row: canonical frames, the source frame of each camera at them."""

    episode_id: str
    n_frames: int
    reference_camera: str | None
    cameras: list[AlignedCamera]


def write(corpus: Corpus, target: str, form: str, levels: Sequence[str], track: str, origin: str | None) -> int:
    """Write the spans of these levels and say how many. AgiBot and LeRobot know one level: the first of `levels`."""
    uri = storage.normalise(target)
    if form in ("agibot", "lerobot"):
        levels = levels[:1]
    rows = _rows(corpus, levels, track, origin)
    writer: dict[str, Callable[[Corpus, str, Rows], None]] = {
        "csv": _csv,
        "json": _json,
        "jsonl": _jsonl,
        "parquet": _rows_as_parquet,
        "labelstudio": _label_studio,
        "agibot": _agibot,
        "lerobot": _lerobot,
    }
    writer[form](corpus, uri, rows)
    return len(rows)


def _rows(corpus: Corpus, levels: Sequence[str], track: str, origin: str | None) -> Rows:
    events = corpus.table("events").filter(pl.col("level").is_in(list(levels)), track=track)
    if origin:
        events = events.filter(origin=origin)
    texts = corpus.table("captions", columns=["event_id", "text"]) if corpus.has("caption") else None
    joined = events if texts is None else events.join(texts, on="event_id", how="left")
    words = pl.col("label") if texts is None else pl.coalesce("label", "text")
    seconds = pl.col("start_s", "end_s").round(DECIMALS)  # 3.3, not the 3.2999999523 that float32 timestamps make of it
    named = joined.with_columns(seconds, caption=words.fill_null(""), id="event_id")
    spans: list[TimedSpan] = [
        {
            "event_id": row["event_id"], "episode_id": row["episode_id"], "level": row["level"], "track": row["track"],
            "start_frame": row["start_frame"], "end_frame": row["end_frame"], "primitive": row["primitive"],
            "caption": row["caption"], "id": row["id"], "start_s": row["start_s"], "end_s": row["end_s"],
            "origin": row["origin"], "said_by": row["said_by"],
        }
        for row in named.sort("episode_id", "level", "start_frame").to_dicts()
    ]  # fmt: skip
    return [{**span, "exported": exported(span)} for span in spans]


def _csv(corpus: Corpus, uri: str, rows: Rows) -> None:
    buffer = io.StringIO()
    table: csv.DictWriter[str] = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    storage.write_bytes(uri, buffer.getvalue().encode())


def _json(corpus: Corpus, uri: str, rows: Rows) -> None:
    value: dict[str, dict[str, list[JsonSpan]]] = {}
    for row in rows:
        span: JsonSpan = {
            "start": row["start_s"],
            "end": row["end_s"],
            "caption": row["caption"],
            "primitive": row["primitive"],
            "track": row["track"],
            "id": row["id"],
            "origin": row["origin"],
            "said_by": row["said_by"],
            "exported": row["exported"],
        }
        value.setdefault(row["episode_id"], {}).setdefault(row["level"], []).append(span)
    storage.write_bytes(uri, json.dumps(value, indent=1, ensure_ascii=False).encode())


def _jsonl(corpus: Corpus, uri: str, rows: Rows) -> None:
    lines = (json.dumps({k: row[k] for k in COLUMNS}, ensure_ascii=False) + "\n" for row in rows)
    storage.write_bytes(uri, "".join(lines).encode())


def _rows_as_parquet(corpus: Corpus, uri: str, rows: Rows) -> None:
    kinds: dict[str, type[pl.DataType]] = {k: pl.Float64 if k in ("start_s", "end_s") else pl.String for k in COLUMNS}
    table = pl.DataFrame([{k: row[k] for k in COLUMNS} for row in rows], kinds).to_arrow()
    storage.write_bytes(uri, _parquet(table))


def _label_studio(corpus: Corpus, uri: str, rows: Rows) -> None:
    storage.write_bytes(uri, label_studio_of(corpus, rows))


def label_studio_of(corpus: Corpus, rows: Sequence[FrameSpan], people: Collection[tuple[str, str, str]] = ()) -> bytes:
    """Tasks of spans; people: which (episode, level, track) are annotations, not predictions."""
    names = sorted({row["episode_id"] for row in rows})
    about = corpus.table("alignments", names, ["episode_id", "reference_camera", "fps"])
    clips = corpus.table("observations", names, ["episode_id", "camera", "proxy"])
    seen = clips.join(about, left_on=["episode_id", "camera"], right_on=["episode_id", "reference_camera"])
    videos = {e: corpus.ledger.path(f"media/{proxy}") for e, proxy in seen.select("episode_id", "proxy").iter_rows()}
    rates = dict(about.select("episode_id", "fps").iter_rows())
    value = label_studio.tasks(rows, source_frames(corpus, names), videos, rates, people)
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def _agibot(corpus: Corpus, uri: str, rows: Rows) -> None:
    frames, tasks = (
        source_frames(corpus, {row["episode_id"] for row in rows}),
        dict(corpus.table("episodes", columns=["episode_id", "task"]).iter_rows()),
    )
    value: dict[str, dict[str, Any]] = {}
    for row in rows:
        episode, shown = row["episode_id"], frames[row["episode_id"]]
        entry = {"episode_id": episode, "task_name": tasks[episode], "label_info": {"action_config": []}}
        value.setdefault(episode, entry)["label_info"]["action_config"].append(
            {
                "start_frame": shown[row["start_frame"]],
                "end_frame": shown[row["end_frame"]],
                "action_text": row["caption"],
                "skill": row["primitive"],
            }
        )
    storage.write_bytes(uri, json.dumps(list(value.values()), indent=1, ensure_ascii=False).encode())


def _lerobot(corpus: Corpus, uri: str, rows: Rows) -> None:
    for name, blob in lerobot_of(corpus, rows).items():
        storage.write_bytes(storage.join(uri, name), blob)


def lerobot_of(corpus: Corpus, rows: Sequence[FrameSpan]) -> dict[str, bytes]:
    """Files of spans, sorted by episode. Per source `meta/subtasks.parquet` (subtask_index, subtask) and
    `subtask_index.parquet`: one row a frame up to the last that the corpus shows, to be joined to its data by
    episode_index and frame_index; -1 where no span lies."""
    frames, files = source_frames(corpus, {row["episode_id"] for row in rows}), dict[str, bytes]()
    by_source: dict[str, list[FrameSpan]] = {}
    for row in rows:
        by_source.setdefault(source_of(row["episode_id"]), []).append(row)
    for source, own in by_source.items():
        words = {text: number for number, text in enumerate(dict.fromkeys(r["caption"] for r in own))}
        columns: dict[str, list[int]] = {"episode_index": [], "frame_index": [], "subtask_index": []}
        for episode, spans in groupby(own, key=itemgetter("episode_id")):  # they are sorted by episode
            shown = frames[episode]
            index = [-1] * shown[-1]
            for row in spans:
                for frame in range(shown[row["start_frame"]], shown[row["end_frame"]]):
                    index[frame] = words[row["caption"]]
            number = number_of(episode)
            if number is None:
                raise LabelError(f"{episode}: LeRobot's columns number episodes, and {source} names them by words")
            columns["episode_index"] += [number] * len(index)
            columns["frame_index"] += range(len(index))
            columns["subtask_index"] += index
        files[f"{source}/subtask_index.parquet"] = _parquet(pa.table(columns))
        names = pa.table({"subtask_index": list(words.values()), "subtask": list(words)})
        files[f"{source}/meta/subtasks.parquet"] = _parquet(names)
    return files


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return bytes(sink.getvalue().to_pybytes())


def source_frames(corpus: Corpus, episodes: Iterable[str]) -> dict[str, list[int]]:
    """{episode: source frame of each canonical frame, and one past the last}; rows where there is no video."""
    found = {}
    for a in corpus.narrow(ALIGNMENTS, Pairing, sorted(episodes)):
        shown: Sequence[int] = next(
            (c["frame_index"] for c in a["cameras"] if c["name"] == a["reference_camera"]), range(a["n_frames"])
        )
        found[a["episode_id"]] = [*shown, shown[-1] + 1]
    return found
