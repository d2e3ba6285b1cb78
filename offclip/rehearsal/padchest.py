"""The layout of PadChest (see ``offclip.data.readers.padchest``).

Quirks: 16-bit files, lists written as text, a column without a name, projections under codes, rows
that a network labelled (some with no list), one list that is cut, labels that are no findings.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from offclip.data.manifests import load_manifest
from offclip.data.readers.padchest import NORMAL, NOT_DISEASES
from offclip.rehearsal.cases import (
    Case,
    draw_cases,
    lateral,
    pictures,
    save,
    save_table,
    twelve_bits,
)

COMMON = (
    "COPD signs", "aortic elongation", "atelectasis", "calcified granuloma", "cardiomegaly",
    "consolidation", "costophrenic angle blunting", "emphysema", "fracture",
    "hemidiaphragm elevation", "hiatal hernia", "hypoexpansion", "infiltrates",
    "interstitial pattern", "mass", "nodule", "pacemaker", "pleural effusion",
    "pleural thickening", "pneumonia", "pneumothorax", "pulmonary edema", "scoliosis",
    "vertebral degenerative changes",
)  # fmt: skip
"""Labels that come up in a rehearsal, of 193."""
_TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
_MACHINE_LISTS = ("nan", "['normal']", "['cardiomegaly', 'pleural effusion']")


def write(root: Path, *, studies: int, seed: int, size: int) -> None:
    """Write images of the physicians' rows and of the network's, and the table."""
    every = load_manifest("padchest").prompts
    prompts = {name: every[name] for name in COMMON}
    cases = draw_cases(prompts, {"test": studies}, seed=seed)["test"]
    rows: list[dict[str, object]] = []
    for case, picture, _ in pictures(cases, prompts, size=size):
        labels = list(case.classes) or [NORMAL]
        if case.classes and case.number % 5 == 0:
            labels.append(NOT_DISEASES[case.number // 5 % len(NOT_DISEASES)])
        written = str(labels)[:-1] if case.number == studies - 1 else str(labels)
        codes = ["AP_horizontal" if case.number % 6 == 0 else "PA"] + ["L"] * (case.number % 3 == 0)
        for place, code in enumerate(codes):
            shown = lateral(picture) if code == "L" else picture
            row = _row(case, place, code, "Physician", written, shown)
            save(twelve_bits(shown), root / str(row["ImageDir"]) / str(row["ImageID"]))
            rows.append(row)
        if case.number % 4 == 0:
            machine = _MACHINE_LISTS[case.number // 4 % len(_MACHINE_LISTS)]
            rows.append(_row(case, 9, "PA", "RNN_model", machine, picture))
    save_table([{"": number} | row for number, row in enumerate(rows)], root / _TABLE)


def _row(
    case: Case, place: int, code: str, method: str, labels: str, picture: np.ndarray
) -> dict[str, object]:
    study = _digits(case, "study")
    names = {"L": "LATERAL", "PA": "POSTEROANTERIOR", "AP_horizontal": "ANTEROPOSTERIOR"}
    blank: Sequence[str] = ("PixelAspectRatio_DICOM", "SpatialResolution_DICOM")
    return {
        "ImageID": f"{study}_{case.number:03d}{place}.png",
        "ImageDir": case.number % 3,
        "StudyDate_DICOM": 20140915,
        "StudyID": study,
        "PatientID": _digits(case, "patient"),
        "PatientBirth": "1950.0",
        "PatientSex_DICOM": "F",
        "ViewPosition_DICOM": names[code],
        "Projection": code,
        "MethodProjection": "Manual review of DICOM fields",
        "Pediatric": "No",
        "Modality_DICOM": "CR",
        "Manufacturer_DICOM": "rehearsal",
        "PhotometricInterpretation_DICOM": "MONOCHROME2",
        "PixelRepresentation_DICOM": 0,
        **dict.fromkeys(blank, "None"),
        "BitsStored_DICOM": 12,
        "WindowCenter_DICOM": 2048,
        "WindowWidth_DICOM": 4096,
        "Rows_DICOM": picture.shape[0],
        "Columns_DICOM": picture.shape[1],
        "XRayTubeCurrent_DICOM": 250,
        "Exposure_DICOM": 2,
        "ExposureInuAs_DICOM": 2500,
        "ExposureTime": 10,
        "RelativeXRayExposure_DICOM": -1.42,
        "ReportID": 4_000_000 + case.number,
        "Report": " informe inventado .",
        "MethodLabel": method,
        "Labels": labels,
        "Localizations": "[]",
        "LabelsLocalizationsBySentence": "[]",
        "labelCUIS": "[]",
        "LocalizationsCUIS": "[]",
    }


def _digits(case: Case, kind: str) -> str:
    """A number of 39 digits, as the set names studies and patients; one study a patient."""
    value = hashlib.sha256(f"{case.seed} {kind}".encode()).hexdigest()
    return str(int(value, 16))[:39]
