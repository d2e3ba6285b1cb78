"""Synthetic copies: each layout is read by its reader, says what it is, is the same each time."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from offclip.cli.rehearse import add
from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS
from offclip.imaging import read_radiograph
from offclip.phantom import render
from offclip.rehearsal import LAYOUTS, MARKER, rehearse
from offclip.rehearsal.studies import (
    FINDINGS,
    Study,
    rendered,
    report,
    sample_studies,
    shares,
)
from tests.commands import run_command
from tests.data.readers.contract import check_contract

SMALL = {"studies": 24, "size": 32}


def digest(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    parts = [f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
             for path in files]  # fmt: skip
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def mode_of(path):
    with Image.open(path) as image:
        return image.mode


def test_every_set_with_a_reader_has_a_layout():
    assert set(LAYOUTS) == set(READERS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_reader_finds_every_image_and_all_counts_add_up(name, synthetic_copy):
    rows, counts = READERS[name](synthetic_copy(name))
    check_contract(name, rows, counts)
    assert all((synthetic_copy(name) / image).is_file() for image in rows["image"])
    assert set(counts) >= set(load_manifest(name).expected)
    said = (synthetic_copy(name) / MARKER).read_text()
    assert f"rehearsal of the layout of {name}" in said and "This is not data" in said


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_class_has_positives_and_negatives_among_the_test_images(name, synthetic_copy):
    rows, _ = READERS[name](synthetic_copy(name))
    test = rows[(rows["split"] == "test") & (rows["reason"] == "")]
    found = {label for labels in test["labels"] for label, value in labels.items() if value}
    manifest = load_manifest(name)
    if name == "padchest":
        assert len(found) > 20 and manifest.normal_label in found
    else:
        assert found >= set(manifest.prompts)
    if "is_normal" in rows and name != "ms_cxr":
        assert 0.2 < test["is_normal"].mean() < 0.6
    for label in found:
        assert not all(labels.get(label) for labels in test["labels"])


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_seed_gives_the_same_bytes(name, tmp_path):
    first, again, other = (
        digest(rehearse(name, tmp_path / each, seed=seed, **SMALL))
        for each, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first == again != other


@pytest.mark.parametrize("name", ["chexpert", "vindr_cxr", "padchest"])
def test_images_are_read_as_they_were_rendered(name, synthetic_copy):
    rows, _ = READERS[name](synthetic_copy(name))
    frontal = rows[rows["view"] != "LATERAL"]
    for image in frontal["image"][:8]:
        grey = read_radiograph(synthetic_copy(name) / image)
        assert grey.shape == (64, 56)
        body, air = grey[38:50, 23:33], grey[:4, :4]
        assert np.median(body) > np.median(air) + 40  # bone bright, air dark, however stored


def test_boxes_are_where_the_finding_is():
    prompts = load_manifest("chestx_det10").prompts
    for number, name in enumerate(["Nodule", "Effusion", "Fracture", "Mass"]):
        with_it, without = (
            next(rendered([Study(number, classes, (5, number))], prompts, size=128))
            for classes in ((name,), ())
        )
        assert without[2] == [] and {box.label for box in with_it[2]} == {name}
        change = np.abs(with_it[1].astype(int) - without[1].astype(int)) > 12
        inside = np.zeros_like(change)
        for box in with_it[2]:
            x, y = (int(box.x_min), int(box.x_max)), (int(box.y_min), int(box.y_max))
            inside[y[0] : y[1], x[0] : x[1]] = True
        assert (change & inside).sum() > 3 * (change & ~inside).sum()


def test_every_phrase_of_a_finding_can_be_rendered():
    for finding in FINDINGS.values():
        assert render([finding], seed=1, size=32).boxes


def test_classes_take_turns_and_those_rendered_alike_do_not_meet():
    prompts = load_manifest("nih_chestxray14").prompts
    for seed in range(5):
        studies = sample_studies(prompts, {"train": 30, "test": 30}, seed=seed)
        assert [each.number for each in studies] == list(range(60))
        for split in ("train", "test"):
            own = [each for each in studies if each.split == split]
            assert {name for each in own for name in each.classes} == set(prompts)
            assert sum(not each.classes for each in own) == 12
        for each in studies:
            assert len(set(each.classes)) == len(each.classes)
            assert not {"Mass", "Nodule"} <= set(each.classes)


def test_shares_sum_up():
    assert shares(21, train=0.5, validation=0.2, test=0.3) == {
        "train": 10, "validation": 4, "test": 7,
    }  # fmt: skip


def test_reports_say_the_classes_and_nothing_against_them():
    prompts = load_manifest("mimic_cxr").prompts
    findings, impression = report(Study(3, ("Pneumothorax", "Edema"), (0, 3)), prompts)
    assert "pneumothorax" in findings.lower() and "pulmonary edema" in findings.lower()
    assert "No pneumothorax" not in findings and "The lungs are clear" not in findings
    assert impression == "Pneumothorax and pulmonary edema."
    assert "effusion" not in report(Study(4, (), (0, 4)), prompts)[1]


def test_quirks_of_vindr(synthetic_copy):
    from pydicom import dcmread

    films = [dcmread(path) for path in sorted(synthetic_copy("vindr_cxr").glob("*/*.dicom"))]
    assert {str(film.PhotometricInterpretation) for film in films} == {"MONOCHROME1", "MONOCHROME2"}
    assert len({str(film.file_meta.TransferSyntaxUID) for film in films}) >= 4
    assert {film.BitsStored for film in films} == {12} and {
        film.BitsAllocated for film in films
    } == {16}
    notes = synthetic_copy("vindr_cxr") / "annotations"
    train, test = (pd.read_csv(notes / f"image_labels_{part}.csv") for part in ("train", "test"))
    assert "Other diseases" in train and "Other disease" in test
    assert (train.groupby("image_id")["rad_id"].nunique() == 3).all() and "rad_id" not in test
    votes = train.groupby("image_id")[list(test.columns[1:-2])].sum()
    assert votes.isin([1, 2]).any().any()  # they differ
    boxes = pd.read_csv(notes / "annotations_train.csv")
    assert boxes["x_min"].isna().any() and boxes["x_min"].notna().any()


def test_quirks_of_the_others(synthetic_copy):
    assert {mode_of(path) for path in synthetic_copy("padchest").glob("*/*.png")} == {"I;16"}
    nih = synthetic_copy("nih_chestxray14")
    assert {mode_of(path) for path in nih.glob("images_*/images/*.png")} == {"L", "RGBA"}
    assert (nih / "BBox_List_2017.csv").read_text().startswith("Image Index,Finding Label,Bbox [x,")
    train = pd.read_csv(synthetic_copy("chexpert") / "train.csv")
    assert train["Path"].str.startswith("CheXpert-v1.0/train/").all()
    labels = train.iloc[:, 5:]
    assert labels.isin([-1.0]).any(axis=None) and labels.isna().any(axis=None)
    test = pd.read_csv(synthetic_copy("chexpert") / "test_labels.csv")
    assert test["Path"].str.startswith("test/").all() and test["Edema"].isin([0, 1]).all()
    labels = pd.read_csv(
        synthetic_copy("padchest") / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
    )
    assert set(labels["MethodLabel"]) == {"Physician", "RNN_model"}
    assert len(labels.columns) == 36 and labels.columns[0] == "Unnamed: 0"


def test_what_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="got 'vindr'; did you mean 'vindr_cxr'"):
        rehearse("vindr", tmp_path / "a")
    for wrong in ({"studies": 3}, {"size": 16}, {"size": 4096}, {"seed": -1}):
        with pytest.raises(ValueError, match="expected at least 20 studies"):
            rehearse("openi", tmp_path / "a", **wrong)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for place in ("full", "full/mine.txt"):
        with pytest.raises(ValueError, match="expected a .*folder for .*synthetic copy"):
            rehearse("openi", tmp_path / place, **SMALL, force=True)

    def broken(root, **_):
        (root / "half.png").write_text("half")
        raise OSError("disk full")

    monkeypatch.setitem(LAYOUTS, "openi", broken)
    with pytest.raises(OSError, match="disk full"):
        rehearse("openi", tmp_path / "a", **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_the_command_says_that_it_is_no_data(tmp_path, capsys):
    options = ["rehearse", "openi", "--to", str(tmp_path / "x"), "--studies", "20", "--size", "32"]
    run_command(add, *options)
    said = capsys.readouterr().out
    assert "rendered phantoms" in said and "This is not data" in said
    assert (tmp_path / "x" / MARKER).is_file()
    with pytest.raises(ValueError, match="expected an empty folder"):
        run_command(add, *options)
