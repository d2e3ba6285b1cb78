"""What every reader promises of its rows and counts."""

from collections import Counter

import numpy as np

from offclip.data.manifests import load_manifest
from offclip.data.readers.openi_images import PUBLISHED
from offclip.data.readers.rows import REASONS, leads_out
from offclip.data.splits import SPLITS

COLUMNS = {"study_id", "patient_id", "split", "image", "view", "labels", "boxes", "reason"}
CORNERS = ("x_min", "y_min", "x_max", "y_max")


def check_contract(dataset, rows, counts):
    """Assert that rows and counts of a reading keep the contract."""
    assert set(rows) >= COLUMNS and ("is_normal" in rows) != ("report" in rows)
    assert set(rows["split"]) <= set(SPLITS) and set(rows["reason"]) <= {"", *REASONS}
    assert all(type(value) is int and value >= 0 for value in counts.values()), counts
    reasons = Counter(rows["reason"])
    kept = rows[rows["reason"] == ""]
    assert counts["listed"] == len(rows) == len(kept) + sum(counts.get(r, 0) for r in REASONS)
    assert all(counts.get(reason, 0) == reasons[reason] for reason in REASONS)
    assert kept["image"].is_unique and not leads_out(kept["image"]).any()
    if len(kept):
        assert kept.groupby("patient_id")["split"].nunique().max() == 1
    _check_labels(dataset, kept)
    for boxes, labels in zip(kept["boxes"], kept["labels"], strict=True):
        for box in boxes:
            x_min, y_min, x_max, y_max = (box[side] for side in CORNERS)
            assert np.isfinite([x_min, y_min, x_max, y_max]).all()
            assert 0 <= x_min < x_max and 0 <= y_min < y_max and set(box) == {"label", *CORNERS}
            assert dataset == "nih_chestxray14" or labels[box["label"]] == 1


def _check_labels(dataset, kept):
    manifest = load_manifest(dataset)
    known = {*manifest.prompts, manifest.normal_label}
    for labels in kept["labels"]:
        plain = {name for name in labels if not name.startswith(PUBLISHED)}
        assert plain <= known and set(labels.values()) <= {0, 1, None}
    if "is_normal" in kept:
        assert set(map(type, kept["is_normal"])) <= {bool, np.bool_}
    if "sentences" in kept:
        assert all(isinstance(each, list) and all(each) for each in kept["sentences"])
    for side in ("box_width", "box_height"):
        assert side not in kept or (kept[side] > 0).all()
