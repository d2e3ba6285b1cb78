"""The command line: commands run end to end, and errors are one clear line."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest

from offclip.__main__ import main
from offclip.data.fetch import SourceUnreachable
from offclip.evaluation import read_evidence
from offclip.folders import WORK, read_mark
from offclip.rehearsal import rehearse
from offclip.study import material as material_module
from tests.study.conftest import SMALL, all_records

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder whose curation gives the small synthetic records."""

    class Curated:
        records = all_records()

    monkeypatch.setattr(material_module, "curate", lambda *_, **__: Curated)
    config = tmp_path / "small.yaml"
    config.write_text(json.dumps({**SMALL, "image_widths": [8, 16]}))
    return ["--data", str(tmp_path), "--out", str(tmp_path / "runs"), "--config", str(config)]


def test_train_then_evaluate(world, capsys):
    assert main(["evaluate", *world]) == 1
    assert "run the train command" in capsys.readouterr().err
    assert main(["train", *world]) == 0
    assert main(["evaluate", *world]) == 0
    printed = capsys.readouterr().out
    assert "normal_auc" in printed and "pointing" in printed


def test_predict_scores_an_image_file(world, capsys, tmp_path):
    import numpy as np
    from PIL import Image

    path = tmp_path / "chest.png"
    Image.fromarray(np.full((80, 80), 90, dtype=np.uint8)).save(path)
    assert main(["train", *world]) == 0
    assert main(["predict", *world, str(path), "--prompt", "there is cardiomegaly"]) == 0
    assert str(path) in capsys.readouterr().out
    assert main(["predict", *world, "missing.png", "--prompt", "there is cardiomegaly"]) == 1
    assert "missing.png" in capsys.readouterr().err


def test_export_then_predict_with_the_model(world, capsys, tmp_path):
    import numpy as np
    from PIL import Image

    path, folder = tmp_path / "chest.png", tmp_path / "model"
    Image.fromarray(np.full((80, 60), 90, dtype=np.uint8)).save(path)
    asked = [str(path), "--prompt", "there is cardiomegaly"]
    command = ["export", *world, "--seeds", "0", "1", "--to", str(folder)]
    assert main(command) == 1
    assert "train one first" in capsys.readouterr().err
    assert main(["train", *world]) == 0
    assert main(command) == 0
    assert "seed 0 of 1 finished runs" in capsys.readouterr().out
    card = (folder / "README.md").read_text()
    assert "Not for clinical use" in card and "Normality AUC" in card and "best" not in card
    assert main(["predict", *world, *asked]) == 0
    by_run = capsys.readouterr().out
    assert main(["predict", "--model", str(folder), *asked]) == 0
    assert capsys.readouterr().out == by_run
    (folder / "config.json").write_text("{}")
    assert main(["predict", "--model", str(folder), *asked]) == 1
    assert "expected a model_type of offclip, carzero" in capsys.readouterr().err
    assert main(["predict", "--model", str(tmp_path / "none"), *asked]) == 1
    assert "expected a saved model" in capsys.readouterr().err


def test_predict_reads_folders_writes_a_table_and_names_what_it_refused(world, capsys, tmp_path):
    import numpy as np
    import pandas as pd
    from PIL import Image

    folder, table = tmp_path / "images", tmp_path / "scores.csv"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.png", "deep/a.jpg"):
        Image.fromarray(np.full((80, 60), 90, dtype=np.uint8)).save(folder / name)
    (folder / "notes.txt").write_text("not an image")
    assert main(["train", *world]) == 0
    command = ["predict", *world, str(folder), "--prompt", "there is cardiomegaly"]
    assert main([*command, "--csv", str(table)]) == 0
    scores = pd.read_csv(table, index_col="file")
    assert list(scores.index) == [str(folder / "b.png"), str(folder / "deep" / "a.jpg")]
    assert list(scores.columns) == ["there is cardiomegaly"] and scores.notna().all().all()
    (folder / "broken.png").write_bytes(b"nothing")
    assert main([*command, "--csv", str(table)]) == 1
    assert "expected a new file, got one that offclip would overwrite" in capsys.readouterr().err
    assert main([*command, "--csv", str(table), "--force"]) == 1
    told = capsys.readouterr()
    assert "2 images" in told.out and "1 of 3 images not scored" in told.err
    assert "broken.png: expected a DICOM, PNG or JPEG" in told.err
    (tmp_path / "empty").mkdir()
    assert main(["predict", *world, str(tmp_path / "empty"), "--prompt", "there is edema"]) == 1
    assert "no image in this folder" in capsys.readouterr().err
    both = ["--checkpoint", "x.pt", "--model", "y"]
    assert main([*command, *both]) == 1 and "expected one of them" in capsys.readouterr().err
    assert main([*command, "--checkpoint", str(tmp_path / "x.pt")]) == 1
    assert "x.pt: expected a saved model" in capsys.readouterr().err


