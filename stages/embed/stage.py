"""embed: the events of an episode in, one `embeddings` row each out.

In: signals, alignment, events, captions, and the local paths of the proxies. Out: rows. Model batches are the events
of one episode, never more and never fewer: a vector then depends on its episode alone, not on which episodes share a
part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemas.alignments import ALIGNMENTS, AlignmentRow
from schemas.captions import CAPTIONS
from schemas.clusters import EMBEDDINGS, EmbeddingRow
from schemas.events import EVENTS, EventRow
from schemas.observations import OBSERVATIONS
from schemas.signals import SIGNALS
from stages.embed.action import action_vector, layout_of
from stages.embed.config import EmbedConfig
from stages.embed.encoders import Encoders, ImageEncoder, load_encoders
from stages.episode import Signal, both_arms, signals_of
from stages.video.decode import picked
from stages.work import Inputs, Outcome, Unit, Workspace


@dataclass(frozen=True, slots=True)
class Proxy:
    """A camera's proxy clip: local path, frames between keyframes, and the proxy frame of each canonical frame."""

    path: str
    gop: int
    frame_index: Sequence[int]


def embed(unit: Unit[Inputs], work: Workspace, config: EmbedConfig) -> Outcome:
    """Vectors for the events of a unit's episodes."""
    outcome = Outcome()
    encoders: Encoders = work.kept(
        load_encoders, config.encoder, config.image_encoder, config.text_encoder, config.device
    )

    def one(name: str) -> None:
        (alignment,) = work.rows(ALIGNMENTS, name)
        index = {c["name"]: c["frame_index"] for c in alignment["cameras"]}
        texts = {c["event_id"]: c["text"] for c in work.rows(CAPTIONS, name)}
        signals, events = signals_of(work.rows(SIGNALS, name)), both_arms(work.rows(EVENTS, name))
        with ExitStack() as stack:
            proxies = [
                Proxy(stack.enter_context(work.media(f"media/{row['proxy']}")), row["gop"], index[row["camera"]])
                for row in work.rows(OBSERVATIONS, name)
            ]
            rows, pictures = embedding_rows(signals, alignment, events, texts, proxies, encoders, config)
        outcome.add(EMBEDDINGS, rows)
        outcome.count(name, events=len(rows), pictures=pictures)

    return outcome.each(unit.names, one)


def embedding_rows(
    signals: Mapping[str, Signal],
    alignment: AlignmentRow,
    events: Sequence[EventRow],
    captions: Mapping[str, str],
    proxies: Sequence[Proxy],
    encoders: Encoders,
    config: EmbedConfig,
) -> tuple[list[EmbeddingRow], int]:
    """Rows of the events of `config.levels`, in order, and how many pictures were encoded. captions: {event_id:
    text}."""
    wanted = [e for e in events if e["level"] in config.levels]
    times = np.asarray(alignment["signal_time_s"], dtype=np.float64)
    seen, pictures = _see(wanted, proxies, encoders.image, config)
    said = encoders.text.encode([captions[e["event_id"]] for e in wanted])
    layout, rows = layout_of(signals), list[EmbeddingRow]()
    for event, looks, says in zip(wanted, seen, said, strict=True):
        span = times[event["start_frame"] : event["end_frame"]]
        rows.append(
            {
                "event_id": event["event_id"],
                "episode_id": event["episode_id"],
                "vl": np.concatenate([looks, says]).astype(np.float16),
                "action": action_vector(signals, span, config).astype(np.float16),
                "layout": layout,
                "encoder": encoders.name,
            }
        )
    return rows, pictures


def _see(
    events: Sequence[EventRow], proxies: Sequence[Proxy], encoder: ImageEncoder, config: EmbedConfig
) -> tuple[npt.NDArray[np.float32], int]:
    """float32[N, width]: mean over cameras of the mean over an event's pictures, normalised; zeros for an episode
    without video.

    A frame that several events look at (an action that is a segment by itself, say) is decoded and encoded once.
    """
    if not proxies or not events:
        return np.zeros((len(events), encoder.width), dtype=np.float32), 0
    mean, encoded = np.zeros((len(events), encoder.width), dtype=np.float32), 0
    for proxy in proxies:
        shown = [_shown(event, proxy, config.frames_per_event) for event in events]
        wanted = sorted({frame for frames in shown for frame in frames})
        pictures = picked(proxy.path, wanted, proxy.gop, encoder.size)
        vectors = dict(zip(wanted, encoder.encode([pictures[frame] for frame in wanted]), strict=True))
        mean += [np.mean([vectors[frame] for frame in frames], axis=0) for frames in shown]
        encoded += len(wanted)
    return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)), encoded


def _shown(event: EventRow, proxy: Proxy, number: int) -> list[int]:
    """Proxy frames that stand for an event, none twice: in the middle of `number` equal parts of it (of as many as it
    has frames, where those are fewer), or the keyframe next to that (half a part away at most) where it lies inside the
    event: it is decoded without the frames before it."""
    start, end = event["start_frame"], event["end_frame"]
    first, last = int(proxy.frame_index[start]), int(proxy.frame_index[end - 1])
    parts, chosen = max(1, min(number, last - first + 1)), []
    for i in range(parts):
        middle = int(proxy.frame_index[start + int((i + 0.5) * (end - start) / parts)])
        keyframe = round(middle / proxy.gop) * proxy.gop
        near = abs(keyframe - middle) * 2 * parts <= last - first + 1
        chosen.append(keyframe if near and first <= keyframe <= last else middle)
    return sorted(set(chosen))
