"""A whole report read: sections, sentences, prompts, what is abnormal, and what is kept.

The one place where the steps of this package meet; imports all of them.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from offclip.text.classifier import SentenceClassifier
from offclip.text.filtering import FilterPolicy, SentenceLabel, filter_prompts
from offclip.text.prompts import Prompter
from offclip.text.sections import image_text, split_sections
from offclip.text.sentences import split_sentences


@dataclass(frozen=True)
class SentenceReading:
    """One sentence.

    Attributes:
        text: as it stands in the report.
        probability: that it states something abnormal, in [0, 1].
        label: by the policy.
        prompts: its prompts; empty when it says nothing about the image.
        prompt_abnormal: probability of each prompt.
        kept: the prompts kept for training.
    """

    text: str
    probability: float
    label: SentenceLabel
    prompts: list[str]
    prompt_abnormal: list[float]
    kept: list[str]


@dataclass(frozen=True)
class ReportReading:
    """One report. ``is_normal`` is what was told, else that no sentence is abnormal."""

    sections: dict[str, str]
    sentences: list[SentenceReading]
    is_normal: bool

    @property
    def kept(self) -> list[str]:
        """Prompts kept for training, in order, each once."""
        return list(dict.fromkeys(prompt for each in self.sentences for prompt in each.kept))

    @property
    def counts(self) -> dict[str, int]:
        """Counts that add up.

        ``sentences`` = ``normal`` + ``abnormal`` + ``uncertain``; ``prompts`` = ``kept`` +
        ``dropped``, each occurrence counted; ``silent`` sentences have no prompt.
        """
        labels = Counter(each.label for each in self.sentences)
        prompts = sum(len(each.prompts) for each in self.sentences)
        kept = sum(len(each.kept) for each in self.sentences)
        return {
            "sentences": len(self.sentences),
            **{name: labels[name] for name in ("normal", "abnormal", "uncertain")},
            "silent": sum(not each.prompts for each in self.sentences),
            "prompts": prompts,
            "kept": kept,
            "dropped": prompts - kept,
        }


def read_report(
    report: str | Mapping[str, str],
    prompter: Prompter,
    classifier: SentenceClassifier,
    *,
    is_normal: bool | None = None,
    policy: FilterPolicy | None = None,
) -> ReportReading:
    """Read a report from its text, or from its sections, to the prompts worth learning from.

    Args:
        report: the whole text, or sections by upper-case name; what ``image_text`` gives of them
            is read.
        prompter: rewrites a sentence.
        classifier: judges sentences and prompts.
        is_normal: whether the report is normal, if somebody knows. ``None``: it is normal unless
            a sentence is abnormal (the document label of OFF-CLIP's figure).
        policy: what an abnormal report keeps; the default one if None.

    Raises:
        TypeError: ``report`` is bytes or another type; decode bytes first.
    """
    if not isinstance(report, str | Mapping):
        raise TypeError(
            f"report: expected text or sections by name, got {type(report).__name__}; "
            'decode bytes first, such as report.decode("utf-8", errors="replace")'
        )
    policy = policy or FilterPolicy()
    sections = split_sections(report) if isinstance(report, str) else dict(report)
    texts = split_sentences(image_text(sections))
    prompts = [prompter(text) for text in texts]
    flat = [*texts, *(prompt for each in prompts for prompt in each)]
    values = iter(classifier.abnormal_probability(flat).tolist())
    probabilities = [next(values) for _ in texts]
    of_prompts = [[next(values) for _ in each] for each in prompts]
    labels = [policy.label(value) for value in probabilities]
    if is_normal is None:
        is_normal = "abnormal" not in labels
    kept, _ = filter_prompts(
        [prompt for each in prompts for prompt in each],
        [value for each in of_prompts for value in each],
        is_normal,
        policy,
    )
    chosen = set(kept)
    rows = zip(texts, probabilities, labels, prompts, of_prompts, strict=True)
    sentences = [
        SentenceReading(text, probability, label, own, each, [p for p in own if p in chosen])
        for text, probability, label, own, each in rows
    ]
    return ReportReading(sections, sentences, is_normal)
