"""Published sets end to end, on rehearsal copies: units, splits, faults and evidence."""

import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS
from offclip.evaluation import read_evidence, score_table, write_evidence
from offclip.evaluation.published_protocol import ACCURACY, AUC, MACRO
from offclip.imaging import read_radiograph
from offclip.imaging.resize import published_square
from offclip.models import PublishedCARZero, PublishedConfig, train_tokenizer
from offclip.study.benchmark import Options, Scorer, evaluate_published_set, resize_for
from offclip.study.benchmark.sets import PUBLISHED, corrected_set
from tests.study.benchmark.fakes import FEW, NAME, copy, evaluated, oracle, values


def test_thresholds_come_from_validation_where_the_set_has_one(tmp_path):
    found = evaluated("chexpert", tmp_path)
    balanced = values(found, "normal_balanced_accuracy")
    assert balanced["test", "normal_balanced_accuracy", "mean"] == 1.0
    own = values(found, ACCURACY)  # the images at the threshold are all of the positives
    assert own["test", ACCURACY, MACRO] < 1
    without = Options(validation=False, min_positives=2, resamples=20)
    found = evaluated("chexpert", tmp_path, options=without)
    assert not values(found, "normal_balanced_accuracy")
    assert any("validation was not asked for" in note for note in found.notes)
    found = evaluated("padchest", tmp_path)
    assert not values(found, "normal_balanced_accuracy")
    assert any("no validation part" in note for note in found.notes)


def test_units_are_studies_and_the_published_ones_are_images(tmp_path):
    _, rows = copy("chexpert")
    test = rows[rows["split"] == "test"]
    assert test["study_id"].nunique() < len(test)
    found = evaluated("chexpert", tmp_path)
    n = {record.metric: record.n for record in found.records}
    assert n[AUC] == len(test) and n["normal_auc"] == test["study_id"].nunique()
    assert found.table.loc["images | studies"].tolist() == [n[AUC], n["normal_auc"]]
    some = Options(views="frontal", min_positives=2, resamples=20)
    found = evaluated("chexpert", tmp_path, options=some)
    assert {r.n for r in found.records if r.metric == "normal_auc"} == {
        test.loc[test["view"] != "LATERAL", "study_id"].nunique()
    }


def test_openi_is_measured_with_and_without_laterals(tmp_path):
    _, rows = copy("openi")
    found = evaluated("openi", tmp_path)
    n = {(r.split, r.metric): r.n for r in found.records}
    frontal = rows[rows["view"].isin(["PA", "AP", "FRONTAL"])]["study_id"].nunique()
    assert n["test", "normal_auc"] == rows["study_id"].nunique()
    assert n["test_frontal", "normal_auc"] == frontal < n["test", "normal_auc"]
    assert n["test", AUC] == len(rows)


def test_vindr_drops_images_in_the_published_protocol_alone(tmp_path):
    _, rows = copy("vindr_cxr")
    test = rows[rows["split"] == "test"]
    rules = PUBLISHED["vindr_cxr"]
    kept = sum(any(own.get(name) == 1 for name in rules.phrases) for own in test["labels"])
    found = evaluated("vindr_cxr", tmp_path)
    n = {record.metric: record.n for record in found.records}
    assert n[AUC] == kept and n["normal_auc"] == len(test)
    said = [note for note in found.notes if "dropped" in note]
    assert bool(said) == (kept < len(test))
    assert any("windowed as ours" in note for note in found.notes)


def test_padchest_means_with_and_without_what_is_no_finding(tmp_path):
    found = values(evaluated("padchest", tmp_path), "abnormal_auc_pos", "non_disease")
    details = {detail for _, metric, detail in found if metric == "non_disease_auc_pos"}
    assert details and details <= {"unchanged", "suboptimal study", "exclude"}
    assert ("test", "abnormal_auc_pos", "mean, with labels that are no findings") in found
    assert not details & {d for _, metric, d in found if metric == "abnormal_auc_pos"}


def test_rare_classes_are_named_with_their_counts(tmp_path):
    options = Options(min_positives=12, resamples=20)
    found = evaluated("vindr_cxr", tmp_path, options=options)
    _, rows = copy("vindr_cxr")
    test = rows[rows["split"] == "test"]
    counts = {
        name: sum(own.get(name) == 1 for own in test["labels"])
        for name in corrected_set("vindr_cxr").protocol.phrases
    }
    expected = {name: n for name, n in counts.items() if n < 12}
    assert found.left_out["corrected"] == expected
    assert any(f"Atelectasis ({counts['Atelectasis']})" in n for n in found.notes) == (
        "Atelectasis" in expected
    )
    theirs = {n for n, k in counts.items() if k == 0 and n in PUBLISHED["vindr_cxr"].phrases}
    assert set(found.left_out["published"]) == theirs


