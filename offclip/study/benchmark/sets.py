"""What differs between the published sets when a model is evaluated on them.

Classes of OFF-CLIP's four sets are those of its ``validation.py``, prompts of VinDr-CXR too. Its
other prompt files were not released: those of Open-I, ChestX-ray14 and ChestX-Det10 are CARZero's
as its users hand them on, those of CheXpert and PadChest are the names of the labels (unverified).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pandas as pd

from offclip.data.manifests import load_manifest
from offclip.data.readers import (
    READERS,
    chestx_det10,
    chestxray14,
    chexpert,
    mimic,
    openi_images,
    padchest,
    vindr,
)
from offclip.data.tables import mark
from offclip.evaluation import Protocol
from offclip.evaluation.published_protocol import ACCURACY, AUC, POOLED, PublishedSet
from offclip.evaluation.scoring import negative_prompt, positive_prompt

VIEWS = ("mean", "max", "frontal")
"""What a study's score is: mean or highest of its images, or mean of the frontal ones."""
_NORMAL = "no finding"
_CARZERO = {
    "Effusion": "pleural effusion",
    "Mass": "pulmonary mass",
    "Nodule": "lung nodule",
    "Emphysema": "pulmonary emphysema",
    "Edema": "pulmonary edema",
    "Consolidation": "pulmonary consolidation",
    "Calcification": "tissue calcification",
    "Fracture": "bone fracture",
    "Pleural_Thickening": "pleural thickening",
}
_OPENI = {
    "Infiltration": "lung infiltration",
    "Fibrosis": "pulmonary fibrosis",
    "Lung Lesion": "abnormal lesion",
    "Granuloma": "lung granuloma",
}
_VINDR = (
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Consolidation", "Edema",
    "Emphysema", "Enlarged PA", "Infiltration", "Lung Opacity", "Nodule/Mass", "Pleural effusion",
    "Pleural thickening", "Pneumothorax", "Lung tumor", "Pneumonia", vindr.NO_FINDING,
)  # fmt: skip


def _phrases(names: tuple[str, ...], renamed: Mapping[str, str]) -> dict[str, str]:
    return {name: renamed.get(name, name.lower()) for name in names}


PUBLISHED: Mapping[str, PublishedSet] = {
    vindr.DATASET: PublishedSet(
        _phrases(_VINDR, {}), normal=vindr.NO_FINDING, drops_unlabelled=True
    ),
    openi_images.DATASET: PublishedSet(
        _phrases(
            (*openi_images.TERMS, openi_images.NO_FINDING),
            {**_CARZERO, **_OPENI, openi_images.NO_FINDING: _NORMAL},
        ),
        normal=openi_images.NO_FINDING,
        prefix=openi_images.PUBLISHED,
    ),
    chexpert.DATASET: PublishedSet(_phrases(chexpert.CLASSES, {}), normal=chexpert.NO_FINDING),
    padchest.DATASET: PublishedSet({}, normal=padchest.NORMAL, metrics=(AUC, ACCURACY, *POOLED)),
    chestxray14.DATASET: PublishedSet(
        _phrases(
            tuple(load_manifest(chestxray14.DATASET).prompts),
            {**_CARZERO, "Infiltration": "pulmonary infiltration"},
        ),
        metrics=(AUC,),
    ),
    chestx_det10.DATASET: PublishedSet(_phrases(chestx_det10.CLASSES, _CARZERO), metrics=(AUC,)),
}
"""MIMIC-CXR and MS-CXR have no published zero-shot classification to repeat. CARZero's numbers on
ChestX-ray14 rest on 22,433 images; here all of the published test list are taken, since which ones
those were is not said."""


@dataclass(frozen=True)
class CorrectedSet:
    """What one set is measured by in the corrected protocol, from its manifest.

    Attributes:
        protocol: findings and normality prompts.
        non_findings: labels that are no findings; their classes are reported, and a second mean.
        normal_rules: name of another rule of normality → the label that it gives.
        also_frontal: the frontal images alone are measured as well.
    """

    protocol: Protocol
    non_findings: Mapping[str, str] = field(default_factory=dict)
    normal_rules: Mapping[str, str] = field(default_factory=dict)
    also_frontal: bool = False

    @property
    def prompts(self) -> list[str]:
        """Everything that has to be scored."""
        return list(
            dict.fromkeys([*self.protocol.prompts, *Protocol(self.non_findings, []).prompts])
        )

    def without(self, prompts: Collection[str]) -> "CorrectedSet":
        """The same without these prompts, and without the classes that need one of them."""

        def kept(phrases: Mapping[str, str]) -> dict[str, str]:
            return {
                name: phrase
                for name, phrase in phrases.items()
                if positive_prompt(phrase) not in prompts and negative_prompt(phrase) not in prompts
            }

        normal = [each for each in self.protocol.normal_prompts if each not in prompts]
        phrases = kept(self.protocol.phrases)
        protocol = replace(self.protocol, phrases=phrases, normal_prompts=normal)
        return replace(self, protocol=protocol, non_findings=kept(self.non_findings))


def corrected_set(dataset: str, *, min_positives: int = 10) -> CorrectedSet:
    """The corrected protocol of a set, from its manifest.

    Raises:
        ValueError: no set that has a reader; names the nearest manifest.
    """
    manifest = load_manifest(dataset)
    if dataset not in READERS:
        raise ValueError(f"dataset: expected one of {', '.join(READERS)}; got {dataset!r}")
    others = padchest.NOT_DISEASES if dataset == padchest.DATASET else ()
    named = {n: p for n, p in manifest.prompts.items() if n != manifest.normal_label}
    phrases = {name: phrase for name, phrase in named.items() if name not in others}
    non_findings = {name: phrase for name, phrase in named.items() if name in others}
    protocol = Protocol(phrases, manifest.normal_prompts, min_positives)
    if dataset == openi_images.DATASET:
        rules = {"published rule": openi_images.PUBLISHED + openi_images.NO_FINDING}
        return CorrectedSet(protocol, normal_rules=rules, also_frontal=True)
    return CorrectedSet(protocol, non_findings)


def with_normality(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with ``is_normal``; for sets of reports, by the label "No Finding" of their labeller.

    Of these, studies that the labeller did not label are left out, as ``unlabelled``.

    Args:
        rows: of a reader.
    """
    if "is_normal" in rows:
        return rows
    rows = rows.assign(is_normal=[own.get(mimic.NO_FINDING) == 1 for own in rows["labels"]])
    mark(rows, (~rows["labels"].map(bool)).to_numpy(), "unlabelled")
    return rows
