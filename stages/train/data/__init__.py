"""data: what the loader gives as what the two towers take. Imports numpy, torch and the loader alone."""

from stages.train.data.source import Facts, NoBatch, Source, batches
from stages.train.data.texts import Texts

__all__ = ["Facts", "NoBatch", "Source", "Texts", "batches"]
