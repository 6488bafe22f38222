"""embed: the events of an episode in, one `embeddings` row each out.

In: signals, alignment, events, captions, and the local paths of the proxies. Out: rows. Model batches are the events
of one episode, never more and never fewer: a vector then depends on its episode alone, not on which episodes share a
part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.embed.action import action_vector
from stages.embed.config import EmbedConfig
from stages.embed.image import SIDE, WIDTH, encode_images
from stages.embed.text import encode_texts
from stages.episode import Signal
from stages.video.decode import picked

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Proxy:
    """A camera's proxy clip: local path, frames between keyframes, and the proxy frame of each canonical frame."""

    path: str
    gop: int
    frame_index: Sequence[int]


def embedding_rows(
    signals: Mapping[str, Signal],
    alignment: Mapping[str, Any],
    events: Sequence[Mapping[str, Any]],
    captions: Mapping[str, str],
    proxies: Sequence[Proxy],
    config: EmbedConfig,
) -> tuple[list[Row], int]:
    """Rows of the events of `config.levels`, in order, and how many pictures were encoded. captions: {event_id:
    text}."""
    wanted = [e for e in events if e["level"] in config.levels]
    times = np.asarray(alignment["signal_time_s"], dtype=np.float64)
    seen, pictures = _see(wanted, proxies, config)
    said = encode_texts([captions[e["event_id"]] for e in wanted], config.device)
    rows = []
    for event, image, text in zip(wanted, seen, said, strict=True):
        span = times[event["start_frame"] : event["end_frame"]]
        rows.append(
            {
                "event_id": event["event_id"],
                "episode_id": event["episode_id"],
                "vl": np.concatenate([image, text]),
                "action": action_vector(signals, span, config),
            }
        )
    return rows, pictures


def _see(
    events: Sequence[Mapping[str, Any]], proxies: Sequence[Proxy], config: EmbedConfig
) -> tuple[npt.NDArray[np.float32], int]:
    """float32[N, 1280]: mean over cameras and pictures of an event, normalised; zeros for an episode without video.

    A frame that several events look at (an action that is a segment by itself, say) is decoded and encoded once.
    """
    if not proxies or not events:
        return np.zeros((len(events), WIDTH), dtype=np.float32), 0
    pictures: list[npt.NDArray[np.uint8]] = []
    rows = []
    for proxy in proxies:
        index = np.array([_shown(e, proxy, config.frames_per_event) for e in events])
        wanted, place = np.unique(index, return_inverse=True)
        frames = picked(proxy.path, wanted.tolist(), proxy.gop, (SIDE, SIDE))
        rows.append(len(pictures) + place.reshape(index.shape))
        pictures += [frames[i] for i in wanted.tolist()]
    mean = encode_images(pictures, config.device)[np.stack(rows)].mean(axis=(0, 2))
    return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)), len(pictures)


def _shown(event: Mapping[str, Any], proxy: Proxy, number: int) -> list[int]:
    """Proxy frames that stand for an event: in the middle of `number` equal parts of it, or the keyframe next to that
    (half a part away at most) where it lies inside the event: it is decoded without the frames before it."""
    start, end = event["start_frame"], event["end_frame"]
    first, last = int(proxy.frame_index[start]), int(proxy.frame_index[end - 1])
    chosen = []
    for i in range(number):
        middle = int(proxy.frame_index[start + int((i + 0.5) * (end - start) / number)])
        keyframe = round(middle / proxy.gop) * proxy.gop
        near = abs(keyframe - middle) * 2 * number <= last - first + 1
        chosen.append(keyframe if near and first <= keyframe <= last else middle)
    return chosen
