"""`observations`: one row an episode and camera, from the single decode of its video. Written by observe."""

from typing import Any, TypedDict

import numpy.typing as npt
import pyarrow as pa

from schemas.table import Column, Table


class ObservationRow(TypedDict):
    """A row of `observations`."""

    episode_id: str
    camera: str
    codec: str
    decoder: str
    source_width: int
    source_height: int
    proxy: str
    proxy_bytes: int
    width: int
    height: int
    gop: int
    pts_s: npt.NDArray[Any]
    motion: npt.NDArray[Any]
    quality: npt.NDArray[Any]
    sharpness: npt.NDArray[Any]
    thumbnails: str


OBSERVATIONS: Table[ObservationRow] = Table(
    name="observations",
    key=("episode_id", "camera"),
    columns=(
        Column("episode_id", pa.string(), "source/000003"),
        Column("camera", pa.string(), "camera name"),
        Column("codec", pa.string(), "codec of the source video"),
        Column("decoder", pa.string(), "decord or pyav"),
        Column("source_width", pa.int32(), "px"),
        Column("source_height", pa.int32(), "px"),
        Column("proxy", pa.string(), "path of the proxy clip inside the corpus; H.264, closed GOP, no B-frames"),
        Column("proxy_bytes", pa.int64(), "size of the proxy clip"),
        Column("width", pa.int32(), "proxy width, px"),
        Column("height", pa.int32(), "proxy height, px"),
        Column("gop", pa.int32(), "frames between keyframes of the proxy"),
        Column(
            "pts_s", pa.list_(pa.float64()), "float64[N], presentation time of each frame, s from the episode's start"
        ),
        Column("motion", pa.list_(pa.float32()), "float32[N], mean absolute grey difference to the frame before, of 1"),
        Column("quality", pa.list_(pa.uint8()), "uint8[N], bits of stages.observe.quality.Quality; 0: a picture"),
        Column("sharpness", pa.list_(pa.float32()), "float32[N], mean step from a pixel to the next, luma 0 to 255"),
        Column("thumbnails", pa.string(), "path of a JPEG strip of evenly spaced frames inside the corpus"),
    ),
)
