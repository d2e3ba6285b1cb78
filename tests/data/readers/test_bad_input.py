"""What is wrong in tables is named or marked, and counts add up; one fault a test."""

import json

import numpy as np
import pandas as pd
import pytest

from offclip.data.readers import READERS
from offclip.data.readers.vindr import GLOBAL, LOCAL, NO_FINDING, read_vindr
from tests.copies import copied_labels
from tests.data.readers.contract import check_contract


def edit(path, change):
    """Change a table in place; every value is a string."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    change(table).to_csv(path, index=False)


def doubled(table, **values):
    """The table with its first row once more, some values changed."""
    return pd.concat([table, table.head(1).assign(**values)])


def reading(name, root):
    rows, counts = READERS[name](root)
    check_contract(name, rows, counts)
    return rows, counts


PATHS = ["../../etc/passwd", "/etc/passwd", "a\\b.png", "C:/x.png", "a/../../b.png", " "]


@pytest.mark.parametrize("path", PATHS)
def test_paths_that_lead_out_are_marked_and_never_kept(path, tmp_path):
    root = copied_labels("nih_chestxray14", tmp_path / "nih")
    edit(root / "Data_Entry_2017_v2020.csv", lambda table: doubled(table, **{"Image Index": path}))
    rows, counts = reading("nih_chestxray14", root)
    assert rows["reason"].iloc[-1] == "outside" and counts["outside"] == 1
    entries = json.loads(
        (copied_labels("chestx_det10", tmp_path / "det") / "test.json").read_text()
    )
    entries[0]["file_name"] = path
    (tmp_path / "det" / "test.json").write_text(json.dumps(entries))
    rows, _ = reading("chestx_det10", tmp_path / "det")
    assert (rows["reason"] == "outside").sum() == 1
    root = copied_labels("chexpert", tmp_path / "chexpert")
    edit(root / "test_labels.csv", lambda table: doubled(table, Path=path))
    rows, _ = reading("chexpert", root)
    assert rows["reason"].iloc[-1] == "outside"


@pytest.mark.parametrize(
    ("name", "table", "column", "value"),
    [
        ("nih_chestxray14", "Data_Entry_2017_v2020.csv", "Finding Labels", "Hernia"),
        ("chexpert", "test_labels.csv", "Fracture", "0.5"),
        ("padchest", "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", "Labels", "['mass']"),
    ],
)
def test_the_same_row_again_counts_once_and_another_one_spoils_both(
    name, table, column, value, tmp_path
):
    root = copied_labels(name, tmp_path / "same")
    before, _ = reading(name, root)
    edit(root / table, doubled)
    rows, counts = reading(name, root)
    assert counts["repeated"] == 1 and len(rows) == len(before) + 1
    root = copied_labels(name, tmp_path / "other")
    other = "1.0" if pd.read_csv(root / table)[column][0] == 0 else "0.0"
    edit(root / table, lambda whole: doubled(whole, **{column: other if value == "0.5" else value}))
    rows, counts = reading(name, root)
    assert counts["conflicting"] >= 2 and "repeated" not in counts


def test_views_of_one_study_may_not_differ(tmp_path):
    root = copied_labels("chexpert", tmp_path / "set")
    table = pd.read_csv(root / "test_labels.csv", dtype=str)
    study = table["Path"].str.rsplit("/", n=1).str[0]
    first = study.duplicated(keep=False).idxmax()
    table.loc[first, "Edema"] = "1.0" if table.loc[first, "Edema"] == "0.0" else "0.0"
    table.to_csv(root / "test_labels.csv", index=False)
    _, counts = reading("chexpert", root)
    assert counts["conflicting"] == (study == study[first]).sum() > 1


def test_a_patient_in_two_splits_stays_in_the_tested_one(tmp_path):
    root = copied_labels("nih_chestxray14", tmp_path / "set")
    path = root / "Data_Entry_2017_v2020.csv"
    test = set((root / "test_list.txt").read_text().split())

    def change(table):
        table.loc[table["Image Index"].isin(test), "Patient ID"] = "1"
        return table

    edit(path, change)
    rows, counts = reading("nih_chestxray14", root)
    assert set(rows["split"][rows["patient_id"] == "1"]) == {"train", "test"}
    assert counts["two_splits"] == ((rows["patient_id"] == "1") & (rows["split"] != "test")).sum()
    assert (rows["reason"][rows["split"] == "test"] == "").all()


@pytest.mark.parametrize("value", ["", "NaN", "1.0", "x"])
def test_patients_without_a_number_are_malformed(value, tmp_path):
    root = copied_labels("padchest", tmp_path / "set")
    path = root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
    before = reading("padchest", root)[1]["malformed"]
    edit(path, lambda t: doubled(t, PatientID=value, ImageID="1_a.png", StudyID="99"))
    assert reading("padchest", root)[1]["malformed"] == before + 1


def test_rules_of_three_readers(tmp_path):
    root = copied_labels("vindr_cxr", tmp_path / "set")
    path = root / "annotations" / "image_labels_train.csv"
    table = pd.read_csv(path)
    one, two, three = table["image_id"].drop_duplicates()[:3]
    table[[*LOCAL, *GLOBAL]] = 0
    for image, votes in ((one, 1), (two, 2), (three, 3)):
        table.loc[table.index[table["image_id"] == image][:votes], "Edema"] = 1
    table.to_csv(path, index=False)
    for rule, least in (("any", 1), ("majority", 2), ("all", 3)):
        labels = read_vindr(root, rule=rule)[0].set_index("study_id")["labels"]
        got = [labels[image]["Edema"] for image in (one, two, three)]
        assert got == [int(votes >= least) for votes in (1, 2, 3)]
    table.loc[table["image_id"] == one, NO_FINDING] = [0, 1, 1]
    table.to_csv(path, index=False)
    normal = {
        rule: read_vindr(root, rule=rule)[0].set_index("study_id")["is_normal"][one]
        for rule in ("any", "majority", "all")
    }
    assert normal == {"any": False, "majority": True, "all": False}
    with pytest.raises(ValueError, match="rule: expected one of any, majority, all; got 'most'"):
        read_vindr(root, rule="most")


def test_a_reading_counts_once_and_a_missing_or_other_one_is_marked(tmp_path):
    root = copied_labels("vindr_cxr", tmp_path / "set")
    path = root / "annotations" / "image_labels_train.csv"
    before = READERS["vindr_cxr"](root)[0]
    whole = pd.read_csv(path, dtype=str)
    doubled(whole).to_csv(path, index=False)
    assert READERS["vindr_cxr"](root)[0].equals(before)
    doubled(whole, Edema="1" if whole["Edema"][0] == "0" else "0").to_csv(path, index=False)
    rows, counts = reading("vindr_cxr", root)
    assert counts["readers"] == 1
    assert rows.set_index("study_id")["reason"][whole["image_id"][0]] == "readers"
    whole.iloc[1:].to_csv(path, index=False)
    assert reading("vindr_cxr", root)[1]["readers"] == 1


def test_boxes_without_area_image_or_known_label_are_counted(tmp_path):
    root = copied_labels("vindr_cxr", tmp_path / "set")
    path = root / "annotations" / "annotations_test.csv"
    _, before = reading("vindr_cxr", root)
    image = pd.read_csv(root / "annotations" / "image_labels_test.csv")["image_id"][0]
    corners = [(5, 5, 5, 9), (9, 9, 5, 12), (-1, 0, 5, 5), ("nan", 0, 5, 5), ("inf", 0, 5, 5)]
    with path.open("a") as file:
        for values in corners:
            file.write(f"{image},Edema,{','.join(map(str, values))}\n")
        file.write(f"{image},Unknown,1,1,5,5\nabc,Edema,1,1,5,5\n{image},Edema,,NaN,,\n")
    _, after = reading("vindr_cxr", root)
    assert after["boxes_malformed"] - before["boxes_malformed"] == len(corners) + 1
    assert after["boxes_without_image"] - before["boxes_without_image"] == 1
    assert after["without_box"] - before["without_box"] == 1
    names = ("boxes", "boxes_without_label", "without_box", "boxes_without_image",
             "boxes_malformed")  # fmt: skip
    lines = [root / "annotations" / f"annotations_{part}.csv" for part in ("train", "test")]
    total = sum(len(each.read_text().splitlines()) - 1 for each in lines)
    assert sum(after[name] for name in names) == total


def test_nih_boxes_outside_the_picture_are_counted(tmp_path):
    root = copied_labels("nih_chestxray14", tmp_path / "set")
    _, before = reading("nih_chestxray14", root)
    name = (root / "test_list.txt").read_text().split()[0]
    with (root / "BBox_List_2017.csv").open("a") as file:
        file.write(f"{name},Mass,1000,5,30,5\n{name},Mass,5,5,0,5\n{name},Cough,5,5,5,5\n")
        file.write("99999999_000.png,Infiltrate,5,5,5,5\n")
    _, after = reading("nih_chestxray14", root)
    assert after["boxes_malformed"] == before["boxes_malformed"] + 3
    assert after["boxes_without_image"] == before["boxes_without_image"] + 1
    assert after["boxes"] == before["boxes"]


def test_names_in_no_list_or_in_both_are_marked(tmp_path):
    root = copied_labels("nih_chestxray14", tmp_path / "set")
    names = (root / "train_val_list.txt").read_text().split()
    (root / "train_val_list.txt").write_text("\n".join([*names[1:], "gone.png"]))
    with (root / "test_list.txt").open("a") as file:
        file.write(names[1] + "\n")
    rows, counts = reading("nih_chestxray14", root)
    reasons = rows.set_index("study_id")["reason"]
    assert reasons[names[0].removesuffix(".png")] == "in_no_list"
    assert reasons[names[1].removesuffix(".png")] == "in_two_lists"
    assert counts["only_in_lists"] == 1


def test_damaged_entries_of_det10_do_not_pass_for_normal(tmp_path):
    root = copied_labels("chestx_det10", tmp_path / "set")
    path = root / "test.json"
    entries = json.loads(path.read_text())
    first = next(i for i, each in enumerate(entries) if each["boxes"])
    for wrong in ([[5, 5, 5, 9]], [[0, 0, 2000, 9]], [[1, 2, 3]], [["a", 1, 2, 3]], [None], []):
        entries[first]["boxes"] = wrong
        entries[first]["syms"] = ["Mass"]
        path.write_text(json.dumps(entries))
        rows, _ = reading("chestx_det10", root)
        assert (rows["reason"] == "malformed").sum() == 1
    entries[first] = {"file_name": "1.png", "syms": ["Cardiomegaly"], "boxes": [[1, 1, 2, 2]]}
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=rf"test\.json: entry {first}.*list of another set"):
        READERS["chestx_det10"](root)


def test_ms_cxr_rows_add_up(tmp_path):
    root = copied_labels("ms_cxr", tmp_path / "set")
    path = root / "MS_CXR_Local_Alignment_v1.1.0.csv"
    table = pd.read_csv(path, dtype=str)
    wrong = pd.concat([table.head(1)] * 6, ignore_index=True)
    wrong.loc[0, "path"] = "../../etc/passwd"
    wrong.loc[1, "path"] = wrong.loc[1, "path"].replace("files/p1", "files/../p1")
    wrong.loc[2, "w"] = "0"
    wrong.loc[3, "x"] = "99999"
    wrong.loc[4, "category_name"] = "Cough"
    pd.concat([table, wrong]).to_csv(path, index=False)  # the last one is the first row again
    rows, counts = reading("ms_cxr", root)
    assert counts["boxes_malformed"] == 5 and counts["boxes_repeated"] == 1
    assert counts["boxes"] == len(table) and (rows["reason"] == "").all()
    table.loc[0, "image_width"] = "77777"
    table.to_csv(path, index=False)
    if table["path"].duplicated(keep=False)[0]:
        assert reading("ms_cxr", root)[1]["conflicting"] == 1


def test_mimic_labels_that_contradict_are_refused_and_others_counted(tmp_path):
    root = copied_labels("mimic_cxr", tmp_path / "set")
    path = root / "mimic-cxr-2.0.0-chexpert.csv.gz"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    doubled(table).to_csv(path, index=False)
    _, before = reading("mimic_cxr", root)
    doubled(table, study_id="59999999").to_csv(path, index=False)
    _, counts = reading("mimic_cxr", root)
    assert counts["labels_without_image"] == before["labels_without_image"] + 1
    changed = "1.0" if table["Fracture"][0] != "1.0" else "0.0"
    doubled(table, Fracture=changed).to_csv(path, index=False)
    with pytest.raises(ValueError, match="chexpert.csv.gz: study_id: '.*' has labels twice"):
        READERS["mimic_cxr"](root)
    table.iloc[1:].assign(Edema=np.where(table.index[1:] == 1, "7", "")).to_csv(path, index=False)
    _, counts = reading("mimic_cxr", root)
    assert counts["malformed"] == 1 and counts["unlabelled"] == 1


def test_mimic_images_add_up(tmp_path):
    _, counts = reading("mimic_cxr", copied_labels("mimic_cxr", tmp_path / "set"))
    kinds = ("frontal_drawn", "frontal_not_drawn", "not_frontal", "view_unknown")
    assert counts["images"] == sum(counts[kind] for kind in kinds)
    assert counts["studies"] == counts["listed"] + counts["without_frontal"]


def test_a_study_of_two_patients_is_refused(tmp_path):
    root = copied_labels("mimic_cxr", tmp_path / "set")
    path = root / "mimic-cxr-2.0.0-metadata.csv.gz"
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    doubled(table, dicom_id="ffff-0", subject_id="10999999").to_csv(path, index=False)
    with pytest.raises(ValueError, match="metadata.csv.gz: study_id: '.*' belongs to two patients"):
        READERS["mimic_cxr"](root)
