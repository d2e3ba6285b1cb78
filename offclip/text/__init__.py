"""Report text: sections, sentences, "there is ..." prompts, normal or abnormal, what is kept."""

from offclip.text.classifier import FitOptions, NgramClassifier, SentenceClassifier
from offclip.text.destination import TextPermission
from offclip.text.filtering import filter_prompts
from offclip.text.llm import LocalLLMPrompter, PromptingFailed, Usage
from offclip.text.prompts import Prompter, RulePrompter, report_prompts
from offclip.text.sections import image_text, split_sections
from offclip.text.sentences import split_sentences

__all__ = [
    "FitOptions",
    "LocalLLMPrompter",
    "NgramClassifier",
    "Prompter",
    "PromptingFailed",
    "RulePrompter",
    "SentenceClassifier",
    "TextPermission",
    "Usage",
    "filter_prompts",
    "image_text",
    "report_prompts",
    "split_sections",
    "split_sentences",
]
