"""Sentence boundaries of our segmenter and of well-kept others, on invented reports.

    pip install --target others pysbd==0.3.4 nltk syntok spacy medspacy
    python benchmarks/segmenters.py --packages others --record book/results/segmenters.csv

The development reports are those of the tests (tests/text/reports.yaml). Their sentences were
written before our rules, but the rules were then tuned on them. The held-out reports were written
after the rules, by the same hand, and nothing was tuned on them.
A segmenter that is not installed is left out, and the output says so. Each of the others gets three
texts and the best counts: the whole report; findings and impression, which is what ours gets; and
these with our line rules applied, cut at each paragraph and list item. A boundary lies between two
words of the expected sentences; list numbers and labels between sentences make no difference.
Speed is printed, not recorded.
"""

import argparse
import importlib
import re
import sys
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import yaml

from offclip.evaluation import Record, RunInfo, write_evidence
from offclip.text import image_text, split_sections, split_sentences
from offclip.text._lines import unwrap

TEXTS = Path(__file__).parents[1] / "tests" / "text"
SETS = {"development": TEXTS / "reports.yaml", "held_out": TEXTS / "reports_held_out.yaml"}
REPEATS = 5
RESAMPLES = 2000
Segmenter = Callable[[str], Sequence[int]]
"""From text to the offsets at which its sentences end."""


def main() -> None:
    """Score every segmenter that is installed; print a table and write records if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", type=Path)
    parser.add_argument("--packages", help="folder of the others: pip install --target FOLDER ...")
    options = parser.parse_args()
    if options.packages:
        sys.path.append(options.packages)
    started = time.perf_counter()
    made = []
    for split, path in SETS.items():
        reports = yaml.safe_load(path.read_text(encoding="utf-8"))
        found = compare(reports)
        print(f"{split}, {len(reports)} reports; the text that counts; precision, recall, F1 of")
        print("the boundaries (F1 without semicolons); right, given, expected; sentences a second")
        for name, (form, counts, speed) in found.items():
            precision, recall, f1 = ratios(counts[:, :3].sum(0))
            plain = ratios(counts[:, 3:].sum(0))[2]
            print(
                f"{name:18s} {form:7s} {precision:.3f} {recall:.3f} {f1:.3f} ({plain:.3f})  "
                f"{counts[:, :3].sum(0)}  {speed:,.0f}"
            )
        made += records(found, split, len(reports), (time.perf_counter() - started) / 60)
    if options.record:
        write_evidence(options.record, made)


def compare(reports: Sequence[dict]) -> dict[str, tuple[str, np.ndarray, float]]:  # type: ignore[type-arg]
    """Score every segmenter that is installed, by name; say which is not."""
    found = {"ours": score(ours, reports, ("image",), timed=split_sentences)}
    for name, build in PEERS.items():
        try:
            found[name] = score(build(), reports, FORMS)
        except (ImportError, LookupError) as error:
            print(f"left out: {name} ({type(error).__name__}: not installed, or without its data)")
    return found


def ours(text: str) -> list[int]:
    """Ends of the sentences of ``split_sentences``."""
    return [words[-1][1] for words in locate(split_sentences(text), text)]


def _pysbd() -> Segmenter:
    segmenter = importlib.import_module("pysbd").Segmenter(
        language="en", clean=False, char_span=True
    )
    return lambda text: [span.end for span in segmenter.segment(text)]


def _syntok() -> Segmenter:
    process = importlib.import_module("syntok.segmenter").process

    def ends(text: str) -> list[int]:
        last = [s[-1] for paragraph in process(text) for s in paragraph if s]
        return [token.offset + len(token.value) for token in last]

    return ends


def _punkt() -> Segmenter:
    tokenizer = importlib.import_module("nltk.tokenize.punkt").PunktTokenizer("english")
    return lambda text: [end for _, end in tokenizer.span_tokenize(text)]


def _spacy(component: str) -> Callable[[], Segmenter]:
    def build() -> Segmenter:
        spacy = importlib.import_module("spacy")
        if component != "sentencizer":
            importlib.import_module("medspacy.sentence_splitting")
            importlib.import_module("loguru").logger.disable("PyRuSH")
        pipeline = spacy.blank("en")
        pipeline.add_pipe(component)
        return lambda text: [sentence.end_char for sentence in pipeline(text).sents]

    return build


PEERS: dict[str, Callable[[], Segmenter]] = {
    "pysbd": _pysbd,
    "nltk punkt": _punkt,
    "syntok": _syntok,
    "spaCy sentencizer": _spacy("sentencizer"),
    "medspaCy PyRuSH": _spacy("medspacy_pyrush"),
}
FORMS = ("report", "image", "blocks")


def texts(report: dict, form: str) -> list[str]:  # type: ignore[type-arg]
    """The texts to segment: one, or one a block."""
    given = report["text"]
    if form == "report":
        return [given if isinstance(given, str) else "\n".join(given.values())]
    image = image_text(split_sections(given) if isinstance(given, str) else given)
    return unwrap(image) if form == "blocks" else [image]


def score(
    segmenter: Segmenter,
    reports: Sequence[dict],  # type: ignore[type-arg]
    forms: Sequence[str],
    timed: Callable[[str], object] | None = None,
) -> tuple[str, np.ndarray, float]:
    """Return the best form by F1, its counts a report, and expected sentences a second.

    Counts: right, given and expected boundaries; then the same without those at semicolons.
    ``timed`` is run for the speed, where it is not the segmenter itself.
    """
    results = []
    for form in forms:
        cut = [texts(report, form) for report in reports]
        ends = [[segmenter(text) if text else [] for text in each] for each in cut]
        counts = np.array(
            [boundaries(r["sentences"], c, e) for r, c, e in zip(reports, cut, ends, strict=True)]
        )
        seconds = min(_seconds(timed or segmenter, cut) for _ in range(REPEATS))
        results.append((form, counts, sum(len(r["sentences"]) for r in reports) / seconds))
    return max(results, key=lambda result: ratios(result[1][:, :3].sum(0))[2])


def _seconds(segment: Callable[[str], object], cut: Sequence[Sequence[str]]) -> float:
    begin = time.perf_counter()
    for text in (text for each in cut for text in each if text):
        segment(text)
    return time.perf_counter() - begin


def boundaries(
    sentences: Sequence[str], parts: Sequence[str], ends: Sequence[Sequence[int]]
) -> list[int]:
    """Count the boundaries of one report: see ``score``. The end of the report is none."""
    text, offset, found = "\n".join(parts), 0, []
    for part, inside in zip(parts, ends, strict=True):
        found += [offset + end for end in (*inside, len(part))]
        offset += len(part) + 1
    located = sorted(locate(sentences, text))
    starts = [start for words in located for start, _ in words]

    def places(offsets: Sequence[int]) -> set[int]:
        return {bisect_left(starts, end) for end in offsets} - {0, len(starts)}

    right_ends = [words[-1][1] for words in located]
    expected, given = places(right_ends), places(found)
    semicolons = places([end for end in right_ends if text[end : end + 1] == ";"])
    counts = []
    for left_out in (set(), semicolons):
        kept, wanted = given - left_out, expected - left_out
        counts += [len(kept & wanted), len(kept), len(wanted)]
    return counts


def locate(sentences: Sequence[str], text: str) -> list[list[tuple[int, int]]]:
    """Find each sentence's words in the text, in order where possible; spans of the words."""
    located, cursor = [], 0
    for sentence in sentences:
        words = [f"({re.escape(word)})" for word in re.findall(r"[^\W_]+", sentence)]
        pattern = re.compile(r"(?<![^\W_])" + r"[\W_]+".join(words) + r"(?![^\W_])")
        match = pattern.search(text, cursor) or pattern.search(text)
        if match is None:
            raise ValueError(
                f"sentence: expected one whose words stand in the text, got {sentence!r}; "
                "correct the report's sentences"
            )
        cursor = match.end()
        located.append([match.span(group) for group in range(1, len(words) + 1)])
    return located