def test_without_boxes_labels_or_normal_cases_the_rest_is_measured(tmp_path):
    found = evaluated("ms_cxr", tmp_path)
    assert {record.metric for record in found.records} == {"pointing", "pointing_chance"}
    assert any("no normality AUC" in note for note in found.notes)
    assert any("all known cases are positive" in note for note in found.notes)
    with pytest.raises(ValueError, match="no published one of ms_cxr"):
        evaluated("ms_cxr", tmp_path, options=Options(protocol="published"))


@pytest.fixture
def broken(tmp_path):
    """A copy of the ChestX-Det10 rehearsal with one image gone and one damaged."""
    root, rows = copy("chestx_det10")
    shutil.copytree(root, tmp_path / "broken")
    first, second = rows.loc[rows["split"] == "test", "image"].iloc[[3, 7]]
    (tmp_path / "broken" / first).unlink()
    (tmp_path / "broken" / second).write_bytes(b"\x89PNG\r\n")
    return tmp_path / "broken", rows, {first, second}


def test_images_that_cannot_be_read_are_counted_and_named(broken, tmp_path):
    root, rows, missing = broken
    scorer = oracle("chestx_det10", root, rows)

    def run(**settings):
        return evaluate_published_set(
            "chestx_det10", root, scorer, NAME, folder=tmp_path / "scores",
            options=Options(min_positives=2, resamples=20, **settings),
        )  # fmt: skip

    with pytest.raises(ValueError, match="2 of .* images could not be read") as told:
        run()
    assert all(name.rpartition("/")[2] in str(told.value) for name in missing)
    assert "--allow-missing" in str(told.value)
    seen = scorer.model.seen
    found = run(allow_missing=True)
    assert {name.rpartition("/")[2] for name in found.missing} == {
        name.rpartition("/")[2] for name in missing
    }
    assert any("2 of" in note and "no scores" in note for note in found.notes)
    assert found.table.loc["test images without scores"].tolist() == [2, 2]
    whole = int((rows["split"] == "test").sum())
    assert {r.n for r in found.records if r.metric in (AUC, "normal_auc")} == {whole - 2}
    assert scorer.model.seen - seen < 2 + 16 + 30, "only the unreadable ones are tried again"


def test_rows_in_another_order_give_the_same_numbers(tmp_path, monkeypatch):
    plain = evaluated("nih_chestxray14", tmp_path / "plain")
    read = READERS["nih_chestxray14"]

    def shuffled(root, *, seed=0):
        found, counts = read(root, seed=seed)
        return found.sample(frac=1, random_state=3).reset_index(drop=True), counts

    monkeypatch.setitem(READERS, "nih_chestxray14", shuffled)
    again = evaluated("nih_chestxray14", tmp_path / "shuffled")
    assert values(again, "") == pytest.approx(values(plain, ""))


def test_evidence_is_written_and_holds_no_image(tmp_path):
    found = evaluated("chexpert", tmp_path)
    path = write_evidence(tmp_path / "evidence.csv", found.records)
    table = read_evidence(path)
    assert len(table) == len(found.records)
    assert not table.duplicated(["split", "metric", "detail", "variant"]).any()
    text = path.read_text()
    _, rows = copy("chexpert")
    assert not any(name in text for name in [*rows["study_id"], *rows["image"]])
    lowest = table.set_index("metric")["low"]
    assert not np.isnan(lowest["normal_auc_free"]) and (table["n"] > 1).all()
    record = table.iloc[0]
    assert record["variant"] == "a model" and record["dataset"] == "chexpert"
    highest = Options(views="max", min_positives=2, resamples=20)
    other = evaluated("chexpert", tmp_path, options=highest)
    assert other.folder == found.folder and other.records[0].config != record["config"]


