"""Rows of a reader to records, part by part: no more than one part's texts are in memory."""

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offclip.data.curate import fit_classifier, probabilities
from offclip.data.readers.mimic import NO_FINDING
from offclip.data.records import COLUMNS
from offclip.data.texts import PART, read_texts
from offclip.imaging.boxes import upright_boxes
from offclip.text import FilterPolicy, NgramClassifier, RulePrompter, SentenceClassifier

FIT_REPORTS = 20_000
"""Training reports that the sentence classifier learns from, at most; sampled by study id."""


def with_texts(rows: pd.DataFrame, path: Path) -> Iterator[pd.DataFrame]:
    """Rows that are kept, part by part, with sentences and prompts."""
    kept = rows[rows["reason"] == ""]
    for start in range(0, len(kept), PART):
        part = kept.iloc[start : start + PART].reset_index(drop=True)
        texts_of = (
            read_texts(path, part["line"].astype(int)) if "line" in part else _own_texts(part)
        )
        yield part.assign(**texts_of)


def _own_texts(part: pd.DataFrame) -> dict[str, list[list[str]]]:
    """Sentences that the tables of a set have, and their prompts."""
    prompter = RulePrompter()
    sentences = part["sentences"].tolist() if "sentences" in part else [[]] * len(part)
    prompts = [list(dict.fromkeys(p for s in each for p in prompter(s))) for each in sentences]
    return {"sentences": sentences, "prompts": prompts}


def fitted(parts: Iterator[pd.DataFrame], rows: pd.DataFrame) -> NgramClassifier:
    """Learn from training reports; weak labels are CheXpert's "No Finding"."""
    usable = (rows["reason"] == "") & (rows["split"] == "train") & rows["labels"].map(bool)
    order = rows.loc[usable, "study_id"].map(lambda study: zlib.crc32(study.encode()))
    chosen = set(rows.loc[order.nsmallest(FIT_REPORTS, keep="all").index, "study_id"])
    table = pd.concat(part[part["study_id"].isin(chosen)] for part in parts)
    normal = np.array([labels.get(NO_FINDING) == 1 for labels in table["labels"]], dtype=bool)
    if normal.all() or not normal.any():
        raise ValueError(
            f"classifier: the training reports are all alike in {NO_FINDING!r}; give one that was "
            "fitted elsewhere (classifier.json of another curation)"
        )
    return fit_classifier(table.assign(is_normal=normal))


def records_of(
    part: pd.DataFrame, constant: dict[str, str], judge: SentenceClassifier | None
) -> pd.DataFrame:
    """Rows in the form of records; without a judge there are no prompts."""
    if judge is None:
        part["prompts"] = [[] for _ in range(len(part))]
        part["prompt_abnormal"] = part["prompts"]
    else:
        part["prompt_abnormal"] = probabilities(judge, part["prompts"])
    if "is_normal" not in part:
        keeps = FilterPolicy().keeps
        part["is_normal"] = [not any(map(keeps, each)) for each in part["prompt_abnormal"]]
    part["boxes"] = [scaled_boxes(row) for row in part.itertuples()]
    part = part.assign(**constant)
    return part[list(COLUMNS)].astype({"width": int, "height": int, "is_normal": bool})


def scaled_boxes(row: Any) -> list[dict[str, Any]]:
    """Boxes of a reader's row in pixels of the image as it is read, upright."""
    table_size = (row.box_width, row.box_height) if hasattr(row, "box_width") else None
    return upright_boxes(row.boxes, (row.width, row.height), row.orientation, table_size)


def counted(parts: Iterable[pd.DataFrame], counts: list[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Pass parts of records on; append what ``split_counts`` needs of each."""
    for part in parts:
        prompts = part["prompts"].map(len)
        counts.append(part[["split", "is_normal"]].assign(prompts=prompts))
        yield part


def split_counts(counts: list[pd.DataFrame]) -> dict[str, dict[str, int]]:
    """By split: images, normal and abnormal ones, prompts."""
    table = (
        pd.concat(counts)
        .groupby("split")
        .agg(images=("split", "size"), normal=("is_normal", "sum"), prompts=("prompts", "sum"))
    )
    table.insert(2, "abnormal", table["images"] - table["normal"])
    return {str(split): row for split, row in table.to_dict("index").items()}
