"""What a request must be before anything looks at it, and what every answer carries.

In: an ASGI application. Out: the same behind checks: the host that was asked for is one of ours (a page elsewhere
cannot reach a loopback server under a name of its own), a write comes from our own page or from a program (a header of
ours, which no form and no foreign page can send, and an origin that is ours or none), bodies are small and come in
time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = logging.getLogger("corpus.review")
MOST_BYTES = 64 * 1024
BODY_S = 10.0  # a body that takes longer is of a client that is broken, or means harm
WRITES = "x-corpus-review"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class Guard:
    """hosts: names under which the server may be asked for; `*` takes any (behind a proxy, with tokens)."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {k for k, _ in message["headers"]}
                more = [(k.encode(), v.encode()) for k, v in HEADERS.items() if k.encode() not in own]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        headers = Headers(scope=scope)
        refused = self._refusal(scope, headers)
        body = b""
        if refused is None:
            try:
                body = await asyncio.wait_for(_body(receive), BODY_S)
            except TimeoutError:
                refused = 408, f"the body did not come within {BODY_S:g} s"
            if len(body) > MOST_BYTES:
                refused = 413, f"a body has at most {MOST_BYTES} bytes"
        if refused is not None:
            client = (scope.get("client") or ("?",))[0]
            LOG.warning("refused %s %s of %s: %s", scope["method"], ascii(scope["path"])[:200], client, refused[1])
            await JSONResponse({"detail": refused[1]}, refused[0])(scope, receive, headed)
            return
        await self.app(scope, _given(body, receive), headed)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if "*" not in self.hosts and host.lower() not in self.hosts:
            return 421, "this server is not asked for under that name"
        if not (headers.get("content-length") or "0").isdigit() or int(headers.get("content-length") or 0) > MOST_BYTES:
            return 413, f"a body has at most {MOST_BYTES} bytes"
        if scope["method"] in ("GET", "HEAD"):
            return None
        if scope["method"] != "POST":
            return 405, "only GET and POST are known"
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return 403, "it comes from another site"
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "it comes from another site"
        if headers.get(WRITES) is None:
            return 403, f"a write has the header {WRITES}"
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415, "a write is application/json"
        return None


async def _body(receive: Receive) -> bytes:
    """The body; of one that is too large only as much as shows it."""
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BYTES or message["type"] == "http.disconnect" or not message.get("more_body"):
            return bytes(body)


def _given(body: bytes, receive: Receive) -> Receive:
    """A body that has come already, then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