def test_wrong_roots_and_names(tmp_path):
    root, rows = copy("vindr_cxr")
    scorer = oracle("vindr_cxr", root, rows)

    def run(dataset, where):
        return evaluate_published_set(dataset, where, scorer, NAME, folder=tmp_path / "scores")

    with pytest.raises(ValueError, match="did you mean 'vindr_cxr'"):
        run("vindr", root)
    with pytest.raises(ValueError, match="dataset: expected one of"):
        run("openi_phantom", root)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="annotations"):
        run("vindr_cxr", tmp_path / "empty")
    with pytest.raises(ValueError, match="scores: expected a folder outside of root"):
        run("vindr_cxr", tmp_path)
    shutil.copytree(root / "annotations", tmp_path / "tables" / "annotations")
    with pytest.raises(FileNotFoundError, match="none of the .* test images is there"):
        run("vindr_cxr", tmp_path / "tables")
    shutil.rmtree(tmp_path / "tables" / "annotations")
    shutil.copytree(root / "annotations", tmp_path / "tables" / "annotations",
                    ignore=shutil.ignore_patterns("*_test.csv"))  # fmt: skip
    with pytest.raises(ValueError, match="no image of the test part"):
        run("vindr_cxr", tmp_path / "tables")
    for wrong in ({"protocol": "all"}, {"views": "best"}, {"resamples": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected"):
            Options(**wrong)


def test_published_pixels_are_another_reading_of_dicom_files(tmp_path):
    root, rows = copy("vindr_cxr")
    scorer = oracle("vindr_cxr", root, rows)
    options = Options(published_pixels=True, min_positives=2, resamples=20)
    found = evaluate_published_set(
        "vindr_cxr", root, scorer, NAME, options=options, folder=tmp_path
    )
    assert any("divided by their maximum" in note for note in found.notes)
    variants = {r.variant for r in found.records if r.metric == AUC}
    assert variants == {"a model, published pixels"}
    published, ours = (
        found.table.loc["normal: “there is no finding”", side]
        for side in ("published", "corrected")
    )
    assert ours == 1 and published < 1, "pictures read otherwise are not recognised"
    assert len(list(tmp_path.glob("vindr_cxr-*"))) == 2
    with pytest.raises(ValueError, match="read in one way only"):
        evaluated("openi", tmp_path, options=options)


def test_the_published_architecture_sees_its_own_squares(tmp_path):
    root, rows = copy("chestx_det10")
    words = [f"there is no {phrase}" for phrase in load_manifest("chestx_det10").prompts.values()]
    sizes = PublishedConfig(
        vocabulary=64, dim=16, layers=4, heads=2, feedforward=16, image_size=32, patch_size=8,
        positions=32, text_length=16, fusion_layers=1, fusion_heads=2, fusion_feedforward=16,
        hidden=(8,),
    )  # fmt: skip
    torch.manual_seed(0)
    model = PublishedCARZero(sizes, train_tokenizer([*words, *words])).eval()
    scorer = Scorer(model, resize_for(model))
    assert scorer.resize is published_square
    found = evaluate_published_set("chestx_det10", root, scorer, NAME, options=FEW, folder=tmp_path)
    kept = pd.read_parquet(found.folder / "scores.parquet")
    image = rows.loc[rows["split"] == "test", "image"].iloc[5]
    picture = published_square(read_radiograph(root / image))[None]
    own = score_table(model, picture, ["it"], list(kept.columns)).loc["it"]
    np.testing.assert_allclose(kept.loc[image], own, atol=1e-5)
    n = {record.metric: record.n for record in found.records if record.detail == "mean"}
    assert n["pointing"] > 0 and n["pointing"] == n["pointing_chance"]


def test_a_table_says_both_side_by_side(tmp_path):
    table = evaluated("padchest", tmp_path).table
    assert list(table.columns) == ["published", "corrected"] and table.notna().any(axis=1).all()
    assert isinstance(table, pd.DataFrame) and np.isfinite(table.loc["pooled AUC", "published"])


def test_copies_of_a_set_keep_their_scores_side_by_side(tmp_path):
    """A, then B, then A again: nothing is scored twice, and each has its own numbers."""
    root, rows = copy("vindr_cxr")
    other = tmp_path / "other"
    shutil.copytree(root, other)
    scorers = {each: oracle("vindr_cxr", each, rows) for each in (root, other)}
    folders, seen = [], []
    for each in (root, other, root, other):
        found = evaluate_published_set(
            "vindr_cxr", each, scorers[each], NAME, options=FEW, folder=tmp_path / "scores"
        )
        folders.append(found.folder)
        seen.append(scorers[each].model.seen)
    assert folders[0] == folders[2] != folders[1] == folders[3]
    assert seen[2] == seen[0] > 0 and seen[3] == seen[1] > 0


def test_prompts_with_an_unknown_word_have_no_number_and_are_counted(tmp_path):
    whole = evaluated("vindr_cxr", tmp_path / "whole")
    found = evaluated("vindr_cxr", tmp_path / "part", unknown=("pneumothorax", "acute"))
    gone = set(values(whole, "")) - set(values(found, ""))
    assert not [key for key in values(found, "") if "neumothorax" in key[2]]
    assert {key[2] for key in gone} >= {"Pneumothorax"} and "macro" not in {k[2] for k in gone}
    assert found.unknown["there is no pneumothorax"] == ["pneumothorax"]
    known = [prompt for prompt in found.unknown if "pneumothorax" not in prompt]
    assert all("acute" in prompt for prompt in known)
    row = found.table.loc["prompts with an unknown word"]
    assert row.tolist() == [len(found.unknown)] * 2
    assert "prompts with an unknown word" not in whole.table.index
    assert any(f"{len(found.unknown)} of " in note for note in found.notes)
    classes = "classes in the mean"
    assert found.table.loc[classes, "published"] == whole.table.loc[classes, "published"] - 1
    with pytest.raises(ValueError, match="lacks a word of each of the .* prompts of vindr_cxr"):
        evaluated("vindr_cxr", tmp_path / "none", unknown=("there",))
