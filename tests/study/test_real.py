"""Cross-fitting on real images: every image once, patients apart, another start, no second run."""

from dataclasses import replace

import numpy as np
import pytest

from offclip.data.batches import AugmentedImages
from offclip.models import load_tokenizer, train_tokenizer
from offclip.study import protocol, run, run_config
from offclip.study.real import RealSet, cross_fit, cross_fit_key, folds_of
from tests.study.conftest import SMALL, all_records


@pytest.fixture(scope="module")
def real():
    records = all_records().head(36).assign(width=80, height=64)
    records["patient_id"] = [f"P{i // 2}" for i in range(36)]
    records["boxes"] = [
        [{"label": "Lung Opacity", "x_min": 0.0, "y_min": 0.0, "x_max": 80.0, "y_max": 64.0}]
        if i % 3
        else []
        for i in range(36)
    ]
    pixels = np.random.default_rng(0).integers(0, 255, (36, 64, 64), dtype=np.uint8)
    pictures = AugmentedImages(list(records["study_id"]), pixels)
    return RealSet(records, pictures, protocol(), {"Lung Opacity": "opacity"})


def config(variant="offclip", **overrides):
    return run_config(variant, head="cross_attention", seed=0, **{**SMALL, **overrides})


def test_patients_stay_together_and_normal_ones_are_spread(real):
    folds = folds_of(real.records, 3, seed=0)
    assert real.records.groupby("patient_id")["study_id"].count().max() == 2
    assert (real.records.assign(fold=folds).groupby("patient_id")["fold"].nunique() == 1).all()
    normal = np.bincount(folds[real.records["is_normal"].to_numpy(dtype=bool)])
    assert normal.min() >= 3
    assert (folds_of(real.records, 3, seed=0) == folds).all()
    with pytest.raises(ValueError, match="folds: expected 3 to 18"):
        folds_of(real.records, 2, seed=0)


def test_every_image_is_scored_once_by_a_model_that_has_not_seen_it(real, tmp_path):
    tokenizer = tokenizer_of(real)
    found = cross_fit(real, config(), tokenizer, tmp_path, folds=3)
    assert list(found.scores.index) == list(real.records["study_id"])
    assert list(found.scores.columns) == real.asked.prompts
    of_fold = found.scores.groupby(folds_of(real.records, 3, seed=0))
    assert of_fold.mean().abs().to_numpy().max() < 1e-5
    assert np.abs(of_fold.std().to_numpy() - 1).max() < 1e-5
    assert len(found.hits) == 24 and found.hits["chance"].between(0.7, 0.9).all()
    next(tmp_path.glob("*/fold_0/best.safetensors")).unlink()
    again = cross_fit(real, config(), tokenizer, tmp_path, folds=3)
    assert again.scores.equals(found.scores)


def tokenizer_of(real, *more):
    texts = [text for each in real.records["prompts"] for text in each]
    return train_tokenizer([*texts, *real.asked.prompts, *real.asked.prompts, *more])


def test_all_that_decides_the_folds_names_them(real):
    pixels = real.pictures.images.copy()
    pixels[0, 0, 0] ^= 1
    pictures = AugmentedImages(real.pictures.ids, pixels)
    records = real.records.assign(is_normal=~real.records["is_normal"])
    tokenizer = tokenizer_of(real)
    keys = [
        cross_fit_key(real, config(), tokenizer, folds=3),
        cross_fit_key(real, config(), tokenizer, folds=4),
        cross_fit_key(real, config("infonce"), tokenizer, folds=3),
        cross_fit_key(real, config(steps=4), tokenizer, folds=3),
        cross_fit_key(real, config(), tokenizer_of(real, "word", "word"), folds=3),
        cross_fit_key(replace(real, pictures=pictures), config(), tokenizer, folds=3),
        cross_fit_key(replace(real, records=records), config(), tokenizer, folds=3),
        cross_fit_key(replace(real, boxed={}), config(), tokenizer, folds=3),
    ]
    assert len(set(keys)) == len(keys)
    assert cross_fit_key(real, config(), tokenizer_of(real), folds=3) == keys[0]


def test_folds_of_another_number_do_not_mix(real, tmp_path):
    tokenizer = tokenizer_of(real)
    first = cross_fit(real, config(), tokenizer, tmp_path, folds=3).scores
    other = cross_fit(real, config(), tokenizer, tmp_path, folds=4).scores
    assert len(first) == len(other) == 36 and not first.equals(other)


def test_a_phantom_run_can_be_the_start(real, material, tmp_path):
    start = run(config(), material, tmp_path / "phantom")
    tokenizer = load_tokenizer(start.folder)
    still = config(learning_rate=1e-12)
    found = cross_fit(real, still, tokenizer, tmp_path / "real", folds=3, start=start)
    fresh = cross_fit(real, still, tokenizer, tmp_path / "fresh", folds=3)
    assert not np.allclose(found.scores, fresh.scores)


def test_draws_move_a_picture_a_little_and_repeat():
    pixels = np.zeros((1, 64, 64), np.uint8)
    pixels[0, 24:40, 24:40] = 200
    pictures = AugmentedImages(["a"], pixels)
    assert pictures.draw(0) is pixels
    first, second = pictures.draw(1), pictures.draw(2)
    assert first.shape == pixels.shape and first.dtype == np.uint8
    assert (first != second).any() and (first == pictures.draw(1)).all()
    bright = np.argwhere(first[0] > 100)
    assert np.abs(bright.mean(axis=0) - 31.5).max() <= 4.5
    with pytest.raises(ValueError, match="expected 2"):
        AugmentedImages(["a", "b"], pixels)
