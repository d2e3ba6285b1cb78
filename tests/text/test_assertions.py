"""What is asserted and what is denied, on sentences of our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offclip.text.assertions import IS, NO, fragments


def asserted(sentence):
    return {word[3:] for part in fragments(sentence) for word in part if word.startswith(IS)}


def denied(sentence):
    return {word[3:] for part in fragments(sentence) for word in part if word.startswith(NO)}


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("No effusion, nodules or mass.", "mass"),
        ("No effusion, nodules or mass.", "nodule"),
        ("The left effusion is no longer seen.", "effusion"),
        ("Edema, present on Monday, has cleared.", "edema"),
        ("The lungs are free of infiltrate.", "infiltrate"),
        ("Complete resolution of the pneumonia.", "pneumonia"),
        ("The heart isn't enlarged.", "enlarged"),
        ("A nodule without effusion.", "effusion"),
        ("Effusion on the right, none on the left.", "left"),
    ],
)
def test_denied(sentence, word):
    assert word in denied(sentence)
    assert word not in asserted(sentence)


@pytest.mark.parametrize(
    ("sentence", "word"),
    [
        ("No effusion but a nodule.", "nodule"),
        ("No change in the small effusion.", "effusion"),
        ("Pneumonia cannot be ruled out.", "pneumonia"),
        ("The lungs are not without scars.", "scar"),
        ("Near-complete resolution of the pneumothorax.", "pneumothorax"),
        ("The lungs are no longer clear.", "abnormal"),
        ("No fracture other than the old one of the clavicle.", "clavicle"),
        ("A nodule without effusion.", "nodule"),
        ("Effusion on the right, none on the left.", "effusion"),
        ("A shadow, not present on the previous film.", "only_here"),
        ("This is not seen on the lateral view.", "only_here"),
        ("The nurse was told of this finding.", "this_finding"),
    ],
)
def test_asserted(sentence, word):
    assert word in asserted(sentence)
    assert word not in denied(sentence)


def test_an_exception_to_clear_and_normal_stands_alone():
    parts = fragments("The lungs are clear with one granuloma")
    assert [part[-1] for part in parts] == ["is:clear", "is:granuloma"]


def test_fragments_end_at_commas_and_clauses():
    parts = fragments("Clear lungs, large heart; a 1.5 cm nodule")
    assert [" ".join(word[3:] for word in part) for part in parts] == [
        "clear lung",
        "large heart",
        "a sizeunit nodule",
    ]


@pytest.mark.parametrize("text", ["", " ., ;", "___"])
def test_no_word_no_fragment(text):
    assert all(part == ["is:xxxx"] for part in fragments(text))


@given(st.text(max_size=200))
def test_any_text_gives_marked_words(text):
    for part in fragments(text):
        assert part
        assert all(word[:3] in (IS, NO) and word[3:] for word in part)
