"""Every published set, from a synthetic copy of its layout to records and images."""

import numpy as np
import pandas as pd
import pytest

from offclip.data.archive import curate_archive
from offclip.data.cache import ImageCache, write_cache
from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS
from offclip.data.record_parts import scaled_boxes
from offclip.imaging import read_radiograph
from offclip.imaging.boxes import boxes_in_square
from offclip.imaging.resize import published_square
from offclip.rehearsal import MARKER
from tests.imaging.turned import BOX, CORNERS, bright, stored


@pytest.fixture(scope="module", params=sorted(READERS))
def curated(request, tmp_path_factory, synthetic_copy):
    root, out = synthetic_copy(request.param), tmp_path_factory.mktemp(request.param) / "out"
    return request.param, root, curate_archive(request.param, root, out)


def test_every_row_is_kept_or_has_its_reason(curated):
    name, root, made = curated
    rows, found = READERS[name](root)
    records, counts = made.records, made.counts
    left_out = pd.read_parquet(made.folder / "left_out.parquet")
    assert counts["listed"] == len(rows) == len(records) + len(left_out)
    assert not set(records["image"]) & set(left_out["image"])
    assert (left_out["reason"] != "").all() and found.items() <= counts.items()
    assert sum(each["images"] for each in counts["splits"].values()) == len(records)
    assert (records["dataset"] == name).all()
    assert (made.folder / MARKER).read_bytes() == (root / MARKER).read_bytes()
    assert (records["access"] == load_manifest(name).access).all()


def test_labels_and_pictures_are_those_of_the_image(curated):
    name, root, made = curated
    rows = READERS[name](root)[0].set_index("image")
    records = made.records.sample(frac=1, random_state=0)
    pictures = ImageCache.read(made.folder).rows(list(records["image"]))[:]
    for record, picture in zip(records.head(8).itertuples(), pictures, strict=False):
        row, grey = rows.loc[record.image], read_radiograph(root / record.image)
        assert record.labels == row["labels"] and record.study_id == row["study_id"]
        assert grey.shape == (record.height, record.width)
        assert (picture == published_square(grey)).all()
        assert "is_normal" not in rows or record.is_normal == row["is_normal"]


def test_boxes_lie_in_their_picture(curated):
    _name, _root, made = curated
    for record in made.records.itertuples():
        for box in record.boxes:
            assert 0 <= box["x_min"] < box["x_max"] <= record.width + 1e-6
            assert 0 <= box["y_min"] < box["y_max"] <= record.height + 1e-6


def test_boxes_are_scaled_to_the_file():
    row = pd.Series(
        {
            "width": 512, "height": 256, "box_width": 1024, "box_height": 1024, "orientation": 1,
            "boxes": [{"label": "A", "x_min": 10.0, "y_min": 20.0, "x_max": 30.0, "y_max": 40.0}],
        }
    )  # fmt: skip
    assert scaled_boxes(row) == [
        {"label": "A", "x_min": 5.0, "y_min": 5.0, "x_max": 15.0, "y_max": 10.0}
    ]


@pytest.mark.parametrize("table", [{}, {"box_width": 80, "box_height": 48}])
def test_boxes_of_records_lie_where_the_cached_picture_is_bright(table, tmp_path):
    """All eight EXIF orientations, from the file to the 256-px square that models see."""
    names = [stored(tmp_path / f"{n}.jpg", n).name for n in range(1, 9)]
    cached = write_cache(tmp_path / "cache", tmp_path, names)
    factor = 2 if table else 1
    box = {name: value * factor for name, value in BOX.items() if name in CORNERS}
    rows = cached.images.assign(study_id=names, boxes=[[{"label": "A", **box}]] * 8, **table)
    rows["boxes"] = [scaled_boxes(row) for row in rows.itertuples()]
    seen = boxes_in_square(rows, 256)
    for name, picture in zip(names, cached.pictures, strict=True):
        [corners] = [[each[c] for c in CORNERS] for each in seen[name]]
        assert bright(picture) == pytest.approx(corners, abs=1.5), name


def test_open_text_has_prompts_when_a_classifier_judges_them(synthetic_copy, tmp_path):
    curate_archive("mimic_cxr", synthetic_copy("mimic_cxr"), tmp_path / "judge")
    root = synthetic_copy("openi")
    plain = curate_archive("openi", root, tmp_path / "plain").records
    assert plain["sentences"].map(len).gt(0).any() and not plain["prompts"].map(len).any()
    judge = tmp_path / "judge" / "classifier.json"
    judged = curate_archive("openi", root, tmp_path / "judged", classifier=judge).records
    assert judged["prompts"].map(len).gt(0).any()
    assert judged["is_normal"].equals(plain["is_normal"])
    assert not np.isnan(np.concatenate(judged["prompt_abnormal"].tolist())).any()


def test_a_wrong_name_or_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="dataset: expected one of .*did you mean 'vindr_cxr'"):
        curate_archive("vindr", tmp_path, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="root: expected the folder of your copy of openi"):
        curate_archive("openi", tmp_path / "nothing", tmp_path / "out")
