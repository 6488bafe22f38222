"""The reference model: two towers of equal depth, the action tower reading the video tower (arXiv 2606.01955).

Plain torch. Read in this order: latent, attention, cameras, sight_cone, video, action, flow, towers.
"""

from stages.train.model.config import ModelConfig
from stages.train.model.towers import STAGES, WorldActionModel, hidden_weights, parameters_by_tower

__all__ = ["STAGES", "ModelConfig", "WorldActionModel", "hidden_weights", "parameters_by_tower"]
