"""From reports to records: the embedded default, real text with findings to draw.

fetch -> read -> sentences -> prompts -> split -> sentence classifier (train split only) -> records.
Every step counts what it takes in and what it leaves out.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn

from offclip.data.curation_folder import CLASSIFIER, COUNTS, CURATED, RECORDS
from offclip.data.fetch import fetch
from offclip.data.manifests import Manifest, load_manifest
from offclip.data.openi import Report, ReportSet, content_digest, read_reports
from offclip.data.records import (
    drawn_of,
    findings_of,
    read_records,
    validate_records,
    write_records,
)
from offclip.data.splits import SPLITS, grouped_split
from offclip.files import write_json
from offclip.folders import Mark, check, replaced, separate
from offclip.keys import code_version
from offclip.phantom import findings_from_mesh, labels_from_mesh
from offclip.text import (
    NgramClassifier,
    RulePrompter,
    SentenceClassifier,
    image_text,
    report_prompts,
)

__all__ = ["DATASET", "Curation", "curate", "findings_of", "fit_classifier"]

DATASET = "openi_phantom"
NOT_INDEXED = "No Indexing"
POOR_QUALITY = "Technical Quality of Image Unsatisfactory"


@dataclass(frozen=True)
class Curation:
    """Records, what was counted on the way, and the sentence classifier."""

    records: pd.DataFrame
    counts: dict[str, Any]
    classifier: NgramClassifier


def curate(
    out: str | Path,
    *,
    reports: str | Path | None = None,
    seed: int | None = None,
    force: bool = False,
) -> Curation:
    """Make records.parquet, classifier.json and counts.json in ``out``; reuse them if unchanged.

    They are used again for the same reports, manifest, seed and code only, and new ones take the
    place of old ones in one step.

    A report is normal when its only MeSH annotation by people is "normal". Left out, and counted:
    ``malformed`` XML; ``empty`` (no findings and no impression); ``not_indexed`` ("No Indexing", or
    no annotation at all: neither normal nor abnormal is known); ``quality_only`` (annotated with
    nothing but poor image quality); ``no_prompt`` (text of blanks only, or not about the image).
    Reports with poor quality beside findings are kept as abnormal; the quality is not drawn. The
    collection has no patient ids, so the study id stands for the patient.

    Args:
        out: folder of the three files, new or empty or made by an earlier call.
        reports: archive or folder of reports, read as it is, without a checksum. ``None``: what
            ``out`` was made from, and for a new folder the fetched and verified ``openi_reports``.
        seed: of the split, at least 0. ``None``: that of ``out``, and 0 for a new folder.
        force: curate again even when the saved result fits, and in place of curated records of
            another dataset, other reports or another seed.

    Raises:
        ValueError: ``out`` holds something else, or was made with other reports or another seed;
            the reports cannot be read, or no report is left.
        offclip.data.fetch.SourceUnreachable: no source of the reports answered.
        OSError: ``out`` cannot be written; nothing half-written is left.
    """
    out, manifest = Path(out), load_manifest(DATASET)
    given: dict[str, Any] = {}
    if reports is not None:
        given["reports"] = str(Path(reports).resolve())
    if seed is not None:
        given["seed"] = seed
    before = check(out, Mark(CURATED, DATASET, given), force=force)
    kept = before.settings if before and before.dataset == DATASET else {}
    settings: dict[str, Any] = {"reports": "", "seed": 0, **kept, **given}
    path = Path(settings["reports"]) if settings["reports"] else fetch(manifest.derived_from)
    separate(out, "out", reports=path)
    fingerprint = _fingerprint(path, manifest, settings["seed"])
    saved = None if force else _saved(out, fingerprint)
    if saved is not None:
        return saved
    mark = Mark(CURATED, DATASET, settings, (RECORDS, CLASSIFIER, COUNTS))
    with replaced(out, mark, force=force, wait=True) as new:  # of a grid, all begin with this
        made = _curated(path, manifest, {"fingerprint": fingerprint, **settings})
        write_records(made.records, new / RECORDS)
        made.classifier.save(new / CLASSIFIER)
        write_json(new / COUNTS, made.counts)
    return made


def _curated(path: Path, manifest: Manifest, made_from: dict[str, Any]) -> Curation:
    """Curate the reports at ``path``."""
    found = read_reports(path)
    table, counts = _rows(found)
    table["split"] = grouped_split(
        table["patient_id"].tolist(),
        table.pop("text").tolist(),
        seed=made_from["seed"],
        fractions=manifest.split.fractions,
        is_normal=table["is_normal"].tolist(),
    )
    classifier = fit_classifier(table[table["split"] == "train"])
    table["prompt_abnormal"] = probabilities(classifier, table["prompts"])
    records = validate_records(_ordered(table, manifest))
    counts = {**made_from, **counts, "splits": _split_counts(records)}
    left_out = sum(counts[reason] for reason in REASONS)
    assert counts["read"] == len(records) + left_out, "a report was neither kept nor left out"
    return Curation(records, counts, classifier)


def _rows(found: ReportSet) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return a row for each report that is kept, and the counts of all."""
    prompter = RulePrompter()
    rows: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    sentences = silent = 0
    for report in found.reports:
        reason = _left_out(report)
        if not reason:
            split, prompts, without = report_prompts(image_text(report.sections), prompter)
            reason = "" if prompts else "no_prompt"
        if reason:
            left_out[reason] += 1
            continue
        sentences += len(split)
        silent += without
        rows.append(_row(report, split, prompts))
    if not rows:
        raise ValueError(
            f"reports: expected at least one report with text and annotation, got none of "
            f"{found.counts['files']} files ({dict(left_out)}, malformed {len(found.malformed)}); "
            "check the archive"
        )
    counts = {
        "files": found.counts["files"],
        "malformed": len(found.malformed),
        "malformed_files": [list(each) for each in found.malformed],
        "read": found.counts["read"],
        **left_out,
        "kept": len(rows),
        "sentences": sentences,
        "sentences_without_prompt": silent,
    }
    return pd.DataFrame(rows), counts