def ratios(counts: np.ndarray) -> tuple[float, float, float]:
    """Precision, recall and F1 of (right, given, expected)."""
    right, given, expected = counts
    return right / max(given, 1), right / max(expected, 1), 2 * right / max(given + expected, 1)


def records(
    found: dict[str, tuple[str, np.ndarray, float]], split: str, reports: int, minutes: float
) -> list[Record]:
    """Precision, recall and F1 of every segmenter, with intervals over resampled reports."""
    drawn = np.random.default_rng(0).integers(reports, size=(RESAMPLES, reports))
    made = []
    for name, (form, counts, _) in found.items():
        for part, detail in ((slice(3), ""), (slice(3, 6), ", without semicolons")):
            values = ratios(counts[:, part].sum(0))
            resampled = np.array([ratios(counts[rows, part].sum(0)) for rows in drawn])
            bounds = np.percentile(resampled, (2.5, 97.5), axis=0)
            for index, metric in enumerate(("precision", "recall", "f1")):
                run = RunInfo(dataset="invented_reports", variant=name, minutes=minutes)
                made.append(
                    run.record(
                        split,
                        f"boundary_{metric}",
                        f"text: {form}{detail}",
                        float(values[index]),
                        int(counts[:, part].sum(0)[2]),
                        interval=(float(bounds[0, index]), float(bounds[1, index])),
                        method="bootstrap over reports",
                    )
                )
    return made


if __name__ == "__main__":
    main()
