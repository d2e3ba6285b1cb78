"""Open-I with its images: 7,470 PNG files of 3,851 reports, laterals included, all for test.

The reports as an archive or as XML files, the images anywhere below the root. The collection's XML
names no projection; a table ``indiana_projections.csv`` (``uid, filename, projection``), as another
copy of the set has it, gives the views.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from offclip.data.openi import Report, read_reports
from offclip.data.readers.rows import finished
from offclip.data.tables import images_below, mark, read_table
from offclip.text import image_text, split_sentences

DATASET = "openi"
PUBLISHED = "published/"
"""Before the name of a label that follows the published rule."""
TERMS: Mapping[str, tuple[str, ...]] = {
    "Atelectasis": ("atelectasis", "atelectases"),
    "Cardiomegaly": ("cardiomegaly",),
    "Effusion": ("effusion", "effusions"),
    "Infiltration": ("infiltrate", "infiltrates", "infiltration"),
    "Mass": ("mass", "masses"),
    "Nodule": ("nodule", "nodules"),
    "Pneumonia": ("pneumonia", "pneumonias"),
    "Pneumothorax": ("pneumothorax", "hydropneumothorax"),
    "Edema": ("edema", "edemas"),
    "Emphysema": ("emphysema", "emphysemas"),
    "Fibrosis": ("fibrosis", "fibroses"),
    "Pleural Thickening": ("pleural thickening",),
    "Hernia": ("hernia", "hernias"),
    "Fracture": ("fracture", "fractures"),
    "Lung Opacity": ("opacity", "opacities"),
    "Lung Lesion": ("lesion", "lesions"),
    "Calcified Granuloma": ("calcified granuloma", "calcified granulomas"),
    "Granuloma": ("granuloma", "granulomas", "granulomatous disease"),
}
"""Class to the words that say it, as whole words of an automatic MeSH term."""
_OTHER_THAN = {"Effusion": "pericardial", "Emphysema": "subcutaneous", "Granuloma": "calcified"}
_KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "Atelectasis": ("atelectasis", "atelectases"),
    "Infiltration": ("infiltration", "infiltrate"),
    "Pleural Thickening": ("pleural_thickening", "pleural thickening"),
    "Lung Opacity": ("opacity",),
    "Lung Lesion": ("lesion",),
}
NO_FINDING = "No_Finding"


def read_openi_images(root: str | Path, *, seed: int = 0) -> tuple[pd.DataFrame, dict[str, int]]:
    """A row for each image. Normal: people annotated the report with "normal" and nothing else.

    Labels follow two rules. Ours takes whole words of the automatic MeSH terms (``TERMS``; a
    pericardial effusion is no pleural one, a calcified granuloma counts as that alone). The
    published one, under names that begin with ``published/``, takes any of 18 keywords as a part of
    any automatic term, and calls normal what has none (OFF-CLIP, ``validation.py``): 43 % of these
    images are not annotated as normal.

    Args:
        root: a folder with ``NLMCXR_reports.tgz`` or XML files, and the images.
        seed: not used; every reader takes it.

    Returns:
        Rows, with ``sentences``: findings and impression, word for word; and counts, which are
        ``reports``,
        ``malformed_reports``, ``reports_without_image``; ``images`` that they name, of these
        ``normal``, ``published_normal``, ``not_indexed`` (no annotation by people: never normal by
        our rule), ``view_unknown``; ``images_without_report``, files that no report names.

    Raises:
        ValueError: no reports, or their archive is damaged.
    """
    root = Path(root)
    archive = root / "NLMCXR_reports.tgz"
    found = read_reports(archive if archive.is_file() else root)
    (places, ambiguous), views = images_below(root, (".png",)), _views(root)
    rows = pd.DataFrame([row for report in found.reports for row in _rows(report, places, views)])
    if rows.empty:
        raise ValueError(f"{root}: the reports name no image; give the folder of the whole set")
    names = rows["image"].map(lambda image: Path(image).name)
    mark(rows, names.isin(ambiguous), "ambiguous")
    counts = {
        "reports": len(found.reports),
        "malformed_reports": len(found.malformed),
        "reports_without_image": sum(not each.image_ids for each in found.reports),
        "images": len(rows),
        "patients": rows["patient_id"].nunique(),
        "normal": int(rows["is_normal"].sum()),
        "published_normal": sum(each[PUBLISHED + NO_FINDING] for each in rows["labels"]),
        "not_indexed": int((~rows["indexed"]).sum()),
        "view_unknown": int((rows["view"] == "").sum()),
        "images_without_report": len(set(places) - set(names)),
    }
    return finished(rows.drop(columns="indexed"), counts, root)


def _rows(
    report: Report, places: Mapping[str, str], views: Mapping[str, str]
) -> Iterable[dict[str, Any]]:
    """A row for each image of a report."""
    labels = labels_of(report)
    sentences = split_sentences(image_text(report.sections))
    for image in report.image_ids:
        yield {
            "study_id": report.study_id,
            "patient_id": report.study_id,
            "split": "test",
            "image": places.get(f"{image}.png", f"{image}.png"),
            "view": views.get(_key(image), ""),
            "is_normal": [each.lower() for each in report.majors] == ["normal"],
            "labels": labels,
            "boxes": [],
            "sentences": sentences,
            "reason": "",
            "indexed": bool(report.majors) and report.majors != ("No Indexing",),
        }


def labels_of(report: Report) -> dict[str, int | None]:
    """Labels of a report by both rules."""
    terms = [each.lower() for each in report.automatics]
    ours = {name: int(any(_says(term, name) for term in terms)) for name in TERMS}
    joined = "|".join(terms)
    published = {
        name: int(any(word in joined for word in _KEYWORDS.get(name, (name.lower(),))))
        for name in TERMS
    }
    published[NO_FINDING] = int(not any(published.values()))
    return {**ours, **{PUBLISHED + name: value for name, value in published.items()}}


def _says(term: str, name: str) -> bool:
    words = " ".join(re.findall(r"[a-z]+", term))
    if _OTHER_THAN.get(name, "-") in words:
        return False
    return any(f" {phrase} " in f" {words} " for phrase in TERMS[name])


def _views(root: Path) -> dict[str, str]:
    path = root / "indiana_projections.csv"
    if not path.is_file():
        return {}
    table = read_table(path, ("uid", "filename", "projection"))
    return {
        _key(f"CXR{name}"): view.upper()
        for name, view in zip(table["filename"], table["projection"], strict=True)
    }


def _key(image: str) -> str:
    """Report and series of an image, which its names in both copies share."""
    numbers = re.match(r"CXR(\d+)_.*?(IM-[0-9-]+)", image)
    return "_".join(numbers.groups()) if numbers else image
