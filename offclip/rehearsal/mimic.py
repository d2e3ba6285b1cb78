"""The layout of MIMIC-CXR-JPG with the reports of MIMIC-CXR (see ``offclip.data.readers.mimic``).

Quirks: lateral views and second frontal ones, an image whose view is unknown, a study without a
frontal image, a report without findings and impression, uncertain and blank labels.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from offclip.data.manifests import load_manifest
from offclip.rehearsal.cases import (
    Case,
    draw_cases,
    lateral,
    pictures,
    save,
    save_table,
    shares,
)
from offclip.rehearsal.words import findings_of

_FOLDERS = {"train": range(10, 17), "validation": range(17, 18), "test": range(18, 20)}
_VIEWS = {"PA": "postero-anterior", "AP": "antero-posterior", "LATERAL": "lateral", "": ""}
NO_FINDING = "No Finding"


def write(root: Path, *, studies: int, seed: int, size: int) -> None:
    """Write images, reports and the three tables."""
    prompts = load_manifest("mimic_cxr").prompts
    drawn = draw_cases(prompts, shares(studies, validation=0.2, test=0.25, train=0.55), seed=seed)
    images: list[dict[str, object]] = []
    labels: list[dict[str, object]] = []
    parts: list[dict[str, object]] = []
    for split, cases in drawn.items():
        for case, picture, _ in pictures(cases, prompts, size=size):
            subject, study = ids(case, split)
            place = place_of(subject, study)
            for number, view in enumerate(_views(case, split)):
                name = dicom_id(seed, study, number)
                shown = lateral(picture) if view == "LATERAL" else picture
                save(shown, root / place / f"{name}.jpg")
                about = {"dicom_id": name, "subject_id": subject, "study_id": study}
                images.append(about | _metadata(view, shown))
                parts.append(about | {"split": {"validation": "validate"}.get(split, split)})
            (root / f"{place}.txt").write_text(_report(case, prompts), encoding="utf-8")
            labels.append({"subject_id": subject, "study_id": study} | _labels(case, prompts))
    save_table(images, root / "mimic-cxr-2.0.0-metadata.csv.gz")
    save_table(labels, root / "mimic-cxr-2.0.0-chexpert.csv.gz")
    save_table(parts, root / "mimic-cxr-2.0.0-split.csv.gz")


def ids(case: Case, split: str) -> tuple[int, int]:
    """Numbers of patient and study; two studies a patient."""
    folders = _FOLDERS[split]
    patient = case.number // 2
    return folders[patient % len(folders)] * 1_000_000 + 100 + patient, 50_000_000 + case.number


def place_of(subject: int, study: int) -> str:
    """Folder of a study's images below the root."""
    return f"files/p{subject // 1_000_000}/p{subject}/s{study}"


def dicom_id(seed: int, study: int, number: int) -> str:
    """An image's name: five groups of eight hexadecimal digits."""
    digits = hashlib.sha256(f"{seed} {study} {number}".encode()).hexdigest()[:40]
    return "-".join(digits[k : k + 8] for k in range(0, 40, 8))


def _views(case: Case, split: str) -> list[str]:
    if split == "train" and case.number % 31 == 9:
        return ["LATERAL"]
    views = ["PA" if case.number % 2 else "AP"] + ["AP"] * (case.number % 4 == 0)
    return views + ["LATERAL"] * (case.number % 3 == 0) + [""] * (case.number % 29 == 5)


def _metadata(view: str, picture: np.ndarray) -> dict[str, object]:
    word = _VIEWS[view]
    return {
        "PerformedProcedureStepDescription": "CHEST (PA AND LAT)" if view else "",
        "ViewPosition": view,
        "Rows": picture.shape[0],
        "Columns": picture.shape[1],
        "StudyDate": 21800506,
        "StudyTime": "213014.531",
        "ProcedureCodeSequence_CodeMeaning": "CHEST (PA AND LAT)" if view else "",
        "ViewCodeSequence_CodeMeaning": word,
        "PatientOrientationCodeSequence_CodeMeaning": "Erect" if view else "",
    }


def _report(case: Case, prompts: Mapping[str, str]) -> str:
    findings, impression = findings_of(case, prompts)
    head = (
        " " * 33 + "FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n\n"
        " INDICATION:  ___ year old with cough.\n\n COMPARISON:  ___.\n\n"
    )
    if case.number % 31 == 7:
        return head
    return head + f" FINDINGS: \n \n {findings}\n\n IMPRESSION: \n \n {impression}\n"


def _labels(case: Case, prompts: Mapping[str, str]) -> dict[str, object]:
    """CheXpert's way: 1 for what is said, 0 for what is denied, blank for the rest, -1 at times."""
    found: dict[str, object] = {}
    for place, name in enumerate(sorted([*prompts, NO_FINDING])):
        if name == NO_FINDING:
            found[name] = "" if case.classes else 1.0
        elif name in case.classes:
            found[name] = 1.0
        else:
            quirk = (case.number + place) % 11
            found[name] = {0: -1.0 if case.classes else "", 1: 0.0}.get(quirk, "")
    return found
