"""What is said while the corpus is read: of 100,000 events that takes seconds, and nobody should look at a blank page.

In: nothing at first, then the application. Out: an ASGI application: until the other one is there a page that asks
again by itself, and 503 to programs, which try again; then the other one.
"""

from __future__ import annotations

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

AGAIN_S = "1"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Review: reading the corpus</title>
<p>Reading the corpus. The page comes by itself; what was decided is on this server's disk.</p></html>"""


class Reading:
    """app: what answers when it is there."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.app is not None:
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await _told(scope["path"])(scope, receive, send)


def _told(path: str) -> Response:
    headers = {"retry-after": AGAIN_S, "cache-control": "no-store"}
    if path == "/":
        return HTMLResponse(PAGE, 503, headers | {"refresh": AGAIN_S})
    return JSONResponse({"detail": "the corpus is being read; try again in a moment"}, 503, headers)
