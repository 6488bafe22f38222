"""What an event is labelled as, in words that a text can be held against: primitives and recoveries.

In: a text encoder, the text's vector. Out: {label: cosine}. A caption seldom names a failure as people do ("closes its
gripper on nothing"), its label does: found by captions and words alone a tenth of the sample's missed grasps are among
the first ten, with labels eight tenths (docs/find.md). A few phrases are embedded at each search, whatever the corpus.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from stages.embed.encoders import Encoder

DIGITS = 4
PHRASES: Mapping[str, tuple[str, ...]] = {  # by schemas.events.PRIMITIVES and RECOVERIES; `unknown` says nothing
    "task": ("do the whole task",),
    "approach": ("approach something",),
    "transport": ("bring something to another place",),
    "handover": ("hand something over to the other hand",),
    "retract": ("move away",),
    "reach": ("reach for something",),
    "align": ("align with something",),
    "grasp": ("grasp something",),
    "lift": ("lift something",),
    "move": ("carry something",),
    "lower": ("lower something",),
    "place": ("place something",),
    "push": ("push something",),
    "pull": ("pull something",),
    "press": ("press something",),
    "rotate": ("rotate something",),
    "release": ("release something",),
    "open": ("open something",),
    "close": ("close something",),
    "hold": ("hold something still",),
    "idle": ("do nothing",),
    "missed_grasp": ("missed grasp", "fail to grasp something", "close the gripper on nothing"),
    "reopen": ("open the gripper again",),
    "second_approach": ("reach for something again",),
    "regrasp": ("grasp something again",),
    "slip": ("something slips out of the gripper",),
    "correction": ("correct the position",),
    "hesitation": ("hesitate",),
}


def likeness(encoder: Encoder, vector: npt.NDArray[np.float32]) -> dict[str, float]:
    """{label: cosine of the nearest of its phrases and the text}."""
    phrases = [phrase for own in PHRASES.values() for phrase in own]
    near = dict(zip(phrases, np.round(encoder.encode(phrases) @ vector, DIGITS).tolist(), strict=True))
    return {label: max(near[phrase] for phrase in own) for label, own in PHRASES.items()}
