"""The gold set: sentences of reports, labelled normal, abnormal or uncertain by a language model.

The file holds no text, only where each sentence stands and a digest of its words; the text comes
from the curated records. What the labels mean: ``book/gold-guidelines.md``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from offclip.data.manifests import manifest_folder
from offclip.data.splits import text_key
from offclip.files import write_text

LABELS = ("normal", "abnormal", "uncertain")
PARTS = {"dev": "validation", "spent": "test", "held_out": "train"}
"""Part of the gold set to the split of the records that its sentences come from."""

COLUMNS = (
    "study_id", "sentence", "words", "text_sha256", "part", "stratum", "weight",
    "label_a", "label_b", "label",
)  # fmt: skip
_PASSES = ("label_a", "label_b", "label")
_WORD = re.compile(r"[^\W_]+")


def sentence_key(text: str) -> str:
    """Return the first 16 hex digits of ``text_key``: case, white space, punctuation ignored."""
    return text_key(text)[:16]


def word_count(text: str) -> int:
    """Return the number of words: runs of letters and digits, as ``sentence_key`` sees them."""
    return len(_WORD.findall(text))


def gold_path(name: str = "openi_sentences") -> Path:
    """Return where the gold file lies: in the installed package, or in the checkout."""
    return manifest_folder() / "gold" / f"{name}.csv"


def read_gold(path: str | Path) -> pd.DataFrame:
    """Read and check a gold file, one row a sentence.

    Columns: ``study_id``; ``sentence`` (index among the report's sentences, from 0); ``words``
    (number of words); ``text_sha256`` (``sentence_key``); ``part`` (dev | spent | held_out);
    ``stratum`` (range of the weak score by which it was drawn); ``weight`` (sentences of the
    natural mix that it stands for, at least 1); ``label_a``, ``label_b`` (the two passes) and
    ``label`` (adjudicated), each one of ``LABELS`` or empty while nobody has labelled it.

    Raises:
        ValueError: the columns differ, a value is outside its domain, or a text occurs twice; the
            message names the file and the first line.
    """
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    if tuple(table.columns) != COLUMNS:
        raise ValueError(f"{path}: expected the columns {COLUMNS}, got {tuple(table.columns)}")
    for name in ("sentence", "words", "weight"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    wrong = {
        "sentence": ~(table["sentence"] >= 0) | (table["sentence"] % 1 != 0),
        "words": ~(table["words"] >= 1) | (table["words"] % 1 != 0),
        "weight": ~(np.isfinite(table["weight"]) & (table["weight"] >= 1)),
        "text_sha256": ~table["text_sha256"].str.fullmatch(r"[0-9a-f]{16}")
        | table["text_sha256"].duplicated(),
        "part": ~table["part"].isin(PARTS),
        **{name: ~table[name].isin((*LABELS, "")) for name in _PASSES},
    }
    for name, rows in wrong.items():
        if rows.any():
            line = int(np.flatnonzero(rows)[0])
            raise ValueError(
                f"{path}, line {line + 2}: {name}: got {table[name].iloc[line]!r}, which is not "
                "allowed or occurs twice; see read_gold, and restore the file from the repository"
            )
    return table.astype({"sentence": int, "words": int})


def write_gold(path: str | Path, gold: pd.DataFrame) -> Path:
    """Write a gold file, atomically; return the path."""
    plain = gold[list(COLUMNS)].assign(weight=gold["weight"].map("{:.6f}".format))
    return write_text(path, plain.to_csv(index=False, lineterminator="\n"))


def join_gold(gold: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Return the gold rows with a column ``text``, the sentence as the report has it.

    A sentence is looked for at its index first. If the report is now cut into other sentences, the
    run of ``words`` words with the same digest is looked for in the whole report, so that a better
    segmenter does not invalidate the labels. The text is then that run, without what surrounds it.

    Args:
        gold: as from ``read_gold``.
        records: curated records, with ``study_id``, ``split`` and ``sentences``.

    Raises:
        ValueError: a study is missing or in another split, or its words are not those that were
            labelled; names the first such row and how many there are.
    """
    reports = records.set_index("study_id")[["split", "sentences"]].to_dict("index")
    texts, faults = [], []
    for row in gold.itertuples():
        report = reports.get(row.study_id)
        text = None if report is None else _located(row, report["sentences"])
        if report is None:
            faults.append(f"{row.study_id}: expected a record of this study, got none")
        elif report["split"] != PARTS[row.part]:
            faults.append(
                f"{row.study_id}: expected split {PARTS[row.part]}, as the labels are of the part "
                f"{row.part}, got {report['split']}"
            )
        elif text is None:
            faults.append(
                f"{row.study_id}, sentence {row.sentence}: expected {row.words} words with digest "
                f"{row.text_sha256}, got none such in the report"
            )
        texts.append(text)
    if faults:
        raise ValueError(
            f"gold: {len(faults)} of {len(gold)} sentences do not fit the records, first "
            f"{faults[0]}; curate the reports of the manifest with its own split seed"
        )
    return gold.assign(text=texts)


def without_reports_of(gold: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Return the records but for the training reports that hold the text of a gold row.

    What is fitted on the rest has not seen the sentences that it is scored on. For rows of the
    parts "dev" and "spent" that is every record, as no training report holds their texts.

    Args:
        gold: as from ``read_gold``.
        records: curated records, with ``split`` and ``sentences``.
    """
    keys = set(gold["text_sha256"])
    holds = records["sentences"].map(lambda texts: not keys.isdisjoint(map(sentence_key, texts)))
    own = records["study_id"].isin(gold["study_id"])
    return records[(records["split"] != "train") | ~(holds | own)].reset_index(drop=True)


def merge_passes(
    gold: pd.DataFrame,
    first: Mapping[str, str],
    second: Mapping[str, str],
    adjudicated: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Return the gold rows with both passes' labels and the label that follows.

    Where the passes agree, that is the label. Where they differ, the adjudicated label counts, and
    it stays empty until there is one.

    Args:
        gold: as from ``read_gold``.
        first, second, adjudicated: ``text_sha256`` to label.

    Raises:
        ValueError: a pass lacks a sentence or has one too many, a label is not in ``LABELS``, or a
            sentence was adjudicated on which the passes agree.
    """
    adjudicated = adjudicated or {}
    keys = gold["text_sha256"].tolist()
    differ = {key for key in keys if first.get(key) != second.get(key)}
    for name, given, needed, allowed in (
        ("first pass", first, set(keys), set(keys)),
        ("second pass", second, set(keys), set(keys)),
        ("adjudication", adjudicated, set(), differ),
    ):
        missing, extra = sorted(needed - set(given)), sorted(set(given) - allowed)
        unknown = sorted(key for key, label in given.items() if label not in LABELS)
        if missing or extra or unknown:
            raise ValueError(
                f"{name}: expected a label of {LABELS} for each sentence, and none else; got "
                f"{len(missing)} missing {missing[:1]}, {len(extra)} not asked for {extra[:1]}, "
                f"{len(unknown)} unknown labels {[given[key] for key in unknown[:1]]}; "
                "repair the label files and merge again"
            )
    label_a, label_b = [first[key] for key in keys], [second[key] for key in keys]
    label = [
        a if a == b else adjudicated.get(key, "")
        for key, a, b in zip(keys, label_a, label_b, strict=True)
    ]
    return gold.assign(label_a=label_a, label_b=label_b, label=label)


def _located(row, sentences: Sequence[str]) -> str | None:  # type: ignore[no-untyped-def]
    """Return the labelled words as they stand in the report, or None."""
    if row.sentence < len(sentences) and sentence_key(sentences[row.sentence]) == row.text_sha256:
        return sentences[row.sentence]
    report = " ".join(sentences)
    spans = [match.span() for match in _WORD.finditer(report)]
    for (start, _), (_, end) in zip(spans, spans[row.words - 1 :], strict=False):
        if sentence_key(report[start:end]) == row.text_sha256:
            return report[start:end]
    return None
