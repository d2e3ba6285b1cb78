"""Real label files through the published protocol's label matrix: the published counts come out."""

import pandas as pd
import pytest

from offclip.data.readers import READERS
from offclip.study.benchmark.sets import PUBLISHED, corrected_set
from tests.data.label_files import label_file


def labels_of(dataset, root):
    rows = READERS[dataset](root)[0]
    test = rows[(rows["split"] == "test") & (rows["reason"] == "")].reset_index(drop=True)
    return test, PUBLISHED[dataset].labels(test)


def test_openi_counts(tmp_path):
    label_file("NLMCXR_reports.tgz", tmp_path)
    rows, labels = labels_of("openi", tmp_path)
    counts = labels.sum()
    assert labels.shape == (7470, 19)
    assert (counts["No_Finding"], counts["Lung Lesion"], counts["Mass"]) == (4715, 7, 13)
    normal = rows.set_index("image")["is_normal"]
    called = labels.index[labels["No_Finding"]]
    assert normal[called].sum() == 2696 and (~normal[called]).mean() == pytest.approx(
        0.43, abs=0.01
    )
    rule = corrected_set("openi").normal_rules["published rule"]
    assert sum(own[rule] for own in rows["labels"]) == 4715


def test_padchest_counts(tmp_path):
    name = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
    label_file(name, tmp_path)
    rows, labels = labels_of("padchest", tmp_path)
    counts = labels.sum()
    assert counts["normal"] == 12694 and counts["unchanged"] == 4036
    assert counts["suboptimal study"] == 545 and counts["exclude"] == 82
    assert labels.shape[1] == 193 and len(rows) == len(labels) <= 39053
    asked = corrected_set("padchest")
    assert set(asked.non_findings) == {"unchanged", "suboptimal study", "exclude"}
    assert {*asked.protocol.phrases, *asked.non_findings, "normal"} == set(labels.columns)


def test_nih_counts(tmp_path):
    table = label_file("Data_Entry_2017_v2020.csv.gz", tmp_path)
    (tmp_path / "train_val_list.txt").write_text("")  # the lists are not in the wheel: all for test
    names = pd.read_csv(table)["Image Index"]
    (tmp_path / "test_list.txt").write_text("\n".join(names))
    rows, labels = labels_of("nih_chestxray14", tmp_path)
    assert labels.shape == (112120, 14)
    published = {"Hernia": 227, "Infiltration": 19894, "Pneumothorax": 5302, "Effusion": 13317}
    assert {name: int(labels[name].sum()) for name in published} == published
    assert rows["is_normal"].sum() == (~labels.any(axis=1)).sum()
