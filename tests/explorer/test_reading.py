"""The report box: what it shows follows what is typed, and nothing typed becomes markup."""

import pytest

from offclip.explorer import ReportBox, reading_html
from offclip.text import RulePrompter, read_report
from tests.text.test_report import ByWord

REPORTS = {"first": "No effusion. A nodule.", "second": "No effusion."}


def read(text):
    return read_report(text, RulePrompter(), ByWord())


def test_rows_prompts_and_counts():
    html = reading_html(read(REPORTS["first"]))
    assert html.count("<tr>") == 3
    assert "<s>there is no effusion</s>" in html and "<s>there is nodule</s>" not in html
    assert "2 prompts: 1 kept, 1 dropped. The report is abnormal." in html


def test_text_is_escaped():
    assert "<script>" not in reading_html(read("<script>alert(1)</script> nodule."))


def test_the_box_follows_choice_and_typing():
    box = ReportBox(REPORTS, read)
    assert "A nodule." in box.view.value
    box.choice.value = "second"
    assert box.text.value == REPORTS["second"] and "nodule" not in box.view.value
    box.text.value = "Another nodule."
    assert "Another nodule." in box.view.value


def test_pages_without_a_kernel_show_every_worked_report():
    html = ReportBox(REPORTS, read)._repr_mimebundle_()["text/html"]
    assert html.count("<details") == 2 and html.count("<details open>") == 1
    with pytest.raises(ValueError, match="at least one"):
        ReportBox({}, read)
