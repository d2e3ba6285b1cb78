"""The layout of Open-I: XML reports and PNG files (see ``offclip.data.readers.openi_images``).

Quirks: both forms of an image's name; reports without an image, without findings, or not indexed;
images of no projection; automatic terms that miss what people annotated.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from offclip.data.manifests import load_manifest
from offclip.rehearsal.cases import Case, draw_cases, lateral, pictures, save, save_table
from offclip.rehearsal.words import findings_of

_MAJORS: Mapping[str, str] = {
    "Atelectasis": "Pulmonary Atelectasis/base/left",
    "Calcified Granuloma": "Calcified Granuloma/lung/upper lobe/right",
    "Cardiomegaly": "Cardiomegaly/mild",
    "Edema": "Pulmonary Edema/moderate",
    "Effusion": "Pleural Effusion/right/small",
    "Emphysema": "Pulmonary Emphysema",
    "Fibrosis": "Pulmonary Fibrosis/interstitial",
    "Fracture": "Fractures, Bone/ribs/left",
    "Granuloma": "Granuloma/lung/hilum/right",
    "Hernia": "Hernia, Hiatal/large",
    "Infiltration": "Infiltrate/lung/base/right",
    "Lung Lesion": "Nodule/lung/lingula",
    "Lung Opacity": "Opacity/lung/base/bilateral",
    "Mass": "Mass/lung/upper lobe/left",
    "Nodule": "Nodule/lung/upper lobe/right",
    "Pleural Thickening": "Thickening/pleura/apex/bilateral",
    "Pneumonia": "Pneumonia/upper lobe/right",
    "Pneumothorax": "Pneumothorax/left",
}
"""What people annotate."""
_AUTOMATICS: Mapping[str, str] = {
    "Atelectasis": "atelectases",
    "Edema": "pulmonary edema",
    "Effusion": "pleural effusion",
    "Fibrosis": "pulmonary fibrosis",
    "Hernia": "hiatal hernia",
    "Infiltration": "infiltrate",
    "Lung Lesion": "lesion",
    "Lung Opacity": "opacity",
}
"""What a program finds in the text; for other classes, their names."""


def write(root: Path, *, studies: int, seed: int, size: int) -> None:
    """Write reports, images and the table of projections."""
    prompts = load_manifest("openi").prompts
    (root / "ecgen-radiology").mkdir()
    views: list[dict[str, object]] = []
    cases = draw_cases(prompts, {"test": studies}, seed=seed)["test"]
    for case, picture, _ in pictures(cases, prompts, size=size):
        number = case.number + 1
        names: list[str] = []
        for series, projection in ((1001, "Frontal"), (2001, "Lateral"))[: 1 + number % 2]:
            stem = f"IM-{number:04d}-{series}"
            names.append(f"CXR{number}_{'1_' if number % 9 == 0 else ''}{stem}")
            shown = lateral(picture) if projection == "Lateral" else picture
            save(shown, root / "NLMCXR_png" / f"{names[-1]}.png")
            if number % 17:
                filename = f"{number}_{stem}.dcm.png"
                views.append({"uid": number, "filename": filename, "projection": projection})
        text = _xml(case, prompts, names)
        (root / f"ecgen-radiology/{number}.xml").write_text(text, encoding="utf-8")
    last = Case(studies, (), (seed, studies))  # a report without an image, as 104 real ones
    (root / f"ecgen-radiology/{studies + 1}.xml").write_text(_xml(last, prompts, []), "utf-8")
    save_table(views, root / "indiana_projections.csv")


def _xml(case: Case, prompts: Mapping[str, str], names: Sequence[str]) -> str:
    number = case.number + 1
    findings, impression = findings_of(case, prompts)
    findings = "" if number % 23 == 0 else findings
    majors = [_MAJORS[name] for name in case.classes] or ["normal"]
    majors = ["No Indexing"] if number % 29 == 0 else majors
    missed = case.number % 13 == 0
    terms = [] if missed else [_AUTOMATICS.get(name, name.lower()) for name in case.classes]
    heads = "\n".join(
        [f"      <major>{escape(major)}</major>" for major in majors]
        + [f"      <automatic>{escape(term)}</automatic>" for term in terms]
    )
    images = "\n".join(
        f'   <parentImage id="{name}">\n      <figureId>F{place}</figureId>\n'
        "      <caption>Xray Chest PA and Lateral</caption>\n   </parentImage>"
        for place, name in enumerate(names, 1)
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
<eCitation>
   <meta type="rr"/>
   <uId id="CXR{number}"/>
   <title>Rehearsal of a chest X-ray collection</title>
   <MedlineCitation Owner="rehearsal" Status="invented">
      <Article PubModel="Electronic">
         <Abstract>
            <AbstractText Label="COMPARISON">None.</AbstractText>
            <AbstractText Label="INDICATION">XXXX-year-old with cough</AbstractText>
            <AbstractText Label="FINDINGS">{escape(findings)}</AbstractText>
            <AbstractText Label="IMPRESSION">{escape(impression)}</AbstractText>
         </Abstract>
      </Article>
   </MedlineCitation>
   <MeSH>
{heads}
   </MeSH>
{images}
</eCitation>
"""
