"""Sections, sentences, prompts and the filter. All text here is our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offclip.text import (
    FilterPolicy,
    Prompter,
    RulePrompter,
    filter_prompts,
    image_text,
    report_prompts,
    split_sections,
    split_sentences,
)


def test_sections_of_free_text():
    found = split_sections("EXAM: x\nFINDINGS: Clear lungs.\nMore.\n\nIMPRESSION: No disease.")
    assert found == {"EXAM": "x", "FINDINGS": "Clear lungs.\nMore.", "IMPRESSION": "No disease."}
    assert image_text(found) == "Clear lungs.\nMore.\nNo disease."
    assert image_text({"INDICATION": "Cough"}) == ""
    assert split_sections("no headers") == {"": "no headers"}
    assert split_sections("") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Heart is big. Lungs clear.", ["Heart is big.", "Lungs clear."]),
        ("A 1.5 cm nodule. Stable.", ["A 1.5 cm nodule.", "Stable."]),
        ("1. Mild edema. 2. No effusion.", ["Mild edema.", "No effusion."]),
        ("1) Edema 2) Effusion", ["Edema", "Effusion"]),
        ("Scar vs. nodule in apex. Next.", ["Scar vs. nodule in apex.", "Next."]),
        ("Called to Dr. XXXX at noon.", ["Called to Dr. XXXX at noon."]),
        ("XXXX XXXX are clear.. .", ["XXXX XXXX are clear."]),
        ("Chest: Big heart; small lungs", ["Big heart", "small lungs"]),
        ("", []),
        (" . .. \n", []),
    ],
)
def test_sentences(text, expected):
    assert split_sentences(text) == expected


@given(st.text(max_size=80))
def test_sentences_and_prompts_take_any_text(text):
    for sentence in split_sentences(text):
        assert sentence == sentence.strip()
        for prompt in RulePrompter()(sentence):
            assert prompt.startswith("there is ")
            assert prompt == prompt.lower()
            assert prompt.replace(" ", "").isalnum()


PROMPTS = {
    "No effusion or pneumothorax.": ["no effusion", "no pneumothorax"],
    "There is no evidence of focal consolidation, effusion, or edema.": [
        "no focal consolidation",
        "no effusion",
        "no edema",
    ],
    "No acute bony or soft tissue abnormality.": [
        "no acute bony abnormality",
        "no soft tissue abnormality",
    ],
    "No nodules or masses are definitely seen.": ["no nodule", "no mass"],
    "A pneumothorax is not seen.": ["no pneumothorax"],
    "Negative for edema.": ["no edema"],
    "The lungs are clear.": ["clear lung"],
    "Lungs clear.": ["clear lung"],
    "The lungs are free of infiltrates.": ["no infiltrate"],
    "Heart size is normal.": ["normal heart size"],
    "The heart is normal in size.": ["normal heart size"],
    "Heart and mediastinum are within normal limits.": ["normal heart", "normal mediastinum"],
    "The aorta is unremarkable.": ["normal aorta"],
    "There is a small right pleural effusion.": ["small right pleural effusion"],
    "Small bilateral pleural effusions are present.": ["small bilateral pleural effusion"],
    "The heart is mildly enlarged.": ["mildly enlarged heart"],
    "Stable cardiomegaly without edema.": ["cardiomegaly", "no edema"],
    "Basal opacity, which may represent atelectasis or pneumonia.": [
        "basal opacity",
        "possible atelectasis",
        "possible pneumonia",
    ],
    "Possible left effusion.": ["possible left effusion"],
    "Opacity most consistent with scarring.": ["opacity", "probable scarring"],
    "Compared to the prior exam, there is mild edema.": ["mild edema"],
    "No change in the large hernia.": ["large hernia"],
    "A 12 mm nodule in the left apex.": ["nodule in left apex"],
    "Cardiomegaly and mild scoliosis.": ["cardiomegaly", "mild scoliosis"],
    "Edema/effusion.": ["edema", "effusion"],
    "The XXXX are normal.": [],
    "XXXX XXXX.": [],
    "The heart, XXXX and mediastinum are normal.": ["normal heart", "normal mediastinum"],
    "Each costophrenic XXXX is blunted.": ["blunted each costophrenic"],
    "An MRI of the neck may be helpful.": [],
    "Does this patient smoke?": [],
    "The mediastinum is unchanged.": [],
    "A repeat study in two weeks is recommended.": [],
    "Results were discussed by telephone.": [],
    "": [],
}


@pytest.mark.parametrize(("sentence", "expected"), PROMPTS.items(), ids=list(PROMPTS))
def test_prompts(sentence, expected):
    prompter = RulePrompter()
    assert isinstance(prompter, Prompter)
    assert prompter(sentence) == [f"there is {phrase}" for phrase in expected]
    assert prompter(sentence) == prompter(sentence)


def test_report_prompts_count_silent_sentences():
    text = "The lungs are clear. XXXX. Lungs clear. No effusion."
    sentences, prompts, without = report_prompts(text, RulePrompter())
    assert len(sentences) == 4
    assert prompts == ["there is clear lung", "there is no effusion"]
    assert without == 1


@given(
    st.lists(st.tuples(st.text(), st.floats(0, 1)), max_size=8),
    st.booleans(),
    st.floats(0, 1),
    st.sampled_from(["drop", "keep_all"]),
)
def test_filter_adds_up(pairs, is_normal, threshold, policy):
    prompts, values = [p for p, _ in pairs], [v for _, v in pairs]
    chosen = FilterPolicy(threshold, on_empty=policy)
    kept, dropped = filter_prompts(prompts, values, is_normal, chosen)
    assert sorted(kept + dropped) == sorted(prompts)
    if is_normal or (policy == "keep_all" and all(v < threshold for v in values)):
        assert kept == prompts
    else:
        assert kept == [p for p, v in pairs if v >= threshold]


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([0.1], {}, "expected 2 values"),
        ([0.1, float("nan")], {}, r"\[0, 1\]"),
        ([0.1, 2.0], {}, r"\[0, 1\]"),
        ([0.1, 0.2], {"on_empty": "keep"}, "keep_all"),
        ([0.1, 0.2], {"threshold": -1.0}, "threshold"),
        ([0.1, 0.2], {"margin": 0.6}, "margin"),
        ([0.1, 0.2], {"on_uncertain": "maybe"}, "on_uncertain|keep"),
    ],
)
def test_filter_refuses(values, options, message):
    with pytest.raises((ValueError, TypeError), match=message):  # TypeError under the hook
        filter_prompts(["a", "b"], values, False, FilterPolicy(**options))


def test_uncertain_prompts_follow_the_policy():
    prompts, values = ["a", "b", "c"], [0.9, 0.45, 0.1]
    keep = FilterPolicy(margin=0.1)
    assert [keep.label(value) for value in values] == ["abnormal", "uncertain", "normal"]
    assert filter_prompts(prompts, values, False, keep) == (["a", "b"], ["c"])
    drop = FilterPolicy(margin=0.1, on_uncertain="drop")
    assert filter_prompts(prompts, values, False, drop) == (["a"], ["b", "c"])
