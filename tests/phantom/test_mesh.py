"""Reading of MeSH annotations."""

import pytest

from offclip.phantom import FINDINGS, Finding, findings_from_mesh, labels_from_mesh
from offclip.phantom.mesh import RULES


@pytest.mark.parametrize(
    ("major", "expected"),
    [
        ("Opacity/lung/base/left/mild", Finding("Opacity", "left", "base", "mild")),
        ("Lung/hypoinflation/mild", Finding("Hypoinflation", severity="mild")),
        ("Aorta/tortuous", Finding("Tortuous Aorta")),
        ("Catheters, Indwelling/right", Finding("Catheter", "right")),
        ("Calcinosis/aorta, thoracic", Finding("Aortic Calcification")),
        ("Calcinosis/lung/hilum/lymph nodes", Finding("Calcified Granuloma", zone="hilum")),
        ("Opacity/lung/interstitial/bilateral", Finding("Interstitial Markings", "bilateral")),
        ("Density/lung/round/upper lobe/right/small", Finding("Nodule", "right", "upper", "mild")),
        ("Pulmonary Atelectasis/lingula", Finding("Atelectasis", "left", "middle")),
        ("Calcified Granuloma/multiple", Finding("Calcified Granuloma", multiple=True)),
        ("Pleural Effusion/right/left", Finding("Pleural Effusion", "bilateral")),
    ],
)
def test_majors_become_findings(major: str, expected: Finding) -> None:
    reading = findings_from_mesh([major])
    assert reading.findings == (expected,)
    assert reading.not_drawn == ()
    assert labels_from_mesh([major])[expected.name] == 1


@pytest.mark.parametrize(
    "major", ["Kyphosis", "Surgical Instruments/abdomen", "Calcinosis/breast", "No Indexing"]
)
def test_what_a_frontal_film_does_not_show_is_listed(major: str) -> None:
    reading = findings_from_mesh([major])
    assert reading.findings == ()
    assert reading.not_drawn == (major,)
    assert not any(labels_from_mesh([major]).values())


def test_hidden_finding_is_labelled_but_not_drawn() -> None:
    reading = findings_from_mesh(["Pleural Effusion/posterior/small"])
    assert reading.findings == ()
    assert reading.not_drawn == ("Pleural Effusion/posterior/small",)
    assert labels_from_mesh(["Pleural Effusion/posterior/small"])["Pleural Effusion"] == 1


def test_normal_gives_nothing() -> None:
    reading = findings_from_mesh(["normal"])
    assert reading.findings == reading.not_drawn == ()
    assert not any(labels_from_mesh(["normal"]).values())


def test_every_major_goes_somewhere_once() -> None:
    majors = [
        "normal",
        *(
            f"{head}/{need}"
            for rule in RULES
            for head in rule.heads
            for need in sorted(rule.needs) or ["left"]
        ),
        "Arthritis/spine",
        "Unheard",
    ]
    reading = findings_from_mesh(majors)
    assert len(reading.findings) + len(reading.not_drawn) + 1 == len(majors)


def test_classes_of_rules_and_drawing_agree() -> None:
    assert {rule.name for rule in RULES} == set(FINDINGS)
    assert list(labels_from_mesh([])) == sorted(FINDINGS)
    assert len(FINDINGS) >= 16


def test_wrong_word_is_refused() -> None:
    with pytest.raises((ValueError, TypeError), match="zone"):
        Finding("Nodule", zone="top")  # type: ignore[arg-type]
