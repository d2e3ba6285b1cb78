"""Training: configuration, objective, loop, checkpoints."""

from offclip.training.augment import Augmentation, augment
from offclip.training.config import TrainConfig
from offclip.training.costs import step_costs
from offclip.training.loop import FILES, RUN, TrainResult, train
from offclip.training.objective import Objective, objective
from offclip.training.schedule import learning_rate
from offclip.training.stream import Batches
from offclip.training.watch import progress_bar, tensorboard

__all__ = [
    "FILES",
    "RUN",
    "Augmentation",
    "Batches",
    "Objective",
    "TrainConfig",
    "TrainResult",
    "augment",
    "learning_rate",
    "objective",
    "progress_bar",
    "step_costs",
    "tensorboard",
    "train",
]
