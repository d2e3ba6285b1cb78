"""A report read as a whole: labels, what is kept, and counts that add up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.text import FilterPolicy, RulePrompter, read_report

REPORT = """FINDINGS: The heart is normal in size. No effusion. There is a nodule at the left apex.
Please correlate clinically.

IMPRESSION: Left apical nodule."""


class ByWord:
    """Abnormal if the word "nodule" is there, half so for "heart"."""

    def abnormal_probability(self, sentences):
        return np.array(
            [0.9 if "nodule" in text else 0.45 if "heart" in text else 0.1 for text in sentences]
        )


def test_an_abnormal_report_keeps_its_abnormal_prompts():
    found = read_report(REPORT, RulePrompter(), ByWord())
    assert not found.is_normal
    assert found.kept == ["there is nodule at left apex", "there is left apical nodule"]
    assert found.counts == {
        "sentences": 5, "normal": 3, "abnormal": 2, "uncertain": 0, "silent": 1,
        "prompts": 4, "kept": 2, "dropped": 2,
    }  # fmt: skip
    assert list(found.sections) == ["FINDINGS", "IMPRESSION"]


def test_who_knows_that_it_is_normal_keeps_all():
    found = read_report(REPORT, RulePrompter(), ByWord(), is_normal=True)
    assert found.counts["dropped"] == 0


def test_uncertain_sentences_are_labelled_and_kept_by_policy():
    found = read_report(REPORT, RulePrompter(), ByWord(), policy=FilterPolicy(margin=0.1))
    assert found.counts["uncertain"] == 1
    assert "there is normal heart size" in found.kept


def test_sections_may_be_given():
    found = read_report({"IMPRESSION": "No effusion."}, RulePrompter(), ByWord())
    assert found.is_normal and found.kept == ["there is no effusion"]


@pytest.mark.parametrize("text", ["", "\x00\x07", "FINDINGS:\nIMPRESSION:", "   \n\n"])
def test_nothing_to_read(text):
    found = read_report(text, RulePrompter(), ByWord())
    assert found.is_normal
    assert set(found.counts.values()) == {0}


def test_bytes_are_refused_and_undecodable_ones_are_read_as_text():
    body = "Kleiner Erguß. No nodule.".encode("latin-1")
    with pytest.raises(Exception, match="decode bytes first|Type-check error"):
        read_report(body, RulePrompter(), ByWord())
    for errors in ("replace", "surrogateescape"):
        found = read_report(body.decode("utf-8", errors=errors), RulePrompter(), ByWord())
        assert found.counts["sentences"] == 2 and found.counts["silent"] == 0


def test_another_language_is_read_without_a_crash():
    found = read_report("Herz normal groß. Kein Erguss. 心影不大。", RulePrompter(), ByWord())
    assert found.counts["sentences"] >= 2


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.floats(0, 0.5), st.sampled_from(["keep", "drop"]))
def test_counts_add_up_for_any_text(text, margin, on_uncertain):
    policy = FilterPolicy(margin=margin, on_uncertain=on_uncertain)
    counts = read_report(text, RulePrompter(), ByWord(), policy=policy).counts
    assert counts["sentences"] == counts["normal"] + counts["abnormal"] + counts["uncertain"]
    assert counts["prompts"] == counts["kept"] + counts["dropped"]
