"""Spans as people left them, for programs that know spans alone, and back: LeRobot's subtask columns, Label Studio's
JSON.

In: a corpus, and what stands at each place; or a file of such a program. Out: files; or, by place, spans of the file on
the source's clock, to be held against what stands. Both formats count frames of the source's reference camera.
"""

from __future__ import annotations

import io
import json
import zipfile
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.corpus.view import Corpus
from pipeline.labels import LabelError, label_studio
from pipeline.labels.spans import FrameSpan
from pipeline.labels.write import label_studio_of, lerobot_of, source_frames
from pipeline.review.episode import Episodes
from schemas.ids import episode_id, event_id, number_of, source_of
from stages import storage
from stages.review.fold import Place
from stages.review.given import Given, parted
from stages.review.spans import Span
from stages.sources.columns import runs
from stages.sources.find import named
from stages.text import NAME, plain

FORMATS = ("lerobot", "labelstudio")
SUBTASKS = "subtask_index"  # LeRobot's column
INDEX = ["episode_index", "frame_index", SUBTASKS]
Standing = Callable[[Place], Sequence[Span]]


def files(corpus: Corpus, form: str, levels: Sequence[str], track: str, standing: Standing) -> dict[str, bytes]:
    """{path: content} of what stands of these levels and a track; LeRobot knows one level, the first."""
    levels = levels[:1] if form == "lerobot" else levels
    episodes, rows, people = Episodes(corpus), list[FrameSpan](), set[Place]()
    for place in places(corpus):
        if place[1] in levels and place[2] == track:
            spans = standing(place)
            rows += _rows(place, spans, episodes.edges(place[0]))
            people |= {place} if any(s.own for s in spans) else set()
    if form == "lerobot":
        return lerobot_of(corpus, rows)
    return {"labelstudio.json": label_studio_of(corpus, rows, people)}


