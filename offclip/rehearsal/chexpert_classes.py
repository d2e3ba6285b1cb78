"""Layouts of sets with CheXpert's classes: MIMIC-CXR, CheXpert, and MS-CXR, which boxes MIMIC's."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from offclip.data.manifests import load_manifest
from offclip.data.readers import chexpert, mimic
from offclip.rehearsal.files import Row, lateral, save_image, save_table
from offclip.rehearsal.studies import Study, rendered, report, sample_studies, shares, xywh

_CHEXPERT_PARTS = {
    "train": ("train.csv", "CheXpert-v1.0/train", "train"),
    "validation": ("valid.csv", "CheXpert-v1.0/valid", "valid"),
    "test": ("test_labels.csv", "test", "test"),
}
"""Table, folder as the table has it, and folder of each split."""
_SCALE = 2
"""The images that the table of MS-CXR names are so many times as large as the files."""


def write_mimic(root: Path, *, studies: int, seed: int, size: int) -> None:
    """MIMIC-CXR-JPG with the reports of MIMIC-CXR.

    Quirks: lateral views and second frontal ones, an image whose view is unknown, a study without a
    frontal image, a report without findings and impression, uncertain and blank labels.
    """
    prompts = load_manifest("mimic_cxr").prompts
    counts = shares(studies, validation=0.2, test=0.25, train=0.55)
    images: list[Row] = []
    labels: list[Row] = []
    for study, image, _ in rendered(sample_studies(prompts, counts, seed=seed), prompts, size=size):
        subject, number, place = mimic_place(study)
        ids = {"subject_id": subject, "study_id": number}
        for index, view in enumerate(_mimic_views(study)):
            name = mimic_image(study, index)
            shown = lateral(image) if view == "LATERAL" else image
            save_image(shown, root / place / f"{name}.jpg")
            images.append({"dicom_id": name, **ids, **_mimic_header(view, shown.shape)})
        (root / f"{place}.txt").write_text(_mimic_report(study, prompts), encoding="utf-8")
        names = sorted([*prompts, mimic.NO_FINDING])
        labels.append(ids | _mined_labels(study, names, period=11))
    save_table(images, root / "mimic-cxr-2.0.0-metadata.csv.gz")
    save_table(labels, root / "mimic-cxr-2.0.0-chexpert.csv.gz")


def mimic_place(study: Study) -> tuple[int, int, str]:
    """Patient (of two studies each), study, and the study's folder below the root."""
    folders = mimic.FOLDERS[study.split]
    patient, folder = study.number // 2, folders[study.number // 2 % len(folders)]
    subject, number = int(folder[1:]) * 1_000_000 + 100 + patient, 50_000_000 + study.number
    return subject, number, f"files/{folder}/p{subject}/s{number}"


def mimic_image(study: Study, index: int) -> str:
    """An image's name: five groups of eight hexadecimal digits."""
    key = f"{study.seed[0]} {50_000_000 + study.number} {index}"
    digits = hashlib.sha256(key.encode()).hexdigest()
    return "-".join(digits[k : k + 8] for k in range(0, 40, 8))


def _mimic_views(study: Study) -> list[str]:
    number = study.number
    if study.split == "train" and number % 31 == 9:
        return ["LATERAL"]
    views = ["PA" if number % 2 else "AP"] + ["AP"] * (number % 4 == 0)
    return views + ["LATERAL"] * (number % 3 == 0) + [""] * (number % 29 == 5)


def _mimic_header(view: str, shape: Sequence[int]) -> Row:
    words = {"PA": "postero-anterior", "AP": "antero-posterior", "LATERAL": "lateral", "": ""}
    procedure = "CHEST (PA AND LAT)" if view else ""
    return {
        "PerformedProcedureStepDescription": procedure, "ViewPosition": view,
        "Rows": shape[0], "Columns": shape[1], "StudyDate": 21800506, "StudyTime": "213014.531",
        "ProcedureCodeSequence_CodeMeaning": procedure, "ViewCodeSequence_CodeMeaning": words[view],
        "PatientOrientationCodeSequence_CodeMeaning": "Erect" if view else "",
    }  # fmt: skip


