"""Proxies and strips by byte ranges, from wherever the corpus lies.

In: a path that the corpus names, a Range header. Out: a response with just those bytes, in pieces: a video that is
sought in asks for many small ranges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from starlette.responses import Response, StreamingResponse

from stages import storage

PIECE = 256 * 1024
RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg"}


def media(uri: str, asked: str | None) -> Response:
    """Raises FileNotFoundError, storage.Unusable."""
    with storage.opened(uri) as (_, size):
        pass
    headers = {"accept-ranges": "bytes", "cache-control": "private, max-age=31536000, immutable"}  # named by content
    kind = TYPES.get(uri[uri.rfind(".") :], "application/octet-stream")
    found = span_of(asked, size)
    if found is None:
        return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
    start, end = found
    whole = (start, end) == (0, size) and asked is None
    headers["content-length"] = str(end - start)
    if not whole:
        headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(_pieces(uri, start, end), 200 if whole else 206, headers, kind)


def span_of(asked: str | None, size: int) -> tuple[int, int] | None:
    """[start, end) of a Range header; the whole file where there is none, or one of several ranges; None where it lies
    outside."""
    match = RANGE.fullmatch(asked or "")
    if match is None or not (match[1] or match[2]):
        return 0, size
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start, end = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
    return (start, end) if start < end else None


def _pieces(uri: str, start: int, end: int) -> Iterator[bytes]:
    with storage.opened(uri) as (file, _):
        file.seek(start)
        while start < end:
            piece: bytes = file.read(min(PIECE, end - start))
            if not piece:
                return
            start += len(piece)
            yield piece
