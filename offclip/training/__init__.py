"""Training: configuration, objective, loop, checkpoints. Knows models and losses."""

from offclip.training.config import TrainConfig
from offclip.training.loop import TrainResult, train
from offclip.training.objective import objective

__all__ = ["TrainConfig", "TrainResult", "objective", "train"]
