"""Sections and sentences of invented reports, and that no text is lost or slow. All our own."""

import re
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from offclip.text import image_text, split_sections, split_sentences

REPORTS = yaml.safe_load(Path(__file__).with_name("reports.yaml").read_text(encoding="utf-8"))
NAMES = [report["id"] for report in REPORTS]
BANNER = {"FINAL", "PRELIMINARY", "INTERIM", "REPORT", "ADDENDUM", "REVISED"}
LABELS = {"chest", "finding", "findings", "impression", "conclusion"}

PIECES = st.sampled_from(
    "FINDINGS: IMPRESSION: Findings: LUNGS: COMPARISON: CHEST, XXXX ___ Dr. vs. a.m. 1. 2. 3) (4)"
    " 1.5 .5 clear.Heart clear ... .. ; ? ! - * No. St. J. cm. \n \n\n \r\n \f \x00 \x1c é 肺。 🫁"
    " x.".split(" ")
)  # fmt: skip
ANY_TEXT = st.one_of(
    st.text(max_size=120),
    st.lists(PIECES, max_size=30).map(" ".join),
    st.lists(PIECES, max_size=30).map("".join),
)


def words(text):
    return re.findall(r"[^\W_]+", text)


def sections_of(report):
    text = report["text"]
    return split_sections(text) if isinstance(text, str) else text


def test_the_reports_are_whole():
    assert len(REPORTS) >= 25 and len(set(NAMES)) == len(NAMES)
    assert sum(len(report["sentences"]) for report in REPORTS) >= 200
    assert set(Counter(report["kind"] for report in REPORTS)) == {"mimic", "openi", "plain"}


@pytest.mark.parametrize("report", REPORTS, ids=NAMES)
def test_sections_are_those_a_reader_expects(report):
    expected = report["sections"]
    found = {
        name: len(split_sentences(text))
        if isinstance(expected.get(name), int)
        else " ".join(text.split())
        for name, text in sections_of(report).items()
    }
    assert found == expected


@pytest.mark.parametrize("report", REPORTS, ids=NAMES)
def test_sentences_are_those_a_reader_expects(report):
    assert split_sentences(image_text(sections_of(report))) == report["sentences"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FINAL REPORT\n", {}),
        ("FINDINGS:\nIMPRESSION:", {"FINDINGS": "", "IMPRESSION": ""}),
        ("LUNGS: Clear.\nHEART: Big.", {"FINDINGS": "LUNGS: Clear.\nHEART: Big."}),
        ("HISTORY: Cough.\nLUNGS: Clear.", {"HISTORY": "Cough.", "FINDINGS": "LUNGS: Clear."}),
        ("FINDINGS: A\nFINDINGS: B.", {"FINDINGS": "A\n\nB."}),
        ("FINDINGS: Clear.\nFOLLOW UP: None.", {"FINDINGS": "Clear.\nFOLLOW UP: None."}),
        ("FINDINGS: Clear.\nSIGNED BY: ___", {"FINDINGS": "Clear.", "SIGNED BY": "___"}),
        ("FINDNGS: Clear.\rIMPRESION:\fClear.", {"FINDNGS": "Clear.", "IMPRESION": "Clear."}),
        ("Seen at 5: AM film.", {"": "Seen at 5: AM film."}),
    ],
)  # fmt: skip
def test_headers(text, expected):
    assert split_sections(text) == expected


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"findings": "a.", "Conclusion": "b."}, "a.\nb."),
        ({"IMPRESSION": "b.", "FINDINGS": "a"}, "a\n\nb."),
        ({"CHEST, TWO VIEWS": "a.", "IMPRESSION": "b."}, "a.\nb."),
        ({"CHEST, TWO VIEWS": "5 PM", "FINDINGS": "a."}, "a."),
        ({"COMMUNICATION OF CRITICAL FINDINGS": "By phone.", "FINDINGS": "a."}, "a."),
        ({"HISTORY": "Cough.\n\nLungs clear.", "RECOMMENDATION": "CT.\n\nSoon."}, "Lungs clear."),
        ({"HISTORY": "Cough.", "": ""}, ""),
        ({"": "Chest film\n\nLungs clear.\n\nHeart big."}, "Lungs clear.\n\nHeart big."),
        ({"": "Evaluate for edema.\n\nNormal chest"}, "Normal chest"),
        ({"": "Lungs clear.", "RECOMMENDATION": "None."}, "Lungs clear."),
        ({}, ""),
    ],
)
def test_the_text_about_the_image(sections, expected):
    assert image_text(sections) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The lungs are\nclear.\nHeart big.", ["The lungs are clear.", "Heart big."]),
        ("Lungs clear\nHeart big", ["Lungs clear", "Heart big"]),
        ("Lungs clear\n\nheart big", ["Lungs clear", "heart big"]),
        ("Level of rib\n7. The heart is big.", ["Level of rib 7.", "The heart is big."]),
        ("Chest 1. Clear lungs 2. Big heart", ["Chest", "Clear lungs", "Big heart"]),
        ("Seen in vertebra 1. The rest is fine.", ["Seen in vertebra 1.", "The rest is fine."]),
        ("Ratio of 16.2/24.7. Big.", ["Ratio of 16.2/24.7.", "Big."]),
        ("Лёгкие чистые. Сердце большое.", ["Лёгкие чистые.", "Сердце большое."]),
        ("肺野清晰。无积液。", ["肺野清晰。", "无积液。"]),
        ("Told to Dr. A. B. Muster. No edema", ["Told to Dr. A. B. Muster.", "No edema"]),
        ("___. ... ___", []),
        ("🫁", []),
    ],
)
def test_more_sentences(text, expected):
    assert split_sentences(text) == expected


@given(ANY_TEXT)
def test_no_word_is_lost_between_sentences(text):
    kept = iter(words(" ".join(split_sentences(text))))
    following = next(kept, None)
    for word in words(text):
        if word == following:
            following = next(kept, None)
        else:
            assert word.lower() in LABELS or re.fullmatch(r"[0-9]{1,2}", word)
    assert following is None


@given(ANY_TEXT)
def test_no_word_is_lost_between_sections(text):
    sections = split_sections(text)
    left = Counter(words(text))
    left.subtract(words(" ".join(sections.values())))
    assert min(left.values(), default=0) >= 0
    names = set(words(" ".join(sections))) | BANNER
    assert {word.upper() for word, count in left.items() if count} <= names
    assert set(words(image_text(sections))) <= set(words(text))


@given(ANY_TEXT)
def test_a_sentence_of_its_own_is_one_line(text):
    for sentence in split_sentences(text):
        assert sentence == " ".join(sentence.split())


@pytest.mark.parametrize(
    "unit",
    [
        "The lungs are clear. ", "e.g. ", "A. ", ".", "...x", '."', "1. ", "2. a ", "; ", " ", "\n",
        "(", "a", "FINDINGS: a\n", "LUNGS: a ", "AB CD: a\n", "\n \n", "Chest: ", "no\n", "? a",
        "\x00", "💧", "-",
    ],
)  # fmt: skip
def test_time_grows_with_length_alone(unit):
    def seconds(size):
        text = (unit * size)[:size]
        begin = time.process_time()
        split_sentences(text)
        split_sentences(image_text(split_sections(text)))
        return time.process_time() - begin

    short = max(min(seconds(8_000) for _ in range(3)), 1e-3)
    assert seconds(128_000) < 16 * short * 5
