"""NIH's folder: records, borrowed captions, and every fault by name."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from offclip.data.manifests import load_manifest
from offclip.data.nih import NORMAL, OPENI_CLASSES, captioned, read_nih
from offclip.imaging import read_radiograph
from tests.imaging.turned import CORNERS, bright, stored
from tests.paths import real_data

HEAD = "file,labels,patient_id,view,rsna_class"
ROWS = ["a.png,No Finding,7,PA,Normal", "b.png,Effusion|Pneumonia,7,AP,", "c.png,Mass,8,PA,"]


def folder_with(tmp_path, rows=ROWS, head=HEAD, boxes=None):
    (tmp_path / "images").mkdir(exist_ok=True)
    for name in ("a", "b", "c"):
        Image.fromarray(np.full((8, 12), 50, np.uint8)).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "manifest.csv").write_text("\n".join([head, *rows]) + "\n")
    if boxes:
        text = "\n".join(["file,label,x_min,y_min,x_max,y_max", *boxes])
        (tmp_path / "boxes.csv").write_text(text + "\n")
    return tmp_path


def reports():
    rows = [
        (True, {}, ["there is clear lung"]),
        (False, {"Nodule": 1, "Scoliosis": 1}, ["there is nodule", "there is scoliosis"]),
        (False, {"Nodule": 1}, ["there is nodule"]),
        (False, {"Pleural Effusion": 1, "Opacity": 1}, ["there is effusion"]),
        (False, {"Opacity": 1}, ["there is opacity"]),
    ]
    return pd.DataFrame(
        [
            {"is_normal": n, "labels": c, "sentences": p, "prompts": p, "prompt_abnormal": [0.5]}
            for n, c, p in rows
        ]
    )


def test_records_of_a_small_folder(tmp_path):
    records, reading = read_nih(folder_with(tmp_path, boxes=["b.png,Effusion,1,2,5,6"]))
    assert records["study_id"].tolist() == ["a", "b", "c"]
    assert records["is_normal"].tolist() == [True, False, False]
    assert [name for name, value in records["labels"][1].items() if value] == [
        "Effusion",
        "Pneumonia",
    ]
    assert records["boxes"][1] == [
        {"label": "Effusion", "x_min": 1.0, "y_min": 2.0, "x_max": 5.0, "y_max": 6.0}
    ]
    assert records[["width", "height"]].drop_duplicates().to_numpy().tolist() == [[12, 8]]
    assert reading.to_dict() == {"a": "Normal", "b": "", "c": ""}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_and_sizes_are_those_of_the_picture_that_is_read(orientation, tmp_path):
    folder_with(tmp_path, boxes=["b.png,Mass,8,0,24,8"])
    stored(tmp_path / "images" / "b.png", orientation)
    record = read_nih(tmp_path)[0].iloc[1]
    grey = read_radiograph(tmp_path / record["image"])
    assert grey.shape == (record["height"], record["width"])
    assert bright(grey) == tuple(record["boxes"][0][name] for name in CORNERS)


def test_captions_share_the_labels(tmp_path):
    records, _ = read_nih(folder_with(tmp_path))
    texts = [list(each) for each in captioned(records, reports(), seed=0)["prompts"]]
    assert texts == [["there is clear lung"], ["there is effusion"], ["there is nodule"]]
    with pytest.raises(ValueError, match="no report has any of"):
        captioned(records, reports().query("is_normal"), seed=0)


def test_every_class_has_open_i_classes_or_no_image():
    names = load_manifest("nih_chestxray14").prompts
    assert set(names) - set(OPENI_CLASSES) == {"Hernia"}
    assert set().union(*OPENI_CLASSES.values()) <= set(load_manifest("openi_phantom").prompts)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROWS[0], ROWS[0]], "line 3: file: it occurs twice"),
        (["d.png,Mass,1,PA,"], "line 2: file: no such image"),
        (["../images/a.png,Mass,1,PA,"], "line 2: file: no such image"),
        (["a.png,Measles,1,PA,"], "line 2: labels: expected No Finding alone"),
        ([f"a.png,{NORMAL}|Mass,1,PA,"], "line 2: labels"),
        (["a.png,,1,PA,"], "line 2: labels"),
    ],
)
def test_faults_of_the_table_are_named(tmp_path, rows, message):
    with pytest.raises(ValueError, match=rf"manifest\.csv, {message}.*repair"):
        read_nih(folder_with(tmp_path, rows))


def test_faults_of_columns_and_boxes_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="manifest.csv"):
        read_nih(tmp_path)
    with pytest.raises(ValueError, match="columns.*none called.*view"):
        read_nih(folder_with(tmp_path, head="file,labels,patient_id,side,rsna_class"))
    with pytest.raises(ValueError, match="boxes.csv, line 2: x_min.*span an area"):
        read_nih(folder_with(tmp_path, boxes=["b.png,Mass,5,2,1,6"]))
    with pytest.raises(ValueError, match="boxes.csv, line 2: file: not in manifest"):
        read_nih(folder_with(tmp_path, boxes=["d.png,Mass,1,2,5,6"]))


def test_the_real_set():
    records, reading = read_nih(real_data("nih_cxr_256"))
    assert len(records) == 710 and records["is_normal"].sum() == 377
    assert records["patient_id"].nunique() == 490
    assert (reading != "").sum() == 227 and (reading == "Normal").sum() == 51
    assert records["boxes"].map(len).sum() == 158