REASONS = ("empty", "not_indexed", "quality_only", "no_prompt")
"""Why a report that could be read is left out; ``curate`` says what each means."""


def _left_out(report: Report) -> str:
    """Return the reason to leave a report out before prompting; empty to keep it."""
    if not report.has_text:
        return "empty"
    if not report.majors or NOT_INDEXED in report.majors:
        return "not_indexed"
    return "quality_only" if set(report.majors) == {POOR_QUALITY} else ""


def _row(report: Report, sentences: Sequence[str], prompts: Sequence[str]) -> dict[str, Any]:
    reading = findings_from_mesh(report.majors)
    return {
        "study_id": report.study_id,
        "patient_id": report.study_id,
        "text": " ".join(sentences),
        "sentences": list(sentences),
        "prompts": list(prompts),
        "is_normal": report.majors == ("normal",),
        "labels": labels_from_mesh(report.majors),
        "drawn": drawn_of(reading.findings),
        "not_drawn": list(reading.not_drawn),
    }


def fit_classifier(train: pd.DataFrame) -> NgramClassifier:
    """Fit the sentence classifier on the sentences and prompts of training reports.

    Args:
        train: rows with ``sentences``, ``prompts`` and ``is_normal``.
    """
    texts = [
        [*sentences, *prompts]
        for sentences, prompts in zip(train["sentences"], train["prompts"], strict=True)
    ]
    return NgramClassifier.fit(texts, train["is_normal"].tolist())


def probabilities(classifier: SentenceClassifier, prompts: pd.Series) -> list[list[float]]:
    """Probability of each prompt of each report that it states something abnormal."""
    flat = [prompt for report in prompts for prompt in report]
    ends = np.cumsum([len(report) for report in prompts])[:-1]
    values = np.round(classifier.abnormal_probability(flat), 4)  # alike on any number of threads
    return [part.tolist() for part in np.split(values, ends)]


def _ordered(table: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """Return the columns of the record schema; rendered images have no file and no size yet."""
    constant = {"dataset": DATASET, "image": "", "view": "PA", "width": 0, "height": 0}
    table = table.assign(**constant, access=manifest.access, boxes=[[] for _ in range(len(table))])
    first = ["dataset", "study_id", "patient_id", "split", "image", "view", "sentences", "prompts"]
    middle = ["prompt_abnormal", "is_normal", "labels", "boxes", "width", "height", "access"]
    return table[[*first, *middle, "drawn", "not_drawn"]]


def _split_counts(records: pd.DataFrame) -> dict[str, dict[str, int]]:
    """Return counts by split; ``drawn`` + ``nothing_drawn`` = ``abnormal``."""
    counts = {}
    for name in SPLITS:
        part = records[records["split"] == name]
        abnormal = part[~part["is_normal"]]
        has_drawing = abnormal["drawn"].map(len) > 0
        counts[name] = {
            "studies": len(part),
            "normal": int(part["is_normal"].sum()),
            "abnormal": len(abnormal),
            "drawn": int(has_drawing.sum()),
            "nothing_drawn": int((~has_drawing).sum()),
            "findings_drawn": int(part["drawn"].map(len).sum()),
            "majors_not_drawn": int(part["not_drawn"].map(len).sum()),
            "sentences": int(part["sentences"].map(len).sum()),
            "prompts": int(part["prompts"].map(len).sum()),
        }
    return counts


def _fingerprint(path: Path, manifest: Manifest, seed: int) -> str:
    """Return a digest of all that the result depends on: reports, manifest, seed and code."""
    parts = [content_digest(path), repr(manifest), str(seed), sklearn.__version__]
    parts.append(code_version(__name__))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _saved(out: Path, fingerprint: str) -> Curation | None:
    """Return the saved result when it is whole and was made from the same inputs."""
    try:
        counts = json.loads((out / COUNTS).read_text(encoding="utf-8"))
        if counts["fingerprint"] != fingerprint:
            return None
        return Curation(read_records(out / RECORDS), counts, NgramClassifier.load(out / CLASSIFIER))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
