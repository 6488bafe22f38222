"""Units of streams that mean the same on every robot: degrees become radians, millimetres metres.

What is in no such unit (percent of a range, ticks, nobody knows) stays as it is logged.
"""

from __future__ import annotations

import math

TURN = {"rad": math.tau, "deg": 360.0}  # after which an angle is the same again
_CANONICAL = {"deg": ("rad", math.pi / 180), "mm": ("m", 1e-3)}


def canonical_unit(unit: str) -> str:
    return _CANONICAL.get(unit, (unit, 1.0))[0]


def scale_of(unit: str) -> float:
    """What a value is multiplied by on its way to that unit."""
    return _CANONICAL.get(unit, (unit, 1.0))[1]
