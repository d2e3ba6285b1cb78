"""Sentences a second: judging them, and the whole way from report text to kept prompts.

    python -m benchmarks.text_throughput --record book/results/text_throughput.csv

One process, one thread. The peer of the classifier is scikit-learn's ``TfidfVectorizer`` (words and
pairs) with ``LogisticRegression``, timed in turns with ours on the same sentences. Reports are read
one at a time from a stream; the peak of Python's memory is taken over a short and a long stream.
"""

import argparse
import itertools
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from offclip.data.curate import DATASET, curate
from offclip.evaluation import RunInfo, device_name, write_evidence
from offclip.text import RulePrompter, read_report

TURNS = 7
REPORTS = 1000


def main() -> None:
    """Time both ways in turns and write the records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="runs/data")
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    curation = curate(options.data)
    records, classifier, prompter = curation.records, curation.classifier, RulePrompter()
    chosen = records[records["split"] == "test"]
    sentences = [text for report in chosen["sentences"] for text in report]
    reports = [{"FINDINGS": " ".join(report)} for report in chosen["sentences"]]
    train = records[records["split"] == "train"]
    texts = [text for report in train["sentences"] for text in report]
    flags = np.repeat(~train["is_normal"].to_numpy(dtype=bool), train["sentences"].map(len))
    peer = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2), LogisticRegression())
    peer.fit(texts, flags)

    def read(count: int) -> int:
        stream = itertools.islice(itertools.cycle(reports), count)
        return sum(
            read_report(report, prompter, classifier).counts["sentences"] for report in stream
        )

    def judge() -> None:
        classifier.abnormal_probability(sentences)

    def judge_by_peer() -> None:
        peer.predict_proba(sentences)

    ours, theirs, whole = [], [], []
    for _ in range(TURNS):
        ours.append(len(sentences) / _seconds(judge))
        theirs.append(len(sentences) / _seconds(judge_by_peer))
        begin = time.perf_counter()
        whole.append(read(len(reports)) / (time.perf_counter() - begin))
    short, long = _peak(lambda: read(REPORTS)), _peak(lambda: read(8 * REPORTS))
    device = f"{device_name()}, one process"
    minutes = (time.perf_counter() - started) / 60
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    rows = [
        ("ngram", "sentences_per_second", "classification", statistics.median(ours), "1/s"),
        ("tfidf", "sentences_per_second", "classification", statistics.median(theirs), "1/s"),
        ("ngram", "speed_ratio", "ngram over tfidf, classification", statistics.median(ratios), ""),
        ("ngram", "sentences_per_second", "report to prompts", statistics.median(whole), "1/s"),
        ("ngram", "peak_memory", f"{REPORTS} reports", short, "MiB"),
        ("ngram", "peak_memory", f"{8 * REPORTS} reports", long, "MiB"),
    ]  # fmt: skip
    found = [
        RunInfo(dataset=DATASET, variant=variant, device=device, minutes=minutes).record(
            "test", metric, detail, value, len(sentences), unit=unit
        )
        for variant, metric, detail, value, unit in rows
    ]
    for record in found:
        print(f"{record.variant:6s} {record.metric}, {record.detail}: {record.value:,.2f}")
    if options.record:
        write_evidence(options.record, found)


def _seconds(action: Callable[[], object]) -> float:
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def _peak(action: Callable[[], object]) -> float:
    tracemalloc.start()
    action()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


if __name__ == "__main__":
    main()
