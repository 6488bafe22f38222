"""A question as the chat message that models of all families take: instructions, pictures with their labels, facts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stages.caption.vlm.requests import Picture, Request


def content(request: Request, shown: Callable[[Picture], dict[str, Any]]) -> list[dict[str, Any]]:
    """Parts of the user's message; `shown` makes a part of a picture."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": f"{request.instructions}\n"}]
    for picture in request.pictures:
        parts += [{"type": "text", "text": f"{picture.label} "}, shown(picture), {"type": "text", "text": "\n"}]
    return [*parts, {"type": "text", "text": f"{request.facts}\n"}]
