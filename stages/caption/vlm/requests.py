"""A question to a vision-language model, and what identifies it.

Order matters: instructions first, then pictures, then facts, so that a server that keeps prefixes computes what
requests share once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Picture:
    """What a camera showed: its name, s on the episode's clock, JPEG bytes."""

    view: str
    time_s: float
    jpeg: bytes

    @property
    def label(self) -> str:
        return f"{self.view}, {self.time_s:.2f} s:"


@dataclass(frozen=True, slots=True)
class Request:
    """instructions: the same for all of its kind. fields: of the answer, a JSON object, in order; most_tokens: that it
    may take."""

    instructions: str
    pictures: tuple[Picture, ...]
    facts: str
    fields: tuple[str, ...]
    most_tokens: int

    def again(self, complaint: str) -> Request:
        """The same question, with what was wrong with the first answer."""
        return replace(self, facts=f"{self.facts}\nAn earlier answer was refused: {complaint}")

    def key(self, model: str) -> str:
        """Hash of everything that the answer depends on. model: name or content of the model, and how it is asked."""
        said = [model, self.instructions, self.facts, list(self.fields), self.most_tokens]
        seen = [[p.label, hashlib.sha256(p.jpeg).hexdigest()] for p in self.pictures]
        return hashlib.sha256(json.dumps([said, seen]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. status: ok; truncated (the answer was cut off), blocked (the server refused to answer), error (no
    answer: nobody is there, or errors and timeouts after all retries). confidence: of the model's own token
    probabilities, NaN where it gives none. tokens: (of the question, of the answer), 0 where not told. episode: that it
    was asked about; empty where an earlier version asked."""

    text: str
    status: str = "ok"
    confidence: float = float("nan")
    tokens: tuple[int, int] = (0, 0)
    message: str = ""  # of an error
    episode: str = ""