def zipped(found: Mapping[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, blob in found.items():
            archive.writestr(name, blob)
    return sink.getvalue()


def places(corpus: Corpus) -> list[Place]:
    """All of a corpus, in order."""
    found = corpus.table("events", columns=["episode_id", "level", "track"]).unique()
    return sorted(found.iter_rows())


def _rows(place: Place, spans: Sequence[Span], edges: Sequence[int]) -> list[FrameSpan]:
    episode, level, track = place
    return [
        {
            "event_id": event_id(episode, level, s.start / 1000, track), "episode_id": episode, "level": level,
            "track": track, "start_frame": bisect_left(edges, s.start), "end_frame": bisect_left(edges, s.end),
            "primitive": s.primitive, "caption": s.text,
        }
        for s in spans
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Said:
    """Spans of a file at one place, in source frames: (start, end, primitive, text, where). by: who says so, where the
    file tells; joined: neighbours of one caption are one span there."""

    place: Place
    spans: Sequence[tuple[int, int, str | None, str | None, str]]
    by: str = ""
    joined: bool = False


def read(name: str, level: str, track: str) -> Iterator[Said]:
    """Spans of a file by place, episodes that no corpus may have among them; level, track: of a format that does not
    tell. Raises LabelError."""
    source, uri = named(name)
    try:
        if uri.lower().endswith(".json"):
            yield from _label_studio(json.loads(storage.read_bytes(uri)), uri)
        else:
            yield from _lerobot(uri, source, level, track)
    except FileNotFoundError as error:
        raise LabelError(f"{name}: there is no such file: {error}") from error
    except (OSError, ValueError, OverflowError, RecursionError, pa.ArrowException) as error:
        raise LabelError(f"{name} cannot be read: {plain(error, 300)}") from error


def _label_studio(tasks: Any, uri: str) -> Iterator[Said]:
    if not isinstance(tasks, list):
        raise LabelError(f"{uri}: expected a list of Label Studio's tasks, found {type(tasks).__name__}")
    for number, task in enumerate(tasks):
        where = f"task {task.get('id', number) if isinstance(task, dict) else number}"
        try:
            done = [a for a in task.get("annotations") or [] if not a.get("was_cancelled")]
            place = tuple(str(task["data"][k]) for k in ("episode_id", "level", "track"))
            by = done[-1].get("completed_by") if done else None
            spans = [
                (int(r["start_frame"]), int(r["end_frame"]), r["primitive"], r["caption"] or None, f"{where}, span {n}")
                for n, r in enumerate(label_studio.rows_of({**task, "annotations": done[-1:]}))
            ]
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise LabelError(f"{uri}, {where}: no task of ours: {type(error).__name__} {error}") from error
        if done:  # nobody has said anything of a task that has predictions alone
            said = by.get("email") if isinstance(by, dict) else None
            yield Said((place[0], place[1], place[2]), spans, plain(said or "", NAME))


def _lerobot(uri: str, source: str | None, level: str, track: str) -> Iterator[Said]:
    """Folders as `files` writes them, one a source; or one dataset, whose rows have the column `subtask_index`."""
    below = storage.listing(uri)
    roots = sorted(n.removesuffix("meta/subtasks.parquet") for n in below if n.endswith("meta/subtasks.parquet"))
    if not roots:
        raise LabelError(f"{uri}: neither .jsonl, .csv, .parquet, .json nor a folder with meta/subtasks.parquet")
    for root in roots:
        own = source if source and root == "" else (root.strip("/") or storage.name_of(uri))
        texts = _subtasks(_table(uri, f"{root}meta/subtasks.parquet"))
        flat = f"{root}subtask_index.parquet"
        rows = [n for n in below if n.startswith(f"{root}data/") and n.endswith(".parquet")]
        for name in [flat] if flat in below else sorted(rows):
            table = _table(uri, name, INDEX)
            yield from _of_frames(table, own, texts, (level, track), name)


def _table(uri: str, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    table = pq.read_table(pa.BufferReader(storage.read_bytes(storage.join(uri, name))), columns=columns)
    if lacking := set(columns or ()) - set(table.column_names):
        raise ValueError(f"{name} has no column {', '.join(sorted(lacking))}")
    return table


def _subtasks(table: pa.Table) -> dict[int, str]:
    """{index: words}: a column `subtask`, or the index that pandas writes under a name of its own."""
    words = next((n for n in table.column_names if n != SUBTASKS), "")
    if lacking := {SUBTASKS, words} - set(table.column_names):
        raise ValueError(f"meta/subtasks.parquet has no column {SUBTASKS if SUBTASKS in lacking else 'of words'}")
    return dict(zip(table[SUBTASKS].to_pylist(), table[words].to_pylist(), strict=True))


def _of_frames(
    table: pa.Table, source: str, texts: Mapping[int, str], place: tuple[str, str], name: str
) -> Iterator[Said]:
    table = table.sort_by([("episode_index", "ascending"), ("frame_index", "ascending")])
    episode, frame, index = (np.asarray(table[c].to_numpy(), dtype=np.float64) for c in INDEX)
    index = np.nan_to_num(index, nan=-1.0).astype(np.int64)
    for first, last in runs(episode):
        number, spans = int(episode[first]), []
        for a, b in runs(index[first:last]):
            which = int(index[first + a])
            if which >= 0:
                where = f"{name}, episode {number}, frame {int(frame[first + a])}"
                ends = int(frame[first + a]), int(frame[first + b - 1]) + 1
                spans.append((*ends, None, texts.get(which) or None, where))
        yield Said((episode_id(source, number), *place), spans, joined=True)


class Placed:
    """Where frames of the source's reference camera lie in a corpus."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus, self.episodes, self.places = corpus, Episodes(corpus), set(places(corpus))
        self.numbered: dict[str, list[str]] = {}
        for episode in {p[0] for p in self.places}:
            number = number_of(episode)
            if number is not None:
                self.numbered.setdefault(episode_id(source_of(episode), number), []).append(episode)

    def place(self, place: Place) -> Place | None:
        """A place of the corpus; None where it has no such one."""
        (episode, *rest), names = place, self.numbered.get(place[0], [])
        found = (names[0] if len(names) == 1 else episode, rest[0], rest[1])
        return found if found in self.places else None

    def given(self, said: Said, place: Place, now: Sequence[Span]) -> list[Given]:
        """Its spans on the source's clock, ms. An edge that shows the same frame as one that stands is that one."""
        shown, edges = source_frames(self.corpus, [place[0]])[place[0]], self.episodes.edges(place[0])
        stands = {shown[bisect_left(edges, ms)]: ms for s in now for ms in (s.start, s.end)}
        found = []
        for start, end, primitive, text, where in said.spans:
            ends = [stands.get(f, edges[min(bisect_left(shown, f), len(edges) - 1)]) for f in (start, end)]
            if end > shown[-1] and not said.joined:  # LeRobot's rows may go on where the corpus has no picture
                ends[1] = edges[-1] + 1
            found.append(Given(ends[0], ends[1], primitive, text, where))
        return parted(now, found) if said.joined else found