def _mimic_report(study: Study, prompts: Mapping[str, str]) -> str:
    findings, impression = report(study, prompts)
    head = (
        " " * 33 + "FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n\n"
        " INDICATION:  ___ year old with cough.\n\n COMPARISON:  ___.\n\n"
    )
    if study.number % 31 == 7:
        return head
    return head + f" FINDINGS: \n \n {findings}\n\n IMPRESSION: \n \n {impression}\n"


def _mined_labels(study: Study, names: Iterable[str], *, period: int) -> Row:
    """As CheXpert's labeller: 1 for what a report states, blank for most others, at times 0, -1."""
    labels: Row = {}
    for place, name in enumerate(names):
        turn = (study.number + place) % period
        if name in study.classes or (name == chexpert.NO_FINDING and not study.classes):
            labels[name] = 1.0
        elif name == chexpert.NO_FINDING or turn > 1 or (turn == 0 and not study.classes):
            labels[name] = ""
        else:
            labels[name] = 0.0 if turn else -1.0
    return labels


def write_chexpert(root: Path, *, studies: int, seed: int, size: int) -> None:
    """CheXpert.

    Quirks: paths with the folder of a download before them in two tables and none in the third;
    several views of a study with one label; uncertain and blank labels in train alone.
    """
    prompts = load_manifest("chexpert").prompts
    counts = shares(studies, train=0.3, validation=0.2, test=0.5)
    tables: dict[str, list[Row]] = {split: [] for split in _CHEXPERT_PARTS}
    for study, image, _ in rendered(sample_studies(prompts, counts, seed=seed), prompts, size=size):
        _, listed, folder = _CHEXPERT_PARTS[study.split]
        labels: Row = {name: float(name in study.classes) for name in chexpert.CLASSES}
        labels[chexpert.NO_FINDING] = float(not study.classes)
        patient, of_patient = study.number, 0
        if study.split == "train":  # two studies per patient
            patient, of_patient = divmod(study.number, 2)
            labels = _mined_labels(study, chexpert.CLASSES, period=9)
        views = ["frontal"] * (2 if study.number % 7 == 0 else 1)
        views += ["lateral"] * (study.number % 3 == 0)
        for number, view in enumerate(views, 1):
            name = f"patient{patient + 1:05d}/study{of_patient + 1}/view{number}_{view}.jpg"
            save_image(lateral(image) if view == "lateral" else image, root / folder / name)
            projection = "PA" if view == "frontal" else ""
            person = {"Sex": "Female", "Age": 50, "Frontal/Lateral": view.capitalize()}
            about = {} if study.split == "test" else {**person, "AP/PA": projection}
            tables[study.split].append({"Path": f"{listed}/{name}", **about, **labels})
    for split, rows in tables.items():
        save_table(rows, root / _CHEXPERT_PARTS[split][0])


def write_ms_cxr(root: Path, *, studies: int, seed: int, size: int) -> None:
    """MS-CXR with the images of MIMIC-CXR-JPG that it names; normal studies are not in it.

    Quirks: several boxes and several phrases for an image; boxes in pixels of images twice the
    files' size; a split of the table's own.
    """
    prompts = load_manifest("ms_cxr").prompts
    counts = shares(2 * studies, validation=0.1, train=0.2, test=0.7)
    sampled = sample_studies(prompts, counts, seed=seed)
    chosen: list[Study] = []
    for split, count in counts.items():
        abnormal = [each for each in sampled if each.split == split and each.classes]
        chosen += abnormal[: -(-count // 2)]
    rows: list[Row] = []
    for study, image, boxes in rendered(chosen, prompts, size=size):
        name, (_, _, place) = mimic_image(study, 0), mimic_place(study)
        path = f"{place}/{name}.jpg"
        save_image(image, root / path)
        for box in boxes:
            phrase = ("There is {}.", "{}, as before", "new {}")[study.number % 3]
            corners = (round(_SCALE * value) for value in xywh(box))
            rows.append({
                "dicom_id": name, "category_name": box.label,
                "label_text": phrase.format(prompts[box.label]), "path": path,
                **dict(zip("xywh", corners, strict=True)),
                "image_width": _SCALE * image.shape[1], "image_height": _SCALE * image.shape[0],
                "split": ("train", "val", "test")[study.number % 3],
            })  # fmt: skip
    save_table(rows, root / "MS_CXR_Local_Alignment_v1.1.0.csv")
