"""load: samples of a release for trainers. Imports numpy, torch, av, fsspec and `schemas` alone: the base install."""

from stages.load.dataset import EventDataset
from stages.load.loader import EventLoader, OtherPlan, Stream
from stages.load.reading.clips import UnreadableClip
from stages.load.reading.files import Unreadable
from stages.load.reading.release import NotARelease
from stages.load.reading.sample import DamagedSample

__all__ = [
    "DamagedSample",
    "EventDataset",
    "EventLoader",
    "NotARelease",
    "OtherPlan",
    "Stream",
    "Unreadable",
    "UnreadableClip",
]
