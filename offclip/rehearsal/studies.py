"""Invented studies of a synthetic copy: their classes, rendered radiographs and reports."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from offclip.phantom import Box, Finding, render_many

NORMAL_SHARE = 0.4
FINDINGS: Mapping[str, Finding] = {
    "atelectasis": Finding("Atelectasis"),
    "blunting of costophrenic angle": Finding("Blunted Costophrenic Angle"),
    "bulla": Finding("Emphysema"),
    "calcification": Finding("Calcified Granuloma", multiple=True),
    "calcified granuloma": Finding("Calcified Granuloma"),
    "cardiomegaly": Finding("Cardiomegaly"),
    "catheter": Finding("Catheter"), "central venous catheter": Finding("Catheter"),
    "chronic obstructive pulmonary disease": Finding("Emphysema"),
    "consolidation": Finding("Consolidation"),
    "degenerative change of spine": Finding("Degenerative Spine"),
    "elevated hemidiaphragm": Finding("Elevated Diaphragm"),
    "emphysema": Finding("Emphysema"),
    "enlarged aorta": Finding("Tortuous Aorta"),
    "enlarged cardiomediastinum": Finding("Tortuous Aorta"),
    "enlarged pulmonary artery": Finding("Hilar Enlargement"),
    "fracture": Finding("Rib Fracture"), "rib fracture": Finding("Rib Fracture"),
    "granuloma": Finding("Calcified Granuloma", zone="hilum"),
    "hiatal hernia": Finding("Hiatal Hernia"),
    "hilar enlargement": Finding("Hilar Enlargement"),
    "infiltrate": Finding("Opacity", multiple=True),
    "interstitial lung disease": Finding("Interstitial Markings"),
    "interstitial pattern": Finding("Interstitial Markings"),
    "linear atelectasis": Finding("Atelectasis", severity="mild"),
    "low lung volume": Finding("Hypoinflation"),
    "lung lesion": Finding("Nodule"), "nodule": Finding("Nodule"),
    "lung tumor": Finding("Nodule", severity="severe"),
    "mass": Finding("Nodule", severity="severe"),
    "nodule or mass": Finding("Nodule"),
    "opacity": Finding("Opacity"),
    "pacemaker": Finding("Implanted Device"), "support device": Finding("Implanted Device"),
    "pleural effusion": Finding("Pleural Effusion"),
    "pleural thickening": Finding("Pleural Thickening"),
    "pneumonia": Finding("Consolidation", severity="severe"),
    "pneumothorax": Finding("Pneumothorax"),
    "pulmonary edema": Finding("Pulmonary Edema"),
    "pulmonary fibrosis": Finding("Interstitial Markings", severity="severe"),
    "scarring": Finding("Cicatrix"),
    "scoliosis": Finding("Scoliosis"),
}  # fmt: skip
"""Phrase of a prompt to what is rendered; other classes have labels and nothing visible. Ours."""
_NEGATIVES = {
    "": "The lungs are clear.",
    "cardiomegaly": "The heart is of normal size.",
    "pleural effusion": "No pleural effusion is seen.",
    "pneumothorax": "No pneumothorax is seen.",
    "mediastinum": "The mediastinum is unremarkable.",
    "bone": "No bony abnormality.",
}
"""What a report denies to the sentence for it."""
_POSITIVES = ("There is {}.", "{} is seen.", "Findings of {}.", "New {} since the last film.")
_NORMAL_IMPRESSIONS = ("No acute disease.", "Normal chest.", "No acute finding.")


@dataclass(frozen=True)
class Study:
    """One study: its number, its classes (none: normal), the seed of its person, its split."""

    number: int
    classes: tuple[str, ...]
    seed: tuple[int, int]
    split: str = "test"


def shares(count: int, **parts: float) -> dict[str, int]:
    """``count`` shared out; what is left over goes to the last part."""
    counts = {name: round(part * count) for name, part in parts.items()}
    last = list(parts)[-1]
    return counts | {last: count - sum(counts.values()) + counts[last]}


def sample_studies(
    prompts: Mapping[str, str], counts: Mapping[str, int], *, seed: int
) -> list[Study]:
    """Studies split by split; classes take turns, so that each comes up in every split.

    Two classes that are rendered alike (mass and nodule) do not meet in one study.

    Args:
        prompts: class to phrase, of the manifest.
        counts: split to its number of studies.
        seed: of the classes.
    """
    generator, studies = np.random.default_rng((seed, 1)), list[Study]()
    for split, count in counts.items():
        normal = np.arange(count) < round(NORMAL_SHARE * count)
        generator.shuffle(normal)
        least = -(-len(prompts) // max(1, int((~normal).sum())))
        waiting: list[str] = []
        for is_normal in normal:
            classes: list[str] = []
            if not is_normal:
                wanted = min(4, least + int(generator.integers(2)))
                waiting += list(generator.permutation(list(prompts))) if len(waiting) < 8 else []
                classes = _taken(waiting, wanted, prompts)
            number = len(studies)
            studies.append(Study(number, tuple(classes), (seed, number), split))
    return studies


def _taken(waiting: list[str], wanted: int, prompts: Mapping[str, str]) -> list[str]:
    """Take the first classes off the list whose renderings differ."""
    taken: dict[str, str] = {}
    for name in waiting:
        finding = FINDINGS.get(prompts[name])
        taken.setdefault(finding.name if finding else name, str(name))
        if len(taken) == wanted:
            break
    for name in taken.values():
        waiting.remove(name)
    return list(taken.values())


def rendered(
    studies: Sequence[Study], prompts: Mapping[str, str], *, size: int
) -> Iterator[tuple[Study, UInt8[np.ndarray, "height width"], list[Box]]]:
    """Each study with its image (7/8 as wide as high) and the boxes of its classes, in pixels."""
    margin = size // 16
    for start in range(0, len(studies), 32):  # memory stays flat
        some = studies[start : start + 32]
        classes = [{FINDINGS[prompts[c]]: c for c in s.classes if prompts[c] in FINDINGS}
                   for s in some]  # fmt: skip
        phantoms = render_many([list(each) for each in classes], [s.seed for s in some], size=size)
        for study, own, phantom in zip(some, classes, phantoms, strict=True):
            label = {finding.name: name for finding, name in own.items()}
            boxes = [_cropped(box, label[box.label], margin, size) for box in phantom.boxes]
            yield study, phantom.image[:, margin : size - margin], boxes


def _cropped(box: Box, label: str, margin: int, size: int) -> Box:
    """A box in the image without its margins."""
    left, right = (min(max(x - margin, 0), size - 2 * margin) for x in (box.x_min, box.x_max))
    return replace(box, label=label, x_min=left, x_max=max(right, left + 1))


def xywh(box: Box, left: int = 0) -> tuple[float, ...]:
    """Corner, width and height of a box, moved right by ``left``."""
    return box.x_min + left, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min


def report(study: Study, prompts: Mapping[str, str]) -> tuple[str, str]:
    """Findings and impression, which state the classes of a study and deny three other things."""
    generator = np.random.default_rng((*study.seed, 2))
    phrases = [prompts[name] for name in study.classes]
    positives = [_POSITIVES[generator.integers(len(_POSITIVES))].format(each) for each in phrases]
    contradicted = {*phrases, ""} if phrases else set()
    negatives = [text for of, text in _NEGATIVES.items() if of not in contradicted]
    chosen = sorted(generator.choice(len(negatives), size=3, replace=False))
    findings = " ".join([*map(_capital, positives), *(negatives[number] for number in chosen)])
    if phrases:
        return findings, _capital(" and ".join(phrases)) + "."
    return findings, _NORMAL_IMPRESSIONS[generator.integers(len(_NORMAL_IMPRESSIONS))]


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
