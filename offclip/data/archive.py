"""From an archive of images and tables to records and an image cache: what training reads.

reader -> reports -> sentences -> prompts -> pictures -> classifier -> records. Whatever is left out
is counted under its reason, and the counts add up. Records are made part by part: only the tables
of a set are in memory as a whole, no text and no picture.
"""

import difflib
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offclip.data import cache, texts
from offclip.data.cache import write_cache
from offclip.data.curate import fit_classifier, probabilities
from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS, Reader
from offclip.data.readers.mimic import NO_FINDING
from offclip.data.records import COLUMNS, read_records, write_record_parts
from offclip.data.spread import Spread
from offclip.data.texts import PART, text_parts, write_texts
from offclip.files import write_json
from offclip.text import (
    FilterPolicy,
    NgramClassifier,
    RulePrompter,
    SentenceClassifier,
    load_classifier,
)

RECORDS, LEFT_OUT, COUNTS = "records.parquet", "left_out.parquet", "counts.json"
CLASSIFIER, TEXTS = "classifier.json", "texts"
REASONS = tuple(dict.fromkeys(texts.FAULTS + cache.FAULTS))
"""Why a row of a reader is left out, beside the reader's own reasons."""
INVENTED = "REHEARSAL.txt"
"""A file at the root of a copy that ``offclip.rehearsal`` wrote; records of it have it as well."""
KNOWN_BAD = "known_bad"
"""The reader's reason for images that the publishers know to be damaged."""
FIT_REPORTS = 20_000
"""Training reports that the sentence classifier learns from, at most; drawn by study id."""


@dataclass(frozen=True)
class ArchiveCuration:
    """Where the records are, and what was counted on the way."""

    folder: Path
    counts: dict[str, Any]

    @property
    def records(self) -> pd.DataFrame:
        """The records, read anew."""
        return read_records(self.folder / RECORDS)


def curate_archive(
    dataset: str,
    root: str | Path,
    out: str | Path,
    *,
    reports: str | Path | None = None,
    classifier: str | Path | None = None,
    seed: int = 0,
    strict: bool = False,
    spread: Spread = map,
) -> ArchiveCuration:
    """Make records, image cache, counts, ``left_out.parquet`` and ``classifier.json`` in ``out``.

    What a set says is normal is normal. Where a set has reports and no such word (MIMIC-CXR), a
    study is normal when none of its prompts is judged abnormal (OFF-CLIP's rule), by the sentence
    classifier that is given, or by one that learns from the training reports that CheXpert's
    labeller calls normal and from those it does not. Other sets with text keep their sentences, and
    have prompts if a classifier is given that judges them.

    A call that was stopped goes on where it was: finished parts of texts and pictures stay.

    Args:
        dataset: a name of ``READERS``.
        root: of the archive.
        out: folder for the result.
        reports: root of the reports, if it is another.
        classifier: of ``offclip.text.load_classifier``.
        seed: of the image that is drawn among several of a study.
        strict: raise before records are written if an image is left out that is not known as bad.
        spread: shares out the reading of reports and images.

    Raises:
        ValueError: an unknown dataset; strict, and something is left out; nothing is left; or
            counts do not add up.
        FileNotFoundError: a table of the archive is missing.
        OSError: ``out`` cannot be written.
    """
    read, root, out = reader_of(dataset), Path(root), Path(out)
    if not root.is_dir():
        raise FileNotFoundError(f"root: expected the folder of your copy of {dataset}, got {root}")
    rows, found = read(root, seed=seed)
    rows = rows.assign(error="", width=0, height=0).reset_index(drop=True)
    listed = np.flatnonzero(rows["reason"] == "")
    if "report" in rows:
        names = rows["report"].iloc[listed].tolist()
        faults = write_texts(out / TEXTS, reports or root, names, spread=spread)
        rows.loc[listed, "reason"] = faults
    sideways = _add_pictures(rows, root, out, spread)
    left_out = rows.loc[rows["reason"] != "", ["study_id", "image", "reason", "error"]]
    _check_left(rows, left_out, root, strict)
    judge: SentenceClassifier | None = load_classifier(classifier) if classifier else None
    if judge is None and "report" in rows:
        judge = _fitted(_with_texts(rows.iloc[listed], out), rows)
        judge.save(out / CLASSIFIER)
    parts = _with_texts(rows.iloc[listed], out)
    made = (_records(part, dataset, judge) for part in parts if len(part))
    write_record_parts(made, out / RECORDS)
    left_out.to_parquet(out / LEFT_OUT, index=False)
    counts = {**found, "sideways": sideways, **_counts(rows, out / RECORDS)}
    write_json(out / COUNTS, counts)
    if (root / INVENTED).is_file():
        shutil.copyfile(root / INVENTED, out / INVENTED)
    shutil.rmtree(out / TEXTS, ignore_errors=True)
    return ArchiveCuration(out, counts)


def reader_of(dataset: str) -> Reader:
    """The reader of a published set.

    Raises:
        ValueError: there is none of this name; the nearest is given.
    """
    if dataset not in READERS:
        near = difflib.get_close_matches(dataset, READERS, n=1, cutoff=0.0)
        raise ValueError(
            f"dataset: expected one of {', '.join(READERS)}; got {dataset!r}; did you mean "
            f"{near[0]!r}?"
        )
    return READERS[dataset]


