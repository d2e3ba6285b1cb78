"""Layouts of sets whose labels are terms of their reports: PadChest and Open-I."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from offclip.data.manifests import load_manifest
from offclip.data.readers.openi_images import TERMS
from offclip.data.readers.padchest import NORMAL, NOT_DISEASES
from offclip.rehearsal.files import Row, lateral, save_image, save_table, twelve_bits
from offclip.rehearsal.studies import Study, rendered, report, sample_studies

_PADCHEST_CLASSES = (
    "COPD signs", "aortic elongation", "atelectasis", "calcified granuloma", "cardiomegaly",
    "consolidation", "costophrenic angle blunting", "emphysema", "fracture",
    "hemidiaphragm elevation", "hiatal hernia", "hypoexpansion", "infiltrates",
    "interstitial pattern", "mass", "nodule", "pacemaker", "pleural effusion",
    "pleural thickening", "pneumonia", "pneumothorax", "pulmonary edema", "scoliosis",
    "vertebral degenerative changes",
)  # fmt: skip
"""Labels that come up in a synthetic copy, of 193."""
_PADCHEST_ROW: Row = {
    "": 0, "ImageID": "", "ImageDir": 0, "StudyDate_DICOM": 20140915, "StudyID": "",
    "PatientID": "", "PatientBirth": "1950.0", "PatientSex_DICOM": "F", "ViewPosition_DICOM": "",
    "Projection": "", "MethodProjection": "Manual review of DICOM fields", "Pediatric": "No",
    "Modality_DICOM": "CR", "Manufacturer_DICOM": "rehearsal",
    "PhotometricInterpretation_DICOM": "MONOCHROME2", "PixelRepresentation_DICOM": 0,
    "PixelAspectRatio_DICOM": "None", "SpatialResolution_DICOM": "None", "BitsStored_DICOM": 12,
    "WindowCenter_DICOM": 2048, "WindowWidth_DICOM": 4096, "Rows_DICOM": 0, "Columns_DICOM": 0,
    "XRayTubeCurrent_DICOM": 250, "Exposure_DICOM": 2, "ExposureInuAs_DICOM": 2500,
    "ExposureTime": 10, "RelativeXRayExposure_DICOM": -1.42, "ReportID": 0,
    "Report": " informe inventado .", "MethodLabel": "", "Labels": "", "Localizations": "[]",
    "LabelsLocalizationsBySentence": "[]", "labelCUIS": "[]", "LocalizationsCUIS": "[]",
}  # fmt: skip
"""All columns; what no reader looks at has one value."""
_OPENI_XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation>
   <meta type="rr"/>
   <uId id="CXR{number}"/>
   <title>Rehearsal of a chest X-ray collection</title>
   <MedlineCitation Owner="rehearsal" Status="invented">
      <Article PubModel="Electronic">
         <Abstract>
            <AbstractText Label="COMPARISON">None.</AbstractText>
            <AbstractText Label="INDICATION">XXXX-year-old with cough</AbstractText>
            <AbstractText Label="FINDINGS">{findings}</AbstractText>
            <AbstractText Label="IMPRESSION">{impression}</AbstractText>
         </Abstract>
      </Article>
   </MedlineCitation>
   <MeSH>
{terms}
   </MeSH>
{images}
</eCitation>
"""


