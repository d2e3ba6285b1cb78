"""The script for a borrowed GPU: all of it on a CPU, and what it does when a block fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.published_head import zero_between
from offclip.evaluation import read_evidence

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu_session.sh"
BLOCKS = ["device", "checks", "head", "step", "losses", "data", "profile"]


def session(*arguments, python=sys.executable):
    return subprocess.run(
        [SCRIPT, *arguments], env=os.environ | {"PYTHON": str(python)},
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture
def stub(tmp_path):
    """In place of Python: notes the module, and fails or dawdles where it is to."""
    path = tmp_path / "python"
    path.write_text(
        f'#!/bin/sh\necho "$2" >> {tmp_path}/ran\n'
        'case "$2" in *gpu_checks) exit 3 ;; *full_step) kill -9 $$ ;; esac\n'
    )
    path.chmod(0o755)
    return path


def test_the_dry_run_does_everything_and_leaves_records(tmp_path):
    done = session("--dry-run", "--out", tmp_path / "out", "--commit", "0123456789")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "7 of 7 checks passed" in done.stdout
    records = read_evidence(tmp_path / "out")
    assert set(records["commit"]) == {"0123456789"}
    expected = {"multiplication_rate", "distance", "seconds", "peak_memory", "step",
                "pictures_per_second", "speed_over_projected"}  # fmt: skip
    assert expected <= set(records["metric"])
    assert (tmp_path / "out" / "session.log").read_text() == done.stdout


def test_a_block_that_fails_stops_no_other(tmp_path, stub):
    done = session("--dry-run", "--out", tmp_path / "out", python=stub)
    assert done.returncode == 2
    assert "checks: ended with code 3" in done.stdout and "step: ended with code" in done.stdout
    ran = (tmp_path / "ran").read_text().split()
    assert len(ran) == len(BLOCKS) and ran[-1] == "benchmarks.profile_steps"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fast"], "unknown option: --fast"),
        (["--published", "nowhere"], "expected a clone of github.com/laihaoran/CARZero"),
        pytest.param(
            [], "no GPU", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
        ),
    ],
)
def test_bad_options_are_named(arguments, message, tmp_path):
    done = session(*arguments, "--out", tmp_path / "out")
    assert done.returncode == 64 and message in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_crossing_is_where_the_ratio_passes_one():
    assert zero_between([16, 32, 64], [2.0, 1.0, -1.0]) == 48
    assert zero_between([16, 32], [2.0, 1.0]) is None
    assert zero_between([16, 32], [-1.0, -2.0]) is None
