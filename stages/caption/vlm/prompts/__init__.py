"""The prompts: text files beside this one. Another wording is another prompt, told by its hash."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

NAMES = ("name", "event")


@cache
def prompt(name: str) -> str:
    """The text of a prompt."""
    return resources.files(__name__).joinpath(f"{name}.txt").read_text(encoding="utf-8").strip()


@cache
def prompts_hash() -> str:
    """Hash of all prompts."""
    return hashlib.sha256("\0".join(prompt(n) for n in NAMES).encode()).hexdigest()[:12]
