"""Read Open-I MeSH annotations ("Opacity/lung/base/left/mild") as findings and labels.

A major heading is a head and modifiers. Each rule names heads, the modifiers it needs, those that
belong to something else (no match), and those for which the class holds but nothing can be drawn
on a frontal film (``hidden``). The first rule that fits decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from offclip.phantom.findings import Finding, Severity, Side, Zone


@dataclass(frozen=True)
class Rule:
    """Annotation pattern of one class. ``needs``: at least one of these, if any are given."""

    name: str
    heads: tuple[str, ...]
    needs: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class MeshReading:
    """Findings to draw, and majors (other than "normal") of which nothing is drawn."""

    findings: tuple[Finding, ...]
    not_drawn: tuple[str, ...]


def _set(words: str) -> frozenset[str]:
    return frozenset(word.strip() for word in words.split(";") if word.strip())


_OUTSIDE_LUNG = _set(
    "abdomen; breast; neck; thoracic vertebrae; lumbar vertebrae; cervical vertebrae; spine; "
    "ribs; humerus; shoulder; clavicle; aorta; aorta, thoracic; pleura"
)
_FAR = _set("abdomen; neck; breast; humerus; shoulder; cervical vertebrae; lumbar vertebrae; spine")

RULES: tuple[Rule, ...] = (
    Rule("Cardiomegaly", ("Cardiomegaly",)),
    Rule("Cardiomegaly", ("Cardiac Shadow",), _set("enlarged; prominent")),
    Rule("Cardiomegaly", ("Heart Atria", "Heart Ventricles"), _set("enlarged")),
    Rule("Pleural Effusion", ("Pleural Effusion", "Hemothorax"), hidden=_set("posterior")),
    Rule("Pneumothorax", ("Pneumothorax", "Hydropneumothorax")),
    Rule(
        "Blunted Costophrenic Angle",
        ("Costophrenic Angle", "Sulcus", "Pleura"),
        _set("blunted"),
        hidden=_set("posterior"),
    ),
    Rule("Pleural Thickening", ("Thickening",), _set("pleura"), hidden=_set("posterior")),
    Rule("Atelectasis", ("Pulmonary Atelectasis",)),
    Rule(
        "Interstitial Markings", ("Opacity", "Infiltrate", "Lung"), _set("interstitial; reticular")
    ),
    Rule(
        "Interstitial Markings",
        ("Markings", "Pulmonary Fibrosis", "Lung Diseases, Interstitial", "Fibrosis"),
    ),
    Rule("Consolidation", ("Consolidation", "Airspace Disease", "Infiltrate", "Pneumonia")),
    Rule("Calcified Granuloma", ("Calcified Granuloma", "Granuloma")),
    Rule(
        "Calcified Granuloma",
        ("Calcinosis",),
        _set("lung; hilum; lymph nodes; mediastinum"),
        never=_set("abdomen; pleura; breast"),
    ),
    Rule("Aortic Calcification", ("Calcinosis", "Atherosclerosis"), _set("aorta; aorta, thoracic")),
    Rule("Nodule", ("Nodule", "Mass"), never=_OUTSIDE_LUNG),
    Rule("Nodule", ("Density", "Opacity"), _set("round"), never=_OUTSIDE_LUNG),
    Rule("Opacity", ("Opacity", "Density"), never=_OUTSIDE_LUNG | _set("mediastinum; heart")),
    Rule("Cicatrix", ("Cicatrix",), never=_OUTSIDE_LUNG),
    Rule("Pulmonary Edema", ("Pulmonary Edema", "Pulmonary Congestion")),
    Rule(
        "Emphysema",
        (
            "Emphysema",
            "Pulmonary Emphysema",
            "Bullous Emphysema",
            "Pulmonary Disease, Chronic Obstructive",
            "Lung, Hyperlucent",
        ),
    ),
    Rule("Emphysema", ("Lung",), _set("hyperdistention")),
    Rule("Emphysema", ("Diaphragm",), _set("flattened")),
    Rule("Hypoinflation", ("Lung",), _set("hypoinflation")),
    Rule("Hilar Enlargement", ("Lung",), _set("hilum")),
    Rule("Hilar Enlargement", ("Pulmonary Artery",), _set("enlarged; prominent")),
    Rule("Elevated Diaphragm", ("Diaphragm",), _set("elevated")),
    Rule("Elevated Diaphragm", ("Diaphragmatic Eventration",), hidden=_set("posterior; anterior")),
    Rule("Hiatal Hernia", ("Hernia, Hiatal",)),
    Rule("Tortuous Aorta", ("Aorta", "Aorta, Thoracic"), _set("tortuous; enlarged; prominent")),
    Rule("Tortuous Aorta", ("Aortic Aneurysm",), never=_set("abdomen")),
    Rule("Scoliosis", ("Scoliosis",)),
    Rule("Degenerative Spine", ("Thoracic Vertebrae", "Spine"), _set("degenerative")),
    Rule("Degenerative Spine", ("Osteophyte", "Spondylosis"), never=_FAR - _set("spine")),
    Rule("Degenerative Spine", ("Hyperostosis, Diffuse Idiopathic Skeletal",)),
    Rule("Rib Fracture", ("Fractures, Bone", "Deformity"), _set("ribs")),
    Rule("Catheter", ("Catheters, Indwelling",), hidden=_set("abdomen")),
    Rule(
        "Implanted Device",
        ("Implanted Medical Device",),
        never=_FAR,
        hidden=_set("aortic valve; mitral valve; heart; pulmonary artery; thorax"),
    ),
    Rule("Surgical Instruments", ("Surgical Instruments", "Sutures"), never=_FAR),
)

_ZONES: dict[str, Zone] = {
    "apex": "apex",
    "upper lobe": "upper",
    "middle lobe": "middle",
    "lingula": "middle",
    "lower lobe": "lower",
    "retrocardiac": "lower",
    "base": "base",
    "costophrenic angle": "base",
    "sulcus": "base",
    "hilum": "hilum",
    "lymph nodes": "hilum",
    "mediastinum": "hilum",
}
_SEVERITIES: dict[str, Severity] = {
    "severe": "severe",
    "large": "severe",
    "moderate": "moderate",
    "mild": "mild",
    "small": "mild",
    "borderline": "mild",
}
_IMPLIED_SIDES: dict[str, Side] = {
    "lingula": "left",
    "middle lobe": "right",
    "retrocardiac": "left",
}


def findings_from_mesh(majors: Sequence[str]) -> MeshReading:
    """Read the majors of one report.

    Every major other than "normal" either gives one finding or stands in ``not_drawn``.
    """
    findings: list[Finding] = []
    not_drawn: list[str] = []
    for major in majors:
        head, mods = _split(major)
        if head == "normal":
            continue
        rule = _match(head, mods)
        if rule is None or mods & rule.hidden:
            not_drawn.append(major)
        else:
            findings.append(_finding(rule.name, mods))
    return MeshReading(tuple(findings), tuple(not_drawn))


def labels_from_mesh(majors: Sequence[str]) -> dict[str, int]:
    """Class name to 1 (annotated, drawn or not) or 0, for every class of ``FINDINGS``."""
    labels = dict.fromkeys(sorted({rule.name for rule in RULES}), 0)
    for major in majors:
        rule = _match(*_split(major))
        if rule is not None:
            labels[rule.name] = 1
    return labels


def _split(major: str) -> tuple[str, frozenset[str]]:
    head, *mods = (part.strip() for part in major.split("/"))
    return head, frozenset(mods)


def _match(head: str, mods: frozenset[str]) -> Rule | None:
    for rule in RULES:
        if head in rule.heads and (not rule.needs or mods & rule.needs) and not mods & rule.never:
            return rule
    return None


def _finding(name: str, mods: frozenset[str]) -> Finding:
    words: tuple[Side, ...] = ("bilateral", "left", "right")
    side = next((word for word in words if word in mods), None)
    if side is None:
        side = next((s for word, s in _IMPLIED_SIDES.items() if word in mods), None)
    if {"left", "right"} <= mods:
        side = "bilateral"
    zone = next((z for word, z in _ZONES.items() if word in mods), None)
    severity = next((s for word, s in _SEVERITIES.items() if word in mods), None)
    multiple = bool(mods & {"multiple", "scattered"})
    return Finding(name, side, zone, severity, multiple)
