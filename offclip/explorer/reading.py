"""A report in, and what the text pipeline makes of it: a box to type into, and a static form.

Live in Jupyter, the box reads again at each change. In a page without a kernel, the worked reports
can be opened one by one.
"""

from collections.abc import Callable, Mapping
from html import escape

import ipywidgets

from offclip.text import ReportReading, SentenceReading

_COLOURS = {"normal": "#cfe5f3", "abnormal": "#fbe3b5", "uncertain": "#e3e3e3"}
_CELL = "padding:2px 8px;text-align:left;vertical-align:top"


def reading_html(reading: ReportReading) -> str:
    """One row a sentence: the sentence, its probability, its prompts; dropped ones struck out."""
    rows = "".join(_row(each) for each in reading.sentences)
    counts = reading.counts
    summary = (
        f"{counts['sentences']} sentences: {counts['normal']} normal, {counts['abnormal']} "
        f"abnormal, {counts['uncertain']} uncertain. {counts['prompts']} prompts: "
        f"{counts['kept']} kept, {counts['dropped']} dropped. The report is "
        f"{'normal' if reading.is_normal else 'abnormal'}."
    )
    sections = ", ".join(escape(name) or "no header" for name in reading.sections) or "none"
    head = "".join(
        f'<th style="{_CELL}">{name}</th>' for name in ("sentence", "P(abnormal)", "prompts")
    )
    return (
        f'<p>Sections: {sections}.</p><table style="border-collapse:separate;border-spacing:2px">'
        f"<tr>{head}</tr>{rows}</table><p>{summary}</p>"
    )


def _row(sentence: SentenceReading) -> str:
    colour = f"background:{_COLOURS[sentence.label]};color:#111"
    prompts = "<br>".join(
        escape(prompt) if prompt in sentence.kept else f"<s>{escape(prompt)}</s>"
        for prompt in sentence.prompts
    )
    return (
        f'<tr><td style="{_CELL};{colour}">{escape(sentence.text)}</td>'
        f'<td style="{_CELL}">{sentence.probability:.2f}</td>'
        f'<td style="{_CELL}">{prompts or "<i>none: nothing about the image</i>"}</td></tr>'
    )


class ReportBox(ipywidgets.VBox):
    """Choose or type a report; below stands what is read from it.

    Args:
        reports: worked reports by title; at least one.
        read: from the text of a report to its reading.

    Raises:
        ValueError: no worked report is given.
    """

    def __init__(self, reports: Mapping[str, str], read: Callable[[str], ReportReading]) -> None:
        if not reports:
            raise ValueError("reports: expected at least one worked report, got none")
        self._reports, self._read = dict(reports), read
        self.choice = ipywidgets.Dropdown(options=list(reports), description="report")
        self.text = ipywidgets.Textarea(layout={"width": "95%", "height": "9em"})
        self.view = ipywidgets.HTML()
        super().__init__([self.choice, self.text, self.view])
        self.text.observe(self._show, "value")
        self.choice.observe(self._choose, "value")
        self._choose()

    def _choose(self, change: object = None) -> None:
        self.text.value = self._reports[self.choice.value]

    def _show(self, change: object = None) -> None:
        self.view.value = reading_html(self._read(self.text.value))

    def _repr_mimebundle_(self, **kwargs: object) -> dict[str, str]:
        """The live widget, and beside it the worked reports for pages without a kernel."""
        bundle = dict(super()._repr_mimebundle_(**kwargs))
        parts = [
            f"<details{'' if number else ' open'}><summary>{escape(title)}</summary>"
            f'<pre style="white-space:pre-wrap">{escape(text)}</pre>'
            f"{reading_html(self._read(text))}</details>"
            for number, (title, text) in enumerate(self._reports.items())
        ]
        bundle["text/html"] = "".join(parts)
        bundle["text/plain"] = f"ReportBox({list(self._reports)})"
        return bundle
