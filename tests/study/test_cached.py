"""Runs on image files: the cache in place of rendered draws, both architectures, first weights."""

import json
import shutil
from importlib.resources import files

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from offclip.__main__ import main
from offclip.data.cache import write_cache
from offclip.data.curate import curate
from offclip.data.curation_folder import CURATED
from offclip.data.manifests import load_manifest
from offclip.data.records import write_records
from offclip.evaluation import auc
from offclip.evaluation.protocol import questions
from offclip.folders import Mark, replaced
from offclip.models import PublishedConfig
from offclip.study import CachedMaterial, load_model, material_of, run, run_config, study_records
from tests.study.conftest import SMALL, all_records

TINY = {
    "architecture": "published", "dim": 16, "layers": 4, "heads": 2, "feedforward": 16,
    "image_size": 32, "patch_size": 8, "positions": 32, "text_length": 16, "fusion_layers": 1,
    "fusion_heads": 2, "fusion_feedforward": 16, "hidden": [8], "steps": 3, "batch_size": 8,
    "validate_every": 2,
}  # fmt: skip


def files_and_records(root):
    """Pictures wider than high, with a bar that tells their kind; their records."""
    (root / "images").mkdir(parents=True)
    generator, rows = np.random.default_rng(0), []
    for case in all_records().drop(columns=["drawn"]).to_dict("records"):
        kind = int(case["study_id"][1:]) % 3
        grey = generator.integers(0, 80, (200, 300), dtype=np.uint8)
        grey[:, 100 * kind : 100 * kind + 100] += 150
        name = f"images/{case['study_id']}.png"
        Image.fromarray(grey).save(root / name)
        label = (None, "Cardiomegaly", "Effusion")[kind]
        box = {"label": label, "x_min": 100.0 * kind, "y_min": 0.0,
               "x_max": 100.0 * kind + 100, "y_max": 200.0}  # fmt: skip
        labels = {each: int(each == label) for each in load_manifest("nih_chestxray14").prompts}
        rows.append({
            **case, "dataset": "nih_chestxray14", "patient_id": case["study_id"], "image": name,
            "view": "PA", "width": 300, "height": 200, "access": "open",
            "labels": labels, "boxes": [box] if label else [],
        })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("cached")
    records = files_and_records(root)
    with replaced(root / "curated", Mark(CURATED, "nih_chestxray14")) as work:
        write_records(records, work / "records.parquet")
        write_cache(work, root, list(records["image"]))
    return root / "curated"


def config(variant="offclip", seed=0, **overrides):
    return run_config(variant, head="cross_attention", seed=seed, **overrides)


# Cells whose centres lie in the box of a third of the width, pictures being padded to a square: of
# eight by eight cells, and of four by four in what the published model sees of 36 pixels.
CHANCE = {"small": (2 * 6 / 64, 3 * 6 / 64), "published": (2 * 4 / 16, 1 * 4 / 16)}


@pytest.mark.parametrize("sizes", [SMALL, TINY], ids=["small", "published"])
def test_a_run_on_image_files(sizes, folder, tmp_path):
    material = material_of(folder, tmp_path)
    assert isinstance(material, CachedMaterial) and material.dataset == "nih_chestxray14"
    chosen = {**sizes, "augment": "published"}
    done, again = (run(config(**chosen), material, tmp_path / name) for name in "ab")
    assert done.scores("test").equals(again.scores("test"))
    assert set(done.scores("test").index) == set(material.cases("test")["study_id"])
    assert "augmented" in done.config.name
    hits = done.pointing()
    chance = CHANCE[sizes.get("architecture", "small")]
    assert hits.groupby("label")["chance"].first().to_dict() == {
        "Cardiomegaly": chance[0], "Effusion": chance[1],
    }  # fmt: skip
    records = study_records({"offclip": [done]}, material)
    assert {r.split for r in records} == {"validation", "test"}
    assert {r.dataset for r in records} == {"nih_chestxray14"}
    model = load_model(done)
    picture = material.pictures(material.cases("test"), 256).draw(0)[:2]
    assert model.prepare(torch.from_numpy(picture)).shape[2:] == (sizes["image_size"],) * 2


def test_a_moved_image_cache_is_an_error_and_nothing_is_made_in_its_place(folder, tmp_path):
    curated = tmp_path / "curated"
    shutil.copytree(folder, curated)
    (curated / "pictures.npy").rename(tmp_path / "elsewhere.npy")
    before = {path.name: path.read_bytes() for path in curated.iterdir()}
    with pytest.raises(FileNotFoundError, match="expected a finished image cache"):
        material_of(curated, tmp_path)
    with pytest.raises(ValueError, match="dataset 'nih_chestxray14', now 'openi_phantom'"):
        curate(curated)
    assert {path.name: path.read_bytes() for path in curated.iterdir()} == before


def test_what_the_files_show_is_learned(folder, tmp_path):
    settings = {**SMALL, "steps": 120, "validate_every": 60, "learning_rate": 3e-3}
    material = CachedMaterial.read(folder)
    scores = run(config(**settings), material, tmp_path).scores("test")
    cases = material.cases("test")
    has = {
        "there is clear lung": cases["is_normal"],
        "there is pleural effusion": cases["labels"].map(lambda labels: labels["Effusion"]),
    }
    for prompt, positive in has.items():
        assert auc(positive.to_numpy(dtype=bool), scores[prompt].to_numpy()) > 0.95