def write_padchest(root: Path, *, studies: int, seed: int, size: int) -> None:
    """PadChest: images of the physicians' rows, and rows that a network labelled.

    Quirks: 16-bit files, lists written as text, a column without a name, projections under codes,
    network rows (some with no list), one list that is cut, labels that are no findings.
    """
    every = load_manifest("padchest").prompts
    prompts = {name: every[name] for name in _PADCHEST_CLASSES}
    sampled = sample_studies(prompts, {"test": studies}, seed=seed)
    rows: list[Row] = []
    for study, image, _ in rendered(sampled, prompts, size=size):
        number, labels = study.number, list(study.classes) or [NORMAL]
        if study.classes and number % 5 == 0:
            labels.append(NOT_DISEASES[number // 5 % len(NOT_DISEASES)])
        text = str(labels)[:-1] if number == studies - 1 else str(labels)
        codes = ["AP_horizontal" if number % 6 == 0 else "PA"] + ["L"] * (number % 3 == 0)
        for place, code in enumerate(codes):
            shown = lateral(image) if code == "L" else image
            row = _padchest_row(study, place, code, shown.shape)
            save_image(twelve_bits(shown), root / str(row["ImageDir"]) / str(row["ImageID"]))
            rows.append({**row, "": len(rows), "MethodLabel": "Physician", "Labels": text})
        if number % 4 == 0:
            lists = ("nan", "['normal']", "['cardiomegaly', 'pleural effusion']")
            own = {"": len(rows), "MethodLabel": "RNN_model", "Labels": lists[number // 4 % 3]}
            rows.append({**_padchest_row(study, 9, "PA", image.shape), **own})
    save_table(rows, root / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv")


def _padchest_row(study: Study, place: int, code: str, shape: Sequence[int]) -> Row:
    """A row without labels; one study per patient, both with a number of 39 digits."""
    ids = {}
    for of in ("study", "patient"):
        digits = int(hashlib.sha256(f"{study.seed} {of}".encode()).hexdigest(), 16)
        ids[of] = str(digits)[:39]
    views = {"L": "LATERAL", "PA": "POSTEROANTERIOR", "AP_horizontal": "ANTEROPOSTERIOR"}
    return {
        **_PADCHEST_ROW,
        "ImageID": f"{ids['study']}_{study.number:03d}{place}.png",
        "ImageDir": study.number % 3,
        "StudyID": ids["study"],
        "PatientID": ids["patient"],
        "ViewPosition_DICOM": views[code],
        "Projection": code,
        "Rows_DICOM": shape[0],
        "Columns_DICOM": shape[1],
        "ReportID": 4_000_000 + study.number,
    }


def write_openi(root: Path, *, studies: int, seed: int, size: int) -> None:
    """Open-I: XML reports, PNG files and the table of projections.

    Quirks: both forms of an image's name; reports without an image, without findings, or not
    indexed; images of no projection; automatic terms that miss what people annotated.
    """
    prompts = load_manifest("openi").prompts
    sampled = sample_studies(prompts, {"test": studies}, seed=seed)
    without_image = Study(studies, (), (seed, studies))  # as 104 real ones
    names: dict[Study, list[str]] = {each: [] for each in (*sampled, without_image)}
    views: list[Row] = []
    for study, image, _ in rendered(sampled, prompts, size=size):
        number = study.number + 1
        for series, projection in ((1001, "Frontal"), (2001, "Lateral"))[: 1 + number % 2]:
            stem = f"IM-{number:04d}-{series}"
            name = f"CXR{number}_{'1_' if number % 9 == 0 else ''}{stem}"
            shown = lateral(image) if projection == "Lateral" else image
            save_image(shown, root / "NLMCXR_png" / f"{name}.png")
            names[study].append(name)
            if number % 17:
                file = f"{number}_{stem}.dcm.png"
                views.append({"uid": number, "filename": file, "projection": projection})
    save_table(views, root / "indiana_projections.csv")
    (root / "ecgen-radiology").mkdir()
    for study, own in names.items():
        path = root / f"ecgen-radiology/{study.number + 1}.xml"
        path.write_text(_openi_xml(study, prompts, own), encoding="utf-8")


def _openi_xml(study: Study, prompts: Mapping[str, str], names: Sequence[str]) -> str:
    number = study.number + 1
    findings, impression = report(study, prompts)
    majors = [f"{name}/moderate" for name in study.classes] or ["normal"]
    majors = ["No Indexing"] if number % 29 == 0 else majors
    automatics = [] if study.number % 13 == 0 else [TERMS[name][0] for name in study.classes]
    terms = [f"      <major>{escape(each)}</major>" for each in majors]
    terms += [f"      <automatic>{escape(each)}</automatic>" for each in automatics]
    images = [
        f'   <parentImage id="{name}">\n      <figureId>F{place}</figureId>\n'
        "      <caption>Xray Chest PA and Lateral</caption>\n   </parentImage>"
        for place, name in enumerate(names, 1)
    ]
    return _OPENI_XML.format(
        number=number,
        findings="" if number % 23 == 0 else escape(findings),
        impression=escape(impression),
        terms="\n".join(terms),
        images="\n".join(images),
    )
