"""A local copy with invented reports."""

from pathlib import Path

import pandas as pd

from offclip.data.records import write_records

COUNT = 12
PLACES = (
    "sixth posterior rib", "left costophrenic angle", "aortic knob", "minor fissure",
    "right tracheal border", "gastric bubble", "second anterior rib", "azygos arch",
    "left hilar point", "lateral clavicle", "cardiac apex", "descending aorta",
)  # fmt: skip
SENTENCES = [
    f"A {n + 3} mm nodule overlies the {p}, first seen by us." for n, p in enumerate(PLACES)
]
PROMPTS = [f"there is a {n + 3} mm nodule over the {p}" for n, p in enumerate(PLACES)]
SHORT = [
    f"Nodule {n + 3} mm. Near {p}. Unlike the last film. Pacer in place."
    for n, p in enumerate(PLACES)
]
STUDIES = [str(9 * 10**7 + 17 + 31 * n) for n in range(COUNT)]
PATIENTS = [str(10**7 + 1 + n) for n in range(COUNT)]
LEFT_OUT = str(9 * 10**7 + 9999)
IMAGES = [f"{n:08x}-7bde0afd-91c3{n:04x}-5e384014" for n in range(COUNT)]


def records(access="credentialed", dataset="mimic_cxr", count=COUNT):
    """Records as curation writes them."""
    rows = range(count)
    return pd.DataFrame(
        {
            "dataset": dataset,
            "study_id": STUDIES[:count],
            "patient_id": PATIENTS[:count],
            "split": "test",
            "image": [f"files/p10/p{PATIENTS[n]}/s{STUDIES[n]}/{IMAGES[n]}.jpg" for n in rows],
            "view": "PA",
            "sentences": [[SENTENCES[n], *_split(SHORT[n])] for n in rows],
            "prompts": [[PROMPTS[n]] for n in rows],
            "prompt_abnormal": [[0.9]] * count,
            "is_normal": False,
            "labels": [{"nodule": 1}] * count,
            "boxes": [[]] * count,
            "width": 256,
            "height": 256,
            "access": access,
        }
    )


def _split(text):
    return [f"{part.strip(' .')}." for part in text.split(". ")]


def private_copy(folder: Path, access="credentialed") -> Path:
    """The records of a curation, and what it left out of them."""
    write_records(records(access), folder / "records.parquet")
    left_out = {"study_id": [LEFT_OUT], "image": [f"files/p10/p/s{LEFT_OUT}/x.jpg"]}
    pd.DataFrame({**left_out, "reason": "no_report", "error": ""}).to_parquet(
        folder / "left_out.parquet"
    )
    return folder
