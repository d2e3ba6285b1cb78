"""How well sentences are told apart, ours and peers, against the labelled Open-I sentences.

    python -m benchmarks.sentence_filter --part dev spent
    python -m benchmarks.sentence_filter --part held_out --record book/results/sentence_filter.csv

Every classifier is fitted here, on the training reports that hold no sentence of the parts. Peers:
``majority`` (the commoner label), ``tfidf`` (TF-IDF of words and pairs with logistic regression,
each sentence labelled as its report), ``rules`` (our word lists and denials alone, the idea of
NegBio and of the CheXpert labeler), ``context`` (the same word lists with medspaCy's ConText, if
``--context-python`` names an interpreter that has medspacy), ``transformer`` (a BERT of two layers,
128 wide, trained from scratch on the same weak labels). Ours: ``ngram`` on the sentence, and
``ngram of prompts``, the way of training texts: the highest probability among the sentence's
prompts, 0 without one. ``--calibrate`` prints the slope and offset that Platt scaling would choose;
1 and 0 mean that there is nothing to scale.
"""

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from scipy.special import logit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from transformers import BertConfig, BertForSequenceClassification

from offclip.data import curate
from offclip.data.curate import fit_classifier
from offclip.data.gold import PARTS, gold_path, join_gold, read_gold, without_reports_of
from offclip.evaluation import Record, RunInfo, write_evidence
from offclip.evaluation.calibration import perfect_calibration_error, platt
from offclip.evaluation.sentences import (
    SentenceScores,
    cohen_kappa,
    score_sentences,
    score_strata,
)
from offclip.models import train_tokenizer
from offclip.text import NgramClassifier, RulePrompter
from offclip.text.assertions import fragments
from offclip.text.transformer import FineTuning, TransformerClassifier
from offclip.text.vocabulary import FINDING_WORDS
from offclip.text.weak_labels import ABNORMAL, rule_label

DATASET = "openi_sentences"
Scorer = Callable[[Sequence[str]], np.ndarray]


def main() -> None:
    """Score every classifier on one part, print the table and write the records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="runs/data")
    parser.add_argument("--part", nargs="+", choices=tuple(PARTS), default=["dev"])
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--context-python", type=Path, help="interpreter that has medspacy")
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    started = time.perf_counter()
    everything = curate(options.data).records
    gold = read_gold(gold_path())
    gold = gold[gold["part"].isin(options.part)].reset_index(drop=True)
    if (gold["label"] == "").any():
        parser.error("the gold sentences have no labels yet; merge the two passes first")
    gold = join_gold(gold, everything)
    train = without_reports_of(gold, everything).query("split == 'train'")
    classifier = fit_classifier(train)
    texts, weights = gold["text"].tolist(), gold["weight"].to_numpy(dtype=float)
    labels = gold["label"].to_numpy(dtype=str)
    if options.calibrate:
        print(_calibration(classifier, texts, labels, weights))
    split = "+".join(options.part)
    kappa = cohen_kappa(
        gold["label_a"].to_numpy(dtype=str), gold["label_b"].to_numpy(dtype=str), weights
    )
    run = RunInfo(dataset=DATASET, variant="gold")
    records = [run.record(split, "kappa", "two passes", kappa, len(gold))]
    every = scorers(train, classifier)
    if options.context_python:
        every["context"] = _context(options.context_python)
    for name, scorer in every.items():
        probabilities = scorer(texts)
        scores = score_sentences(labels, probabilities, weights)
        print(f"{name:18s} {_line(scores)}")
        records += _records(name, scores, labels, probabilities, weights, split)
        for stratum, part in score_strata(
            labels, probabilities, weights, gold["stratum"].to_numpy(dtype=str)
        ).items():
            records += _shares(name, f"stratum {stratum}", part, split)
    if options.record:
        minutes = (time.perf_counter() - started) / 60
        write_evidence(options.record, [replace(record, minutes=minutes) for record in records])


def scorers(train: pd.DataFrame, classifier: NgramClassifier) -> dict[str, Scorer]:
    """Each classifier by name: sentences in, probabilities of "abnormal" out."""
    prompter = RulePrompter()

    def of_prompts(texts: Sequence[str]) -> np.ndarray:
        found = [prompter(text) for text in texts]
        return np.array(
            [classifier.abnormal_probability(each).max() if each else 0.0 for each in found]
        )

    def rules(texts: Sequence[str]) -> np.ndarray:
        found = [any(rule_label(part) == ABNORMAL for part in fragments(text)) for text in texts]
        return np.array(found, dtype=float)

    return {
        "majority": lambda texts: np.ones(len(texts)),
        "tfidf": _tfidf(train),
        "rules": rules,
        "transformer": _transformer(train),
        "ngram": classifier.abnormal_probability,
        "ngram of prompts": of_prompts,
    }


def _tfidf(train: pd.DataFrame) -> Scorer:
    texts = [text for report in train["sentences"] for text in report]
    flags = np.repeat(~train["is_normal"].to_numpy(dtype=bool), train["sentences"].map(len))
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    model = make_pipeline(vectorizer, LogisticRegression(max_iter=1000)).fit(texts, flags)
    return lambda given: model.predict_proba(given)[:, 1]


def _transformer(train: pd.DataFrame) -> Scorer:
    reports = train["sentences"].map(list).tolist()
    tokenizer = train_tokenizer([text for report in reports for text in report], length=96)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=128, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=256, max_position_embeddings=96, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        BertForSequenceClassification(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        options = FineTuning(epochs=4, learning_rate=5e-4)
        model = TransformerClassifier.fit(
            reports, train["is_normal"].tolist(), source=folder, options=options
        )
    return model.abnormal_probability


def _context(python: Path) -> Scorer:
    """medspaCy's ConText with the same finding words, in the interpreter that has it."""

    def score(texts: Sequence[str]) -> np.ndarray:
        given = json.dumps({"words": sorted(FINDING_WORDS), "sentences": list(texts)})
        peer = Path(__file__).with_name("context_peer.py")
        done = subprocess.run(
            [python, peer], input=given, stdout=subprocess.PIPE, text=True, check=True
        )
        return np.array(json.loads(done.stdout.splitlines()[-1]), dtype=float)

    return score