def _add_pictures(rows: pd.DataFrame, root: Path, out: Path, spread: Spread) -> int:
    """Make the cache, and write sizes, views and faults into the rows; how many lie on a side."""
    readable = rows["reason"] == ""
    if not readable.any():
        return 0
    about = write_cache(out, root, rows["image"][readable].tolist(), spread=spread).images
    for name in ("width", "height", "error"):
        rows.loc[readable, name] = about[name].to_numpy()
    rows.loc[readable, "reason"] = about["fault"].to_numpy()
    views = pd.Series(about["view"].to_numpy(), index=rows.index[readable])
    unknown = readable & (rows["view"] == "")
    rows.loc[unknown, "view"] = views[unknown[readable]]
    return int(about["sideways"].sum())


def _check_left(rows: pd.DataFrame, left_out: pd.DataFrame, root: Path, strict: bool) -> None:
    unknown = left_out[left_out["reason"] != KNOWN_BAD]
    if strict and len(unknown):
        first = unknown.iloc[0]
        raise ValueError(
            f"strict: {len(unknown)} images would be left out; the first: {first['image']}, "
            f"{first['reason']} {first['error']}"
        )
    if len(left_out) == len(rows):
        raise ValueError(f"{root}: no image is left ({dict(Counter(left_out['reason']))})")


def _with_texts(rows: pd.DataFrame, out: Path) -> Iterator[pd.DataFrame]:
    """Rows part by part, with sentences and prompts; those that are left out are gone."""
    if "report" in rows:
        found = text_parts(out / TEXTS, rows["report"].tolist())
    else:
        found = (_own_texts(rows.iloc[k : k + PART]) for k in range(0, len(rows), PART))
    start = 0
    for read in found:
        part = rows.iloc[start : start + len(read)]
        start += len(read)
        columns = {name: read[name].to_numpy() for name in ("sentences", "prompts")}
        yield part.assign(**columns)[part["reason"] == ""].reset_index(drop=True)


def _own_texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Sentences that the tables of a set have, and their prompts."""
    prompter = RulePrompter()
    sentences = rows["sentences"] if "sentences" in rows else pd.Series([[]] * len(rows))
    prompts = [list(dict.fromkeys(p for s in each for p in prompter(s))) for each in sentences]
    return pd.DataFrame({"sentences": sentences.to_numpy(), "prompts": prompts})


def _fitted(parts: Iterator[pd.DataFrame], rows: pd.DataFrame) -> NgramClassifier:
    """Learn from training reports; weak labels are CheXpert's "No Finding"."""
    usable = (rows["reason"] == "") & (rows["split"] == "train") & rows["labels"].map(bool)
    order = rows.loc[usable, "study_id"].map(lambda study: zlib.crc32(study.encode()))
    chosen = set(rows.loc[order.nsmallest(FIT_REPORTS, keep="all").index, "study_id"])
    train = [part[part["study_id"].isin(chosen)] for part in parts]
    table = pd.concat(train)
    normal = np.array([labels.get(NO_FINDING) == 1 for labels in table["labels"]], dtype=bool)
    if normal.all() or not normal.any():
        raise ValueError(
            f"classifier: the training reports are all alike in {NO_FINDING!r}; give one that was "
            "fitted elsewhere (classifier.json of another curation)"
        )
    return fit_classifier(table.assign(is_normal=normal))


def _records(part: pd.DataFrame, dataset: str, judge: SentenceClassifier | None) -> pd.DataFrame:
    """Rows in the form of records; without a judge there are no prompts."""
    if judge is None:
        part["prompts"] = [[] for _ in range(len(part))]
        part["prompt_abnormal"] = part["prompts"]
    else:
        part["prompt_abnormal"] = probabilities(judge, part["prompts"])
    if "is_normal" not in part:
        keeps = FilterPolicy().keeps
        part["is_normal"] = [not any(map(keeps, each)) for each in part["prompt_abnormal"]]
    if "box_width" in part:
        part["boxes"] = [scaled_boxes(row) for row in part.itertuples()]
    part = part.assign(dataset=dataset, access=load_manifest(dataset).access)
    kinds = {"width": int, "height": int, "is_normal": bool}
    return part[list(COLUMNS)].astype(kinds)


def scaled_boxes(row: Any) -> list[dict[str, Any]]:
    """Boxes of a reader's row, from pixels of ``box_width`` and ``box_height`` to the file's."""
    across, down = row.width / row.box_width, row.height / row.box_height
    scale = {"x_min": across, "x_max": across, "y_min": down, "y_max": down, "label": 1}
    return [{name: value * scale[name] for name, value in box.items()} for box in row.boxes]


def _counts(rows: pd.DataFrame, path: Path) -> dict[str, Any]:
    """Rows, why they were left out, what was written: all of it adds up."""
    reasons = Counter(rows["reason"][rows["reason"] != ""])
    kept = pd.read_parquet(path, columns=["split", "is_normal", "prompts"])
    kept["prompts"] = kept["prompts"].map(len)
    counts: dict[str, Any] = {"listed": len(rows), **dict.fromkeys(REASONS, 0), **reasons}
    counts |= {"kept": len(kept), "splits": {}}
    for name, part in kept.groupby("split"):
        normal = int(part["is_normal"].sum())
        counts["splits"][str(name)] = {
            "images": len(part),
            "normal": normal,
            "abnormal": len(part) - normal,
            "prompts": int(part["prompts"].sum()),
        }
    if counts["listed"] != counts["kept"] + reasons.total():
        raise ValueError(
            f"counts: expected {counts['listed']} rows, got {counts['kept']} kept and "
            f"{dict(reasons)} left out; please report this"
        )
    return counts
