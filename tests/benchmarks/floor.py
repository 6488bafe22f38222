"""The floor under a build: decode every source frame once, encode the proxies once, one bare forward pass per embedded
picture; same codecs, same settings, same cores, and nothing else.

In: video files and a number of pictures. Out: seconds. Processes are started, libraries and weights loaded before the
clock runs. Pictures come decoded and scaled.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from functools import cache, partial
from pathlib import Path

from stages.models.quantised import QuantisedEncoder
from stages.observe import ObserveConfig

CHUNK = 200  # pictures


def floor_seconds(files: list[tuple[str, float]], pictures: int, cores: int) -> tuple[float, float]:
    """(decode and encode, forward passes), seconds of wall clock; files: (path, declared frames/s)."""
    with multiprocessing.get_context("spawn").Pool(cores, _load) as pool:
        pool.map(_warm, range(4 * cores), chunksize=1)
        largest_first = sorted(files, key=lambda f: -os.path.getsize(f[0]))
        started = time.perf_counter()
        for _ in pool.imap_unordered(_transcode, largest_first):
            pass
        between = time.perf_counter()
        for _ in pool.imap_unordered(_forward, [CHUNK] * round(pictures / CHUNK)):
            pass
        return between - started, time.perf_counter() - between


@cache
def _encoder() -> QuantisedEncoder:
    return QuantisedEncoder()


def _load() -> None:
    _encoder()


def _warm(_: int) -> None:
    _forward(8)


def _transcode(file: tuple[str, float]) -> None:
    from av.video.reformatter import VideoReformatter

    from stages.video.decode import _pyav, scaled_size
    from stages.video.encode import Encoder
    from stages.video.probe import probe

    path, fps = file
    config, info, reformatter = ObserveConfig(), probe(path, path), VideoReformatter()
    size = scaled_size(info.width, info.height, config.short_side)
    same = partial(reformatter.reformat, width=size[0], height=size[1], format="yuv420p", interpolation="AREA")
    with (
        tempfile.TemporaryDirectory() as folder,
        Encoder(str(Path(folder) / "proxy.mp4"), size, fps, config.gop(fps), config.crf) as encoder,
    ):
        for frame in _pyav(path):
            encoder.add(same(frame))


def _forward(pictures: int) -> None:
    import numpy as np

    from stages.models.image import SIDE

    encoder, picture = _encoder(), np.zeros((SIDE, SIDE, 3), np.uint8)
    for _ in range(pictures):
        encoder.pooled(picture)