def _calibration(
    classifier: NgramClassifier, texts: list[str], labels: np.ndarray, weights: np.ndarray
) -> str:
    sure = labels != "uncertain"
    odds = logit(np.clip(classifier.abnormal_probability(texts), 1e-6, 1 - 1e-6))[sure]
    slope, offset = platt(odds, labels[sure] == "abnormal", weights[sure])
    return f"slope {slope:.3f}, offset {offset:.3f}"


def _line(scores: SentenceScores) -> str:
    return (
        ", ".join(
            f"{name} {getattr(scores, name).value:.3f} "
            f"[{getattr(scores, name).low:.3f}, {getattr(scores, name).high:.3f}]"
            for name in ("accuracy", "abnormal_recall", "normal_recall")
        )
        + f", calibration error {scores.calibration_error:.3f}, uncertain {scores.n_uncertain}"
    )


def _records(
    name: str,
    scores: SentenceScores,
    labels: np.ndarray,
    probabilities: np.ndarray,
    weights: np.ndarray,
    split: str,
) -> list[Record]:
    sure = labels != "uncertain"
    noise = perfect_calibration_error(probabilities[sure], weights[sure])
    errors = {
        "sentence_calibration_error": scores.calibration_error,
        "sentence_calibration_noise": noise.high,  # a perfect classifier stays below, in 97.5 %
    }
    run = RunInfo(dataset=DATASET, variant=name)
    return _shares(name, "all", scores, split) + [
        run.record(split, metric, "10 equal-mass bins", value, scores.n)
        for metric, value in errors.items()
    ]


def _shares(name: str, detail: str, scores: SentenceScores, split: str) -> list[Record]:
    run = RunInfo(dataset=DATASET, variant=name)
    counts = {"uncertain_abnormal": scores.n_uncertain}
    return [
        run.record(
            split,
            f"sentence_{share}",
            detail,
            interval,
            counts.get(share, scores.n),
            method="Wilson, weighted, 95 %",
        )
        for share in ("accuracy", "abnormal_recall", "normal_recall", "uncertain_abnormal")
        if not np.isnan((interval := getattr(scores, share)).value)
    ]


if __name__ == "__main__":
    main()
