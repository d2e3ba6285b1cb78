"""Killed at any moment, damaged on disk: a run ends with the weights of an undisturbed one."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from offclip.training import train
from offclip.training.checkpoint import LAST, PREVIOUS, Progress, resume
from tests.training.killed import weights
from tests.training.test_loop import CONFIG, Kinds, new_model, validate

KILLS = int(os.environ.get("OFFCLIP_KILLS", "3"))


def killed_once(folder, generator):
    """Start or go on with the run and kill it a while after its next checkpoint; whether it was."""
    before = stamp(folder)
    child = subprocess.Popen([sys.executable, "-m", "tests.training.killed", str(folder)])
    while child.poll() is None and stamp(folder) == before:
        time.sleep(0.01)
    time.sleep(generator.uniform(0, 0.4))
    child.send_signal(signal.SIGKILL)
    return child.wait() == -signal.SIGKILL


def stamp(folder):
    path = Path(folder) / LAST
    return path.stat().st_mtime_ns if path.exists() else None


def step_of(folder):
    return torch.load(folder / LAST, weights_only=True)["progress"]["step"]


def test_killed_at_random_moments_it_ends_with_the_same_weights(tmp_path):
    generator, steps = random.Random(0), []
    for _ in range(KILLS):
        assert killed_once(tmp_path / "killed", generator)
        steps.append(resume(tmp_path / "killed", {}).step)
    assert steps == sorted(steps) and 0 < steps[-1] < 400
    found, expected = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    assert not list((tmp_path / "killed").glob(".*.part")), "what the killed left is still there"


def interrupted(folder, epochs=2):
    """A run that stops after some epochs of three batches."""
    config = dataclasses.replace(CONFIG, steps=30, validate_every=10, save_every=1)
    with pytest.raises(KeyboardInterrupt):
        train(new_model(), Kinds(epochs=epochs), validate, config, folder)
    return config


def test_a_truncated_checkpoint_falls_back_to_the_one_before(tmp_path):
    config = interrupted(tmp_path / "hurt")
    last = tmp_path / "hurt" / LAST
    last.write_bytes(last.read_bytes()[:-1000])
    resumed, whole = new_model(seed=3), new_model()
    with pytest.warns(UserWarning, match=r"last.pt: cannot go on.*going on from .*previous.pt"):
        train(resumed, Kinds(epochs=98), validate, config, tmp_path / "hurt")
    train(whole, Kinds(epochs=98), validate, config, tmp_path / "whole")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_killed_between_the_two_renames(tmp_path):
    """``last.pt`` has become ``previous.pt``, and nothing has taken its place."""
    interrupted(tmp_path)
    (tmp_path / LAST).replace(tmp_path / PREVIOUS)
    assert resume(tmp_path, {"model": new_model()}).step == 6


def test_two_damaged_checkpoints_are_both_named(tmp_path):
    interrupted(tmp_path)
    for name in (LAST, PREVIOUS):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"last.pt: cannot.*previous.pt: cannot.*remove"):
        resume(tmp_path, {"model": new_model()})
    assert resume(tmp_path / "nowhere", {}) == Progress()


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    config = interrupted(tmp_path)
    step = step_of(tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match=r"could not write .*last.pt.*No space left.*Free some"):
        train(new_model(), Kinds(epochs=98), validate, config, tmp_path)
    assert step_of(tmp_path) == step
    assert not list(tmp_path.glob("*.part"))