def test_a_run_starts_from_the_given_weights(folder, tmp_path):
    material = CachedMaterial.read(folder)
    first = run(config(**TINY), material, tmp_path / "first")
    weights = first.folder / "best.safetensors"
    assert weights.exists()
    model = load_model(first)
    model.save_pretrained(tmp_path / "saved")
    still = {**TINY, "learning_rate": 1e-12, "warmup": 0.0, "init": str(tmp_path / "saved")}
    kept = run(config(**still), material, tmp_path / "kept")
    assert "from saved" in kept.config.name
    np.testing.assert_allclose(kept.scores("test"), first.scores("test"), atol=1e-5)
    (tmp_path / "saved").rename(tmp_path / "moved")
    moved = {**still, "init": str(tmp_path / "moved")}
    assert run(config(**moved), material, tmp_path / "kept").folder == kept.folder
    with pytest.raises(ValueError, match=r"other sizes: feedforward is 16 there, 32 here"):
        run(config(**{**moved, "feedforward": 32}), material, tmp_path / "other")
    with pytest.raises(ValueError, match="architecture: published for CARZero's"):
        run(config(**SMALL, init=str(tmp_path / "moved")), material, tmp_path / "other")
    with pytest.raises(FileNotFoundError, match="expected a file or a folder with files"):
        run(config(**{**moved, "init": str(tmp_path / "gone")}), material, tmp_path)


def world_of(folder, tmp_path, **settings):
    """Options of a command on the small published model, its YAML file written."""
    untimed = {name: TINY[name] for name in TINY if name not in ("steps", "validate_every")}
    (tmp_path / "tiny.yaml").write_text(json.dumps(untimed | settings))
    return ["--data", str(folder), "--out", str(tmp_path / "runs"),
            "--config", str(tmp_path / "tiny.yaml")]  # fmt: skip


@pytest.mark.parametrize(
    ("accumulate", "steps"), [(1, [4, 8, 9]), (2, [2, 4]), (3, [1, 2, 3]), (64, [1])]
)
def test_epochs_are_passes_however_many_batches_make_a_step(accumulate, steps, folder, tmp_path):
    """Two passes over 36 studies in batches of 8, validated each pass."""
    assert main(["train", *world_of(folder, tmp_path, epochs=2, accumulate=accumulate)]) == 0
    log = pd.read_json(next((tmp_path / "runs").glob("*/log.jsonl")), lines=True)
    assert log["step"].tolist() == steps


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 2, "steps": 9}, "expected epochs or steps, got both"),
        ({"epochs": 0.5}, "epochs: expected a whole number of at least 1, got 0.5"),
        ({"epochs": 0}, "epochs: expected a whole number of at least 1, got 0"),
        ({"epochs": 2, "accumulate": 0}, "accumulate: expected a whole number of at least 1"),
        ({"epochs": 2, "batch_size": 0}, "batch_size: expected a whole number of at least 1"),
    ],
)
def test_epochs_that_make_no_budget_are_refused(settings, message, folder, tmp_path, capsys):
    assert main(["train", *world_of(folder, tmp_path, **settings)]) == 1
    assert message in capsys.readouterr().err


def test_a_budget_is_passes_over_the_studies(folder, tmp_path):
    material = material_of(folder, tmp_path)
    assert material.budget(2, 8) == {
        "steps": 9, "validate_every": 1, "batch_size": 8, "accumulate": 1,
    }  # fmt: skip
    for accumulate in (1, 2, 4):
        train = config(**{**TINY, **material.budget(30, 8, accumulate)}).train
        passes = train.steps * train.batch_size * train.accumulate / 36
        assert 30 - 8 * accumulate / 36 < passes <= 30


def test_a_model_made_on_the_command_line_scores_and_is_not_exported(folder, tmp_path, capsys):
    world = world_of(folder, tmp_path, epochs=1)
    assert main(["train", *world]) == 0
    assert main(["evaluate", *world]) == 0
    image = str(folder.parent / "images" / "S200.png")
    assert main(["predict", *world, image, "--prompt", "there is cardiomegaly"]) == 0
    assert "S200.png" in capsys.readouterr().out
    assert main(["export", *world, "--seeds", "0", "--to", str(tmp_path / "model")]) == 1
    assert "the card is written for small models" in capsys.readouterr().err


def test_the_papers_settings_are_settings():
    text = (files("offclip") / "configs" / "paper.yaml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text)
    assert settings.pop("epochs") == 15
    paper = config(**settings)
    assert paper.model == PublishedConfig(vocabulary=0) and paper.train.batch_size == 256
    assert (paper.train.optimizer, paper.train.schedule) == ("adam", "plateau")


def test_labels_that_are_unknown_count_nowhere(folder):
    material = CachedMaterial.read(folder)
    cases = material.cases("test")
    scores = pd.DataFrame(
        np.random.default_rng(0).random((len(cases), len(material.asked.prompts))),
        index=cases["study_id"], columns=material.asked.prompts,
    )  # fmt: skip
    first = next(i for i, labels in enumerate(cases["labels"]) if not labels["Effusion"])
    cases.at[first, "labels"] = {**cases.at[first, "labels"], "Effusion": None}
    for question in questions(scores, cases, material.asked):
        unknown = question.metric.startswith("abnormal") and question.detail == "Effusion"
        if unknown or question.among.all():
            assert question.among[first] != unknown
