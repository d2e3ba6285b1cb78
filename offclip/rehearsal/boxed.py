"""Layouts of sets with boxes of their own: VinDr-CXR, NIH ChestX-ray14, ChestX-Det10."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offclip.data.manifests import load_manifest
from offclip.data.readers.chestxray14 import SIDE
from offclip.data.readers.vindr import GLOBAL, LOCAL, NO_FINDING
from offclip.phantom import Box
from offclip.rehearsal.files import (
    Row,
    padded,
    save_dicom,
    save_image,
    save_lines,
    save_table,
    twelve_bits,
)
from offclip.rehearsal.studies import Study, rendered, sample_studies, shares, xywh

_VINDR_READERS = [f"R{number}" for number in range(1, 18)]
_VINDR_LAST = {"train": "Other diseases", "test": "Other disease"}
_CORNERS = ("x_min", "y_min", "x_max", "y_max")
_NIH_COLUMNS = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
_NIH_BOXED = {
    "Atelectasis": "Atelectasis", "Cardiomegaly": "Cardiomegaly", "Effusion": "Effusion",
    "Infiltration": "Infiltrate", "Mass": "Mass", "Nodule": "Nodule", "Pneumonia": "Pneumonia",
    "Pneumothorax": "Pneumothorax",
}  # fmt: skip
"""Classes with boxes to their names there."""


def write_vindr(root: Path, *, studies: int, seed: int, size: int) -> None:
    """VinDr-CXR 1.0.0: DICOM files and the four tables of both parts.

    Quirks: three readers of a training image who differ; "Other disease" in one part and "Other
    diseases" in the other; rows without a box; DICOM files that differ (:func:`save_dicom`).
    """
    prompts = load_manifest("vindr_cxr").prompts
    sampled = sample_studies(prompts, shares(studies, train=0.5, test=0.5), seed=seed)
    labels: dict[str, list[Row]] = {"train": [], "test": []}
    boxes: dict[str, list[Row]] = {"train": [], "test": []}
    for study, image, own in rendered(sampled, prompts, size=size):
        part, name = study.split, f"{study.number + 1:08x}{seed:024x}"
        save_dicom(twelve_bits(image), root / part / f"{name}.dicom", study.number)
        for reader in _vindr_readers(study) if part == "train" else [""]:
            ids = {"image_id": name} | ({"rad_id": reader} if reader else {})
            classes = _vindr_reading(study, reader)
            labels[part].append(ids | _vindr_labels(classes, part))
            notes = _vindr_boxes(classes, own, image.shape, reader)
            boxes[part] += [{**ids, **each} for each in notes]
    for part in labels:
        save_table(labels[part], root / "annotations" / f"image_labels_{part}.csv")
        save_table(boxes[part], root / "annotations" / f"annotations_{part}.csv")


def _vindr_readers(study: Study) -> list[str]:
    generator = np.random.default_rng((*study.seed, 3))
    return sorted(generator.choice(_VINDR_READERS, size=3, replace=False))


def _vindr_reading(study: Study, reader: str) -> tuple[str, ...]:
    """What a reader reports: one class in four is missed, a few are added; by consensus, none."""
    if not reader:
        return study.classes
    generator = np.random.default_rng((*study.seed, int(reader[1:]), 4))
    classes = [name for name in study.classes if generator.random() > 1 / 4]
    added = [GLOBAL[generator.integers(len(GLOBAL) - 1)]] if generator.random() < 1 / 8 else []
    return tuple(dict.fromkeys([*classes, *added]))


def _vindr_labels(classes: Sequence[str], part: str) -> Row:
    spelled = {_VINDR_LAST["train"]: _VINDR_LAST[part]}
    own = {spelled.get(name, name) for name in classes or [NO_FINDING]}
    return {name: int(name in own) for name in (spelled.get(n, n) for n in (*LOCAL, *GLOBAL))}


def _vindr_boxes(
    classes: Sequence[str], boxes: Sequence[Box], shape: Sequence[int], reader: str
) -> list[Row]:
    """A row for each box, moved a little by each reader; labels of the whole image have none."""
    shift = int(reader[1:]) % 3 - 1 if reader else 0
    height, width = shape
    rows: list[Row] = []
    for name in classes or [NO_FINDING]:
        own = [box for box in boxes if box.label == name] if name in LOCAL else []
        for box in own:
            corners = np.array([box.x_min, box.y_min, box.x_max, box.y_max], dtype=float) + shift
            inside = np.clip(corners, 0, [width, height, width, height]).tolist()
            rows.append({"class_name": name, **dict(zip(_CORNERS, inside, strict=True))})
        if not own:
            rows.append({"class_name": name, **dict.fromkeys(_CORNERS, "")})
    return rows


def write_nih(root: Path, *, studies: int, seed: int, size: int) -> None:
    """NIH ChestX-ray14.

    Quirks: headers with commas inside their brackets, boxes under a header that stretches over four
    columns and calls an infiltration "Infiltrate", boxes in pixels of 1024 whatever the file's
    size, images in several folders, a few of four channels.
    """
    prompts = load_manifest("nih_chestxray14").prompts
    sampled = sample_studies(prompts, shares(studies, train_val=0.5, test=0.5), seed=seed)
    rows = [_NIH_COLUMNS]
    boxed = ["Image Index,Finding Label,Bbox [x,y,w,h],,,"]
    lists: dict[str, list[str]] = {"train_val": [], "test": []}
    for study, image, boxes in rendered(sampled, prompts, size=size):
        number = study.number
        patient, follow_up = divmod(number, 2) if study.split == "train_val" else (number, 0)
        name = f"{patient + 1:08d}_{follow_up:03d}.png"
        whole, left = padded(image)
        if number % 19 == 0:
            whole = np.stack([whole] * 3 + [np.full_like(whole, 255)], axis=-1)
        save_image(whole, root / f"images_{1 + number % 3:03d}/images" / name)
        labels = "|".join(sorted(study.classes)) or "No Finding"
        view = "AP" if number % 3 == 0 else "PA"
        rows.append(f"{name},{labels},{follow_up},{patient + 1},57,M,{view},2682,2749,0.143,0.143")
        lists[study.split].append(name)
        for box in boxes:
            if study.split == "test" and box.label in _NIH_BOXED:
                place = ",".join(str(SIDE / size * value) for value in xywh(box, left))
                boxed.append(f"{name},{_NIH_BOXED[box.label]},{place}")
    save_lines(rows, root / "Data_Entry_2017_v2020.csv")
    save_lines(boxed, root / "BBox_List_2017.csv")
    for part, names in lists.items():
        save_lines(names, root / f"{part}_list.txt")


def write_chestx_det10(root: Path, *, studies: int, seed: int, size: int) -> None:
    """ChestX-Det10: images and a list for each part; boxes are in pixels of 1024.

    Quirks: a class as often as it has boxes, images without any, names of the set's own.
    """
    prompts = load_manifest("chestx_det10").prompts
    sampled = sample_studies(prompts, shares(studies, train=0.5, test=0.5), seed=seed)
    lists: dict[str, list[Row]] = {"train": [], "test": []}
    for study, image, boxes in rendered(sampled, prompts, size=size):
        name = f"{36200 + study.number}.png"
        whole, left = padded(image)
        save_image(whole, root / f"{study.split}_data" / name)
        corners = [(b.x_min + left, b.y_min, b.x_max + left, b.y_max) for b in boxes]
        places = [[round(SIDE / size * value) for value in each] for each in corners]
        classes = [box.label for box in boxes]
        lists[study.split].append({"file_name": name, "syms": classes, "boxes": places})
    for part, entries in lists.items():
        (root / f"{part}.json").write_text(json.dumps(entries), encoding="utf-8")
