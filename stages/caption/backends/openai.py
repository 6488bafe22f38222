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

from stages.caption.backends import BackendError, Done, Settings, nobody
from stages.caption.backends.messages import content
from stages.caption.vlm.requests import Answer, Picture, Request

REST_S = 20.0  # a server that failed is left out for so long
GIVE_UP, PATIENCE_S = 8, 60.0  # tries in a row, and s, without an answer after which none waits any more
MALFORMED = (TypeError, ValueError, AttributeError, IndexError, KeyError, OverflowError)  # of a body that is no answer
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
    refuses: bool = False  # us, or the model: another try is of no use
    asked_to_wait: bool = False

    def rest(self, seconds: float, asked: bool = False) -> None:
        self.rests_until, self.asked_to_wait = time.monotonic() + seconds, asked


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
        self._problem = "no server answers"
        self._failed, self._heard = 0, time.monotonic()  # tries in a row that nobody answered; when somebody last did
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

    def ask(self, requests: Sequence[Request], done: Done = nobody) -> list[Answer]:
        async def one(number: int, request: Request) -> Answer:
            answer = await self._one(request)
            done(number, answer)
            return answer

        async def all_of_them() -> list[Answer]:
            return list(await asyncio.gather(*(one(n, r) for n, r in enumerate(requests))))

        return asyncio.run_coroutine_threadsafe(all_of_them(), self._loop).result()

    async def _one(self, request: Request) -> Answer:
        problem = self._problem
        for attempt in range(self.settings.retries + 1):
            if self._given_up():
                break
            server = self._next()
            async with server.slots:
                if self._given_up():
                    break
                await self.pace.wait()
                answer, problem = await self._try(server, request, server.dialect or 0)
            if answer is not None:
                self._failed, self._heard = 0, time.monotonic()
                return answer
            self._failed, self._problem = self._failed + 1, problem
            if all(s.refuses for s in self.servers):
                break
            now = time.monotonic()
            if attempt < self.settings.retries and all(s.rests_until > now for s in self.servers):
                rest = min(s.rests_until for s in self.servers) - now
                await asyncio.sleep(
                    min(rest, LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**attempt) if not server.asked_to_wait else rest
                )
        return Answer("", "error", message=problem)

    def _given_up(self) -> bool:
        """Whether nobody has answered for long enough; after each rest some requests try again all the same."""
        now = time.monotonic()
        silent = self._failed >= GIVE_UP and now - self._heard > PATIENCE_S
        return silent and all(s.rests_until > now for s in self.servers)

    def _next(self) -> Server:
        """The servers in turn, without those that rest; where all do, the one that has rested longest."""
        self._turn += 1
        now = time.monotonic()
        awake = [s for s in self.servers if s.rests_until <= now]
        return awake[self._turn % len(awake)] if awake else min(self.servers, key=lambda s: s.rests_until)

    async def _try(self, server: Server, request: Request, dialect: int) -> tuple[Answer | None, str]:
        """(answer, what went wrong). A server that did not answer rests."""
        import openai

        try:
            asking = server.client.chat.completions.create(**self._body(request, dialect))
            said = await asyncio.wait_for(asking, self.settings.timeout_s)
            answer = self._read(said)
        except openai.APIStatusError as error:
            return await self._refused(server, request, dialect, error)
        except (openai.APIError, TimeoutError, *MALFORMED) as error:
            server.rest(REST_S)
            return None, f"{server.url}: {type(error).__name__}"
        server.dialect = dialect if server.dialect is None else min(dialect, server.dialect)
        server.rests_until, server.refuses, server.asked_to_wait = 0.0, False, False
        return answer, ""

    async def _refused(self, server: Server, request: Request, dialect: int, error: Any) -> tuple[Answer | None, str]:
        code = int(error.status_code)
        if code in NOT_UNDERSTOOD and (server.dialect is None or dialect < server.dialect) and dialect < DIALECTS - 1:
            return await self._try(server, request, dialect + 1)
        if code == 429:
            server.rest(_asked_to_wait(error) or FIRST_PAUSE_S, asked=True)
        elif code in (401, 403, 404):
            server.refuses = True
            server.rest(REST_S)
            return None, f"{server.url} answered {code}: look at caption.model and {self.settings.api_key_env}"
        elif code >= 500 or code in (408, 409):
            server.rest(REST_S)
        else:  # this question is at fault: asked again it would be refused again
            return Answer("", "blocked", message=f"{server.url} answered {code}"), ""
        return None, f"{server.url} answered {code}"

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
        """Raises one of MALFORMED for what is no answer."""
        choice = said.choices[0]
        body = choice.message.content
        if isinstance(body, list):  # parts
            body = "".join(p["text"] if isinstance(p, dict) else p.text for p in body)
        if body is not None and not isinstance(body, str):
            raise TypeError("content is no text")
        text = (body or "").encode("utf-8", "replace").decode()[:MOST_BYTES]
        usage = getattr(said, "usage", None)
        tokens = (_count(usage, "prompt_tokens"), _count(usage, "completion_tokens"))
        reason = choice.finish_reason if isinstance(choice.finish_reason, str) else ""
        status = {"length": "truncated", "content_filter": "blocked"}.get(reason, "ok")
        if getattr(choice.message, "refusal", None):
            status = "blocked"
        return Answer(text, status, _least(choice), tokens)


def _count(usage: Any, name: str) -> int:
    """A number of tokens; 0 where none is told."""
    value = getattr(usage, name, 0)
    return int(value) if isinstance(value, int) and 0 <= value < 2**31 else 0


def _least(choice: Any) -> float:
    """The chance of the least sure token; NaN where none is told."""
    try:
        chances = [float(t.logprob) for t in choice.logprobs.content]
    except MALFORMED:
        return math.nan
    least = min(chances, default=math.nan)
    return math.nan if math.isnan(least) else math.exp(min(0.0, least))


def _image(picture: Picture) -> dict[str, Any]:
    data = base64.b64encode(picture.jpeg).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}}


def _asked_to_wait(error: Any) -> float:
    """What a server's Retry-After says, s, within bounds; 0 where it says nothing."""
    try:
        return min(LONGEST_PAUSE_S, max(0.0, float(error.response.headers.get("retry-after", 0))))
    except (TypeError, ValueError, AttributeError):
        return 0.0
