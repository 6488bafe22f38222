"""Any server with the chat interface of OpenAI (vLLM, SGLang, transformers serve, hosted ones), through its client.

Requests in flight are bounded by a server; servers take turns, and one that does not answer is left out for a while and
then tried again. Retried with growing pauses: timeouts, broken connections, 429 (after the server's own Retry-After)
and errors of 5xx. Servers speak different dialects (without `response_format`, with another name for the most tokens):
the first in which one answers is kept. The key is read from the environment where a client is made, and kept nowhere
else.
"""

from __future__ import annotations

import asyncio
import base64
import math
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stages.caption.backends import BackendError, Settings
from stages.caption.backends.messages import content
from stages.caption.vlm.requests import Answer, Picture, Request

REST_S = 20.0  # a server that failed is left out for so long
GIVE_UP = 8  # requests in a row without an answer after which none waits for a server any more
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
REASONING = 8  # times as many tokens for a model that thinks before it answers
MOST_BYTES = 200_000  # of an answer that is read; a longer one is cut off
NOT_UNDERSTOOD = (400, 404, 422, 501)  # codes with which servers refuse a field that they do not know
DIALECTS = 3  # all that we would like; without response_format and logprobs; as servers of reasoning models want it


@dataclass(slots=True)
class Server:
    """A base URL and its client. `dialect`: in which it has answered; None: in none yet."""

    url: str
    client: Any
    slots: asyncio.Semaphore
    dialect: int | None = None
    rests_until: float = 0.0
    running: int = 0


@dataclass(slots=True)
class Pace:
    """At most so many requests a minute, evenly; None: no bound."""

    per_minute: float | None
    next_at: float = field(default=0.0)

    async def wait(self) -> None:
        if self.per_minute is None:
            return
        now = time.monotonic()
        self.next_at = max(now, self.next_at) + 60 / self.per_minute
        await asyncio.sleep(max(0.0, self.next_at - 60 / self.per_minute - now))


class OpenAI:
    """A model behind one or several servers. Threads may ask at once: they share the requests in flight."""

    def __init__(self, settings: Settings) -> None:
        import openai

        if not settings.base_urls:
            raise BackendError("caption.base_urls", "is empty: give the servers, such as [http://localhost:8000/v1]")
        key = os.environ.get(settings.api_key_env) or "none"  # local servers want any
        self.settings, self.pace, self._turn = settings, Pace(settings.requests_per_minute), 0
        self._failed = 0  # requests in a row that nobody answered
        self.name = settings.model
        self.identity = f"openai/{settings.model}/temperature 0"
        self.at_once = max(2, settings.in_flight * len(settings.base_urls))
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="openai").start()

        async def start() -> list[Server]:
            return [
                Server(
                    url,
                    openai.AsyncOpenAI(base_url=url, api_key=key, timeout=settings.timeout_s, max_retries=0),
                    asyncio.Semaphore(settings.in_flight),
                )
                for url in settings.base_urls
            ]

        self.servers = asyncio.run_coroutine_threadsafe(start(), self._loop).result()

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        async def all_of_them() -> list[Answer]:
            return list(await asyncio.gather(*(self._one(r) for r in requests)))

        return asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result()

    async def _one(self, request: Request) -> Answer:
        if self._failed >= GIVE_UP and all(s.rests_until > time.monotonic() for s in self.servers):
            return Answer("", "error", message="no server answers")  # the next one after the rest finds out
        problem = ""
        for attempt in range(self.settings.retries + 1):
            server = self._next()
            async with server.slots:
                await self.pace.wait()
                answer, problem, pause = await self._try(server, request)
            if answer is not None:
                self._failed = 0
                return answer
            if pause is None or self._failed >= GIVE_UP:
                break
            if attempt < self.settings.retries and all(s.rests_until > time.monotonic() for s in self.servers):
                await asyncio.sleep(max(pause, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt)))
        self._failed += 1
        return Answer("", "error", message=problem)

    def _next(self) -> Server:
        """The servers in turn, without those that rest; where all do, the one that has rested longest."""
        self._turn += 1
        now = time.monotonic()
        awake = [s for s in self.servers if s.rests_until <= now]
        return awake[self._turn % len(awake)] if awake else min(self.servers, key=lambda s: s.rests_until)

    async def _try(
        self, server: Server, request: Request, dialect: int | None = None
    ) -> tuple[Answer | None, str, float | None]:
        """(answer, what went wrong, s to wait before another try; None: there is no use in one)."""
        import openai

        spoken = (server.dialect or 0) if dialect is None else dialect
        try:
            said = await server.client.chat.completions.create(**self._body(request, spoken))
        except openai.APIStatusError as error:
            code = error.status_code
            if code in NOT_UNDERSTOOD and (server.dialect is None or spoken < server.dialect) and spoken < DIALECTS - 1:
                return await self._try(server, request, spoken + 1)
            if code == 429 or code >= 500 or code in (408, 409):
                if code != 429:
                    server.rests_until = time.monotonic() + REST_S
                return None, f"{server.url} answered {code}", _asked_to_wait(error)
            if code in (401, 403, 404):
                return (
                    None,
                    f"{server.url} answered {code}: look at caption.model and {self.settings.api_key_env}",
                    None,
                )
            blocked = "content" in str(error).lower() and (
                "filter" in str(error).lower() or "policy" in str(error).lower()
            )
            return Answer("", "blocked" if blocked else "error", message=f"{server.url} answered {code}"), "", None
        except (openai.APIConnectionError, openai.APIError, ValueError) as error:
            server.rests_until = time.monotonic() + REST_S
            return None, f"{server.url}: {type(error).__name__}", 0.0
        server.rests_until = 0.0
        server.dialect = spoken if server.dialect is None else min(spoken, server.dialect)
        return self._read(said), "", None

    def _body(self, request: Request, dialect: int) -> dict[str, Any]:
        messages = [{"role": "user", "content": content(request, _image)}]
        body: dict[str, Any] = {"model": self.settings.model, "messages": messages}
        if dialect == DIALECTS - 1:
            return {**body, "max_completion_tokens": REASONING * request.most_tokens}
        body |= {"max_tokens": request.most_tokens, "temperature": 0}
        if dialect == 0:
            body["logprobs"] = True
            schema = {
                "type": "object",
                "properties": {f: {"type": "string"} for f in request.fields},
                "required": list(request.fields),
                "additionalProperties": False,
            }
            body["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "event", "schema": schema, "strict": True},
            }
        return body

    def _read(self, said: Any) -> Answer:
        choice = said.choices[0] if getattr(said, "choices", None) else None
        if choice is None or choice.message is None:
            return Answer("", "error", message="an answer without a choice")
        text = (choice.message.content or "")[:MOST_BYTES]
        usage = getattr(said, "usage", None)
        tokens = (int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0)) if usage else (0, 0)
        status = {"length": "truncated", "content_filter": "blocked"}.get(choice.finish_reason or "", "ok")
        if getattr(choice.message, "refusal", None):
            status = "blocked"
        chances = [t.logprob for t in (choice.logprobs.content or [])] if getattr(choice, "logprobs", None) else []
        return Answer(text, status, math.exp(min(chances)) if chances else float("nan"), tokens)


def _image(picture: Picture) -> dict[str, Any]:
    data = base64.b64encode(picture.jpeg).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}


def _asked_to_wait(error: Any) -> float:
    """What a server's Retry-After says, s, within bounds."""
    try:
        return min(LONGEST_PAUSE_S, max(0.0, float(error.response.headers.get("retry-after", 0))))
    except (TypeError, ValueError, AttributeError):
        return 0.0
