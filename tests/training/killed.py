"""A run that is killed: ``python -m tests.training.killed FOLDER`` trains until it ends or dies."""

import dataclasses
import sys

import torch

from offclip.training import train
from tests.training.test_loop import CONFIG, Kinds, new_model, validate

LONG = dataclasses.replace(
    CONFIG, steps=400, validate_every=50, save_every=1, ema=0.9, schedule="plateau", patience=1
)


def weights(folder):
    """The weights that the run in ``folder`` ends with."""
    torch.set_num_threads(1)
    model = new_model()
    train(model, Kinds(epochs=1000), validate, LONG, folder)
    return model.state_dict()


if __name__ == "__main__":
    weights(sys.argv[1])
