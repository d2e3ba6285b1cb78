"""The default classifier on sentences of our own, each made hard in one way.

``challenge.csv``: category, label by book/gold-guidelines.md, sentence, and ``missed``: where the
classifier is known to be wrong, on the ``sentence`` itself, on its ``prompts`` (none: normal), or
on ``both``. Better code makes the list stale; the last test says so: take the marks away then.
"""

from pathlib import Path

import pandas as pd
import pytest

from offclip.text import RulePrompter

CHALLENGE = pd.read_csv(Path(__file__).with_name("challenge.csv"), keep_default_na=False)
SURE = CHALLENGE[CHALLENGE["label"] != "uncertain"]
CATEGORIES = sorted(SURE["category"].unique())


MISSED = {"sentence": ("sentence", "both"), "prompts": ("prompts", "both")}


@pytest.fixture(scope="module", params=sorted(MISSED))
def found(request, real):
    """The way, and whether each sentence is called as its label asks."""
    classifier, prompter = real.classifier, RulePrompter()
    texts = [[text] if request.param == "sentence" else prompter(text) for text in SURE["sentence"]]
    called = [bool(t) and classifier.abnormal_probability(t).max() >= 0.5 for t in texts]
    return request.param, SURE["label"].eq("abnormal").to_numpy() == called


def test_the_set_is_whole():
    assert list(CHALLENGE.columns) == ["category", "label", "missed", "sentence"]
    assert len(SURE) >= 120
    assert set(CHALLENGE["label"]) == {"normal", "abnormal", "uncertain"}
    assert set(CHALLENGE["missed"]) <= {"", "sentence", "prompts", "both"}
    assert not CHALLENGE["sentence"].duplicated().any()
    assert SURE.groupby("category").size().min() >= 4


@pytest.mark.parametrize("category", CATEGORIES)
def test_accuracy_of_each_category(found, category):
    way, right = found
    part = (SURE["category"] == category).to_numpy()
    known = SURE["missed"].isin(MISSED[way]).to_numpy()
    wrong = SURE[part & ~right & ~known]["sentence"].tolist()
    print(f"{way}, {category}: {right[part].mean():.2f} of {part.sum()}")
    assert len(wrong) <= 1, f"newly wrong: {wrong}"


def test_accuracy_of_all(found):
    way, right = found
    abnormal = SURE["label"].eq("abnormal").to_numpy()
    print(f"{way}: accuracy {right.mean():.3f}, abnormal recall {right[abnormal].mean():.3f}")
    assert right.mean() > {"sentence": 0.93, "prompts": 0.86}[way]
    assert right[abnormal].mean() > {"sentence": 0.93, "prompts": 0.88}[way]


def test_the_list_of_misses_is_not_stale(found):
    way, right = found
    mended = SURE[right & SURE["missed"].isin(MISSED[way]).to_numpy()]["sentence"].tolist()
    assert len(mended) <= 2, f"{way}: no longer missed, take the mark away from {mended}"
