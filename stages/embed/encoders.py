"""The models of embed by configuration: pictures and captions in, unit vectors out.

`embed.encoder` names one model with both towers in one space; without it `embed.image_encoder` and
`embed.text_encoder` are a pair, each in a space of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from stages import storage
from stages.models import image, joint, multilingual, quantised, text

Vectors = npt.NDArray[np.float32]


class Encoder(Protocol):
    """Pictures or sentences to unit vectors, each of which depends on its own input alone (a GPU's: on its batch in the
    last bits)."""

    @property
    def name(self) -> str:
        """The same on every machine."""

    @property
    def width(self) -> int: ...

    def encode(self, given: Sequence[Any]) -> Vectors:
        """float32[N, width]."""


class ImageEncoder(Encoder, Protocol):
    """RGB pictures uint8[H, W, 3]."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) that pictures are best decoded at; None: as they are."""


@dataclass(frozen=True, slots=True)
class Encoders:
    """The models of embed: made once in the life of a worker."""

    image: ImageEncoder
    text: Encoder

    @property
    def name(self) -> str:
        """What `vl` is made by, with the width of each part."""
        return f"{self.image.name} {self.image.width} + {self.text.name} {self.text.width}"


@dataclass(frozen=True, slots=True)
class Tower:
    """One tower of a model that has two."""

    name: str
    width: int
    size: tuple[int, int] | None
    encode: Callable[[Sequence[Any]], Vectors]


IMAGE_ENCODERS: Mapping[str, Callable[[str], ImageEncoder]] = {  # by embed.image_encoder, on a device
    "efficientnet-lite0": lambda device: quantised.QuantisedEncoder() if device == "cpu" else in_floats(device),
    "efficientnet-lite0-float": lambda device: in_floats(device),
}
TEXT_ENCODERS: Mapping[str, Callable[[str], Encoder]] = {  # by embed.text_encoder, on a device
    "use-multilingual-v3": lambda _: multilingual.MultilingualEncoder(),
    "all-minilm-l6-v2": lambda device: text.TextEncoder(device, text.packaged_folder()),
}


def load_encoders(encoder: str | None, image_encoder: str, text_encoder: str, device: str) -> Encoders:
    """Raises storage.Unusable where `encoder` cannot be used: no episode can be embedded then."""
    if encoder is None:
        return Encoders(IMAGE_ENCODERS[image_encoder](device), TEXT_ENCODERS[text_encoder](device))
    try:
        both = joint.JointEncoder(encoder, device)
    except joint.EncoderError as error:
        raise storage.Unusable(f"embed.encoder={encoder}", str(error)) from error
    towers = (Tower(both.name, both.width, both.size, encode) for encode in (both.pictures, both.texts))
    return Encoders(*towers)


def load_text(encoder: str | None, text_encoder: str) -> Encoder:
    """The encoder of captions alone, on the CPU: what a query is embedded with. Raises storage.Unusable."""
    if encoder is None:
        return TEXT_ENCODERS[text_encoder]("cpu")
    return load_encoders(encoder, "", text_encoder, "cpu").text


def in_floats(device: str) -> ImageEncoder:
    return image.ImageEncoder(device, image.packaged_weights())
