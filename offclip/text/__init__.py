"""Report text: sections, sentences, "there is ..." prompts, normal or abnormal, what is kept."""

from offclip.text.classifier import FitOptions, NgramClassifier, SentenceClassifier, load_classifier
from offclip.text.destination import TextPermission
from offclip.text.filtering import FilterPolicy, filter_prompts
from offclip.text.prompts import Prompter, RulePrompter, report_prompts
from offclip.text.report import ReportReading, SentenceReading, read_report
from offclip.text.sections import image_text, split_sections
from offclip.text.sentences import split_sentences

__all__ = [
    "FilterPolicy",
    "FitOptions",
    "NgramClassifier",
    "Prompter",
    "ReportReading",
    "RulePrompter",
    "SentenceClassifier",
    "SentenceReading",
    "TextPermission",
    "filter_prompts",
    "image_text",
    "load_classifier",
    "read_report",
    "report_prompts",
    "split_sections",
    "split_sentences",
]