def test_study_writes_records(world, tmp_path):
    path = tmp_path / "records.csv"
    command = ["study", *world, "--variants", "infonce@raw", "offclip", "--seeds", "0", "1"]
    assert main([*command, "--record", str(path)]) == 0
    records = read_evidence(path)
    assert set(zip(records["variant"], records["prompting"], strict=True)) == {
        ("infonce", "raw"),
        ("offclip", "prompted"),
    }
    details = records[records["metric"] == "normal_auc_difference"]["detail"]
    assert "offclip minus infonce@raw: mean" in set(details)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variant", "offclop"], "variant: expected one of"),
        (["--head", "dot"], "head: expected one of"),
        (["--config", "none.yaml"], "none.yaml"),
    ],
)
def test_bad_options_are_one_line(world, arguments, message, capsys):
    assert main(["train", *world, *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_prompts_and_classes_come_from_the_manifest():
    asked = material_module.protocol()
    assert "there is no pneumothorax" in asked.prompts and len(asked.normal_prompts) >= 6


def test_no_source_answers_is_a_message_not_a_traceback(monkeypatch, capsys):
    def unreachable(*_, **__):
        raise SourceUnreachable("openi_reports: no source could be reached")

    monkeypatch.setattr(import_module("offclip.data.fetch"), "fetch", unreachable)
    assert main(["fetch", "openi_reports"]) == 1
    assert capsys.readouterr().err == ("offclip fetch: openi_reports: no source could be reached\n")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A synthetic copy of MIMIC-CXR, large enough to be interrupted."""
    return rehearse("mimic_cxr", tmp_path_factory.mktemp("copy") / "mimic", studies=150, size=128)


def command(*words, **options):
    """A command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "offclip", *map(str, words)], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_is_one_line_and_the_work_goes_on_later(jobs, copy, tmp_path):
    out = tmp_path / "out"
    words = ("curate", "mimic_cxr", "--root", copy, "--out", out, "--jobs", jobs)
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background is deaf
    child = command(*words, start_new_session=True, preexec_fn=heard)  # a group, as of a terminal
    while not (out / WORK / "pictures.npy").exists():
        assert child.poll() is None
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130
    assert said == "offclip curate: interrupted; what is finished stays\n"
    assert main([str(word) for word in words]) == 0


def test_a_full_disk_is_one_line_with_the_path(copy, tmp_path):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))

    out = tmp_path / "out"
    words = ("curate", "mimic_cxr", "--root", copy, "--out", out, "--jobs", 1)
    child = command(*words, preexec_fn=limited)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 1 and said.count("\n") == 1
    assert f"could not write {out / WORK / 'pictures.npy'}: File too large" in said
    assert read_mark(out) is None
    assert main([str(word) for word in words]) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("check vindr_cxr --root archive.zip", "got a file, archive.zip; unpack an archive"),
        ("curate vindr_cxr --root archive.zip --out x", "got a file, archive.zip; unpack an"),
        ("curate vindr_cxr --root gone --out x", "got nothing at gone"),
        ("check vindr_cxr --root . --csv /proc/self/out.csv", "cannot be written"),
        ("predict p.png --prompt x --model m --csv /proc/self/out.csv", "cannot be written"),
        ("check vindr_cxr --root . --csv .", "expected a name for a file, got a folder"),
    ],
)
def test_wrong_places_are_named_at_once(line, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "archive.zip").write_bytes(b"PK")
    assert main(line.split()) == 1
    assert message in capsys.readouterr().err
