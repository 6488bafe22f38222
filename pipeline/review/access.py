"""Who asks: names and tokens, and cookies that say who has signed in.

In: a file of names and tokens, cookies. Out: names. A cookie is a name and a time, signed (HMAC-SHA256); it is worth
nothing without the store's key. Tokens are compared in constant time and kept as hashes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
import time
from collections.abc import Mapping

from stages import storage
from stages.text import plain

COOKIE = "corpus_review"
LASTS_S = 30 * 24 * 3600
LEAST = 16  # characters of a token
NAME = re.compile(r"[\w.@ \-]{1,60}")


class NoAccess(ValueError):
    """The server cannot be started so that only those who may can reach it."""


def tokens_of(path: str) -> dict[str, bytes]:
    """{name: hash of its token} of a file with a line `name token` each; `#` begins a remark. Raises NoAccess."""
    found: dict[str, bytes] = {}
    try:
        text = storage.read_bytes(storage.normalise(path)).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise NoAccess(f"--tokens {path}: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].rsplit(None, 1)
        if not words:
            continue
        if len(words) != 2 or not NAME.fullmatch(words[0].strip()):
            raise NoAccess(f"--tokens {path}, line {number}: expected a name and a token")
        name, token = words[0].strip(), words[1]
        if len(token) < LEAST:
            raise NoAccess(f"--tokens {path}, line {number}: {name}'s token has under {LEAST} characters")
        if name in found:
            raise NoAccess(f"--tokens {path}, line {number}: {name} has two tokens")
        found[name] = _hash(token)
    if not found:
        raise NoAccess(f"--tokens {path}: nobody is in it; a line each, a name and a token")
    return found


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """tokens: None where whoever reaches the server is `only`, the person who started it."""

    def __init__(self, key: bytes, tokens: Mapping[str, bytes] | None, only: str = "") -> None:
        self.key, self.tokens, self.only = key, tokens, plain(only, 60)

    def sign_in(self, name: str, token: str) -> str | None:
        """A cookie, or None."""
        known = (self.tokens or {}).get(name, b"\0" * 32)
        return self.cookie(name) if hmac.compare_digest(known, _hash(token)) else None

    def cookie(self, name: str, now: float | None = None) -> str:
        until = int((time.time() if now is None else now) + LASTS_S)
        body = f"{base64.urlsafe_b64encode(name.encode()).decode().rstrip('=')}.{until}"
        return f"{body}.{self._sign(body)}"

    def who(self, cookie: str | None, bearer: str | None = None) -> str | None:
        """Who asks: by a token (`Bearer name:token`), by a cookie, or the only one there is."""
        if self.tokens is None:
            return self.only
        if bearer:
            name, _, token = bearer.partition(":")
            return name if self.sign_in(name, token) else None
        body, _, signature = (cookie or "").rpartition(".")
        if not body or not hmac.compare_digest(self._sign(body).encode(), signature.encode(errors="replace")):
            return None
        encoded, _, until = body.partition(".")
        name = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
        return name if int(until) > time.time() and name in self.tokens else None

    def _sign(self, body: str) -> str:
        return hmac.new(self.key, body.encode(errors="replace"), hashlib.sha256).hexdigest()


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
