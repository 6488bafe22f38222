"""Models that answer questions about events, behind one interface: requests in, answers out, in the same order.

`signals` is none of them: it asks nobody (`stages/caption/signals/`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from stages import storage
from stages.caption.vlm.requests import Answer, Request

Done = Callable[[int, Answer], None]


def nobody(_: int, __: Answer) -> None:
    """Nobody waits for single answers."""


class Backend(Protocol):
    """A model that can be asked, made once in the life of a worker."""

    @property
    def identity(self) -> str:
        """What an answer depends on besides the question: the model, by its content or name, and how it is asked."""

    @property
    def name(self) -> str:
        """What people call the model, the same on every machine."""

    @property
    def at_once(self) -> int:
        """Episodes whose questions it should be given side by side, by threads."""

    def ask(self, requests: Sequence[Request], done: Done = nobody) -> list[Answer]:
        """One answer a request, each given to `done` (its number, itself) as soon as it is there. Whatever goes wrong
        with one is in its answer; raises BackendError where nothing can ever be answered."""


class BackendError(storage.Unusable):
    """A model that cannot be used at all: no episode's fault, the build stops, and the message says what to do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a backend is made from; the fields of CaptionConfig that it needs, hashable."""

    captioner: str
    model: str
    device: str
    batch: int
    base_urls: tuple[str, ...]
    in_flight: int
    timeout_s: float
    retries: int
    api_key_env: str
    requests_per_minute: float | None


def make(settings: Settings) -> Backend:
    """Raises BackendError."""
    if settings.captioner == "transformers":
        from stages.caption.backends.transformers import Transformers

        return Transformers(settings.model, settings.device, settings.batch)
    from stages.caption.backends.openai import OpenAI

    return OpenAI(settings)
