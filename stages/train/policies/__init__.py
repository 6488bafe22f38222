"""Policies that act from the state: the baselines that a model has to be measured by."""

from stages.train.policies.fit import fit
from stages.train.policies.lookup import Nearest, Replay
from stages.train.policies.regression import RegressionPolicy, Settings
from stages.train.policies.saving import load, save

__all__ = ["Nearest", "RegressionPolicy", "Replay", "Settings", "fit", "load", "save"]
