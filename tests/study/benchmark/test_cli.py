"""``evaluate`` from the command line: a published set, a finished run, and errors of one line."""

import json
import shutil

import pytest
import torch

from offclip.__main__ import _parser, main
from offclip.cli.evaluate import _name
from offclip.data.manifests import load_manifest
from offclip.evaluation import read_evidence
from offclip.models import ImageTextModel, ModelConfig, save_model, train_tokenizer
from offclip.study import material as material_module
from tests.study.benchmark.fakes import copy
from tests.study.conftest import SMALL, all_records

QUICK = ["--jobs", "1", "--min-positives", "2", "--resamples", "20"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with a small model of random weights."""
    words = [f"there is no {phrase}" for phrase in load_manifest("vindr_cxr").prompts.values()]
    torch.manual_seed(0)
    config = ModelConfig(image_widths=(8, 16), dim=16, heads=2)
    made = ImageTextModel.with_tokenizer(config, train_tokenizer([*words, *words]))
    return str(save_model(tmp_path_factory.mktemp("model") / "small", made))


def test_a_published_set_and_its_evidence(model, tmp_path, capsys):
    root, rows = copy("chestx_det10")
    record = tmp_path / "evidence.csv"
    command = ["evaluate", "chestx_det10", "--root", str(root), "--model", model, *QUICK,
               "--scores", str(tmp_path / "scores"), "--record", str(record)]  # fmt: skip
    assert main(command) == 0
    told = capsys.readouterr().out
    for words in ("published_auc", "normal_auc_free", "pointing_chance", "images | studies"):
        assert words in told
    assert not any(name in told for name in rows["study_id"]), "no image is named"
    found = read_evidence(record)
    assert set(found["variant"]) == {"small"}
    assert main(command) == 0
    assert "unreadable" in told and "unreadable" not in capsys.readouterr().out
    assert read_evidence(record)["value"].equals(found["value"])
    broken = tmp_path / "broken"
    shutil.copytree(root, broken)
    image = rows.loc[rows["split"] == "test", "image"].iloc[0]
    (broken / image).write_bytes(b"")
    command[3] = str(broken)
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "1 of" in error and "could not be read" in error and image in error
    assert main([*command, "--allow-missing"]) == 0
    assert image in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "source", "name"),
    [
        ("--model", "exp0.5/", "exp0.5"),  # a folder
        ("--model", "exp0.25/", "exp0.25"),
        ("--model", "weights.pt/", "weights.pt"),
        ("--checkpoint", "exp0.5.ckpt", "exp0.5"),
        ("--checkpoint", "exp0.25.PTH", "exp0.25"),
        ("--checkpoint", "carzero_best.v1", "carzero_best.v1"),
    ],
)
def test_the_whole_name_of_a_model_is_recorded(option, source, name, tmp_path):
    if source.endswith("/"):
        (tmp_path / source).mkdir()
    given = ["evaluate", "vindr_cxr", option, str(tmp_path / source)]
    assert _name(_parser().parse_args(given)).variant == name
    assert _name(_parser().parse_args([*given, "--name", "mine"])).variant == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["vindr"], "expected the folder of your copy"),
        (["vindr", "--root", "x"], "did you mean 'vindr_cxr'"),
        (["vindr_cxr", "--root", "x", "--views", "best"], "views: expected one of mean, max"),
        (["vindr_cxr", "--root", "x", "--checkpoint", "no.pt"], "no.pt: expected a saved model"),
        (["vindr_cxr", "--root", "x", "--model", "none"], "expected a saved model"),
        (["vindr_cxr", "--root", "x", "--model", "a", "--checkpoint", "b"], "got both"),
        (["--root", "x"], "name the published set too"),
    ],
)
def test_bad_options_are_one_line(arguments, message, capsys):
    assert main(["evaluate", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_a_wrong_root_is_told(model, tmp_path, capsys):
    command = ["evaluate", "vindr_cxr", "--model", model, *QUICK, "--scores", str(tmp_path)]
    assert main([*command, "--root", str(tmp_path / "none")]) == 1
    assert "got nothing at" in capsys.readouterr().err


def test_a_finished_run_on_a_published_set(tmp_path, monkeypatch, capsys):
    class Curated:
        records = all_records()

    monkeypatch.setattr(material_module, "curate", lambda *_, **__: Curated)
    config = tmp_path / "small.yaml"
    config.write_text(json.dumps({**SMALL, "image_widths": [8, 16]}))
    world = ["--data", str(tmp_path), "--out", str(tmp_path / "runs"), "--config", str(config)]
    root, _ = copy("chestx_det10")
    record = tmp_path / "evidence.csv"
    command = ["evaluate", "chestx_det10", "--root", str(root), *world, *QUICK, "--no-validation",
               "--scores", str(tmp_path / "scores"), "--record", str(record)]  # fmt: skip
    assert main(command) == 1
    assert "run the train command" in capsys.readouterr().err
    assert main(["train", *world]) == 0
    assert main(["evaluate", *world]) == 0
    assert "normal_auc" in capsys.readouterr().out
    assert main(command) == 0
    first = read_evidence(record).iloc[0]
    assert first["variant"] == "offclip" and first["prompting"] == "prompted"
    assert first["seed"] == 0 and first["head"] == "cross_attention"
