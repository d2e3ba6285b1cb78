"""Readers on the real label files: the published figures come out."""

import gzip
from collections import Counter

import pandas as pd
import pytest

from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS
from offclip.data.readers.openi_images import NO_FINDING, PUBLISHED, TERMS
from offclip.data.tables import read_table
from tests.data.label_files import label_file

PADCHEST = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"


def as_expected(dataset, counts):
    """The counts that the manifest expects and that this reading has."""
    expected = load_manifest(dataset).expected
    return {name: counts.get(name) for name in expected}, dict(expected)


@pytest.fixture(scope="module")
def padchest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("padchest")
    label_file(PADCHEST, folder)
    return READERS["padchest"](folder)


def test_padchest_has_its_published_figures(padchest):
    rows, counts = padchest
    got, expected = as_expected("padchest", counts)
    assert got == expected
    assert expected["physician"] == 39_053 and expected["normal"] == 12_694
    assert counts["network"] == 121_808 and counts["method_unknown"] == 0
    assert (rows["reason"] == "").all() and len(rows) == 39_053
    assert counts["lateral"] == 12_608 and rows["view"].nunique() == 4


def test_every_padchest_label_has_a_prompt_but_for_normal(padchest):
    rows, _ = padchest
    manifest = load_manifest("padchest")
    found = {label for each in rows["labels"] for label in each}
    assert found == {*manifest.prompts, manifest.normal_label}
    assert not set(rows["image"]) & set(manifest.known_bad)  # all 21 are the network's


def test_nih_has_its_published_figures(tmp_path):
    table = read_table(label_file("Data_Entry_2017_v2020.csv.gz", tmp_path), ("Image Index",))
    label_file("BBox_List_2017.csv.gz", tmp_path)
    names = table["Image Index"].tolist()
    (tmp_path / "train_val_list.txt").write_text("\n".join(names))
    (tmp_path / "test_list.txt").write_text("")
    rows, counts = READERS["nih_chestxray14"](tmp_path)
    got, expected = as_expected("nih_chestxray14", counts)
    assert got == expected == {
        "images": 112_120, "patients": 30_805, "normal": 60_361, "boxes": 984
    }  # fmt: skip
    assert counts["boxes_malformed"] == counts["boxes_without_image"] == 0
    assert (rows["reason"] == "").all() and set(rows["view"]) == {"PA", "AP"}
    boxed = Counter(box["label"] for boxes in rows["boxes"] for box in boxes)
    assert boxed["Infiltration"] == 123 and boxed["Atelectasis"] == 180 and len(boxed) == 8
    share = (rows["split"] == "validation").mean()
    assert 0.11 < share < 0.14
    assert rows.groupby("patient_id")["split"].nunique().max() == 1


def test_openi_by_both_rules(tmp_path):
    label_file("NLMCXR_reports.tgz", tmp_path)
    rows, counts = READERS["openi"](tmp_path)
    got, expected = as_expected("openi", counts)
    assert got == expected and counts["malformed_reports"] == 0
    assert counts["reports_without_image"] == 104
    published = pd.Series([each[PUBLISHED + NO_FINDING] for each in rows["labels"]])
    assert published.sum() == 4715 and (published.eq(1) & rows["is_normal"]).sum() == 2696
    by_class = {name: sum(each[PUBLISHED + name] for each in rows["labels"]) for name in TERMS}
    assert len(by_class) == 18 and by_class["Lung Lesion"] == 7 and by_class["Mass"] == 13
    ours = {name: sum(each[name] for each in rows["labels"]) for name in TERMS}
    assert ours["Granuloma"] == 419 < by_class["Granuloma"] == 781  # calcified ones apart
    assert all(isinstance(each, list) for each in rows["sentences"])
    assert rows["sentences"].map(len).median() > 4


def test_chexpert_train_has_one_label_a_study(tmp_path):
    whole = label_file("chexpert_train.csv.gz", tmp_path)
    with gzip.open(whole, "rt", encoding="utf-8") as file:
        lines = file.readlines()
    assert len(lines) - 1 == load_manifest("chexpert").expected["train_images"] == 223_414
    (tmp_path / "train.csv").write_text("".join(lines[:20_001]))
    rows, counts = READERS["chexpert"](tmp_path)
    assert counts["train_images"] == counts["listed"] == 20_000
    assert (rows["reason"] == "").all() and set(rows["view"]) >= {"AP", "PA", "LATERAL"}
    labels = rows["labels"].iloc[1]  # of the published file's second row
    assert labels["Lung Opacity"] == labels["Fracture"] == 1 and labels["Edema"] is None
    assert labels["No Finding"] == 0


def test_the_copy_of_vindr_on_kaggle_is_refused_by_name(tmp_path):
    label_file("vinbigdata-train.csv.gz", tmp_path, called="train.csv.gz")
    with pytest.raises(FileNotFoundError, match=r"train\.csv.*Kaggle.*PhysioNet"):
        READERS["vindr_cxr"](tmp_path)
