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
from offclip.data.curation_folder import (
    CLASSIFIER,
    COUNTS,
    CURATED,
    INVENTED,
    LEFT_OUT,
    RECORDS,
    TEXTS,
    Tally,
)
from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS, Reader
from offclip.data.readers.mimic import NO_FINDING
from offclip.data.records import COLUMNS, read_records, write_record_parts
from offclip.data.spread import Spread
from offclip.data.texts import PART, text_parts, write_texts
from offclip.files import atomic_path, check_folder, write_json
from offclip.folders import Mark, check, replaced, separate, settled
from offclip.imaging.boxes import upright_boxes
from offclip.keys import code_version
from offclip.text import (
    FilterPolicy,
    NgramClassifier,
    RulePrompter,
    SentenceClassifier,
    load_classifier,
)

CONTENTS = (RECORDS, LEFT_OUT, COUNTS, CLASSIFIER, INVENTED, cache.PICTURES, cache.IMAGES)
REASONS = tuple(dict.fromkeys(texts.FAULTS + cache.FAULTS))
"""Why a row of a reader is left out, beside the reader's own reasons."""
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
    seed: int | None = None,
    strict: bool = False,
    force: bool = False,
    spread: Spread = map,
) -> ArchiveCuration:
    """Make records, image cache, counts, ``left_out.parquet`` and ``classifier.json`` in ``out``.

    What a set says is normal is normal. Where a set has reports and no such word (MIMIC-CXR), a
    study is normal when none of its prompts is judged abnormal (OFF-CLIP's rule), by the sentence
    classifier that is given, or by one that learns from the training reports that CheXpert's
    labeller calls normal and from those it does not. Other sets with text keep their sentences, and
    have prompts if a classifier is given that judges them.

    A call that was stopped goes on where it was. One in a finished folder reads only pictures again
    whose files have changed; its results take the place of the earlier ones in one step when they
    are whole, so that the disk holds both for a while. A call that fails leaves them as they were.

    Args:
        dataset: a name of ``READERS``.
        root: of the archive.
        out: folder for the result, new or empty or of an earlier call with the same settings;
            outside of ``root`` and ``reports``.
        reports: root of the reports, if it is another.
        classifier: of ``offclip.text.load_classifier``; a file is copied into ``out``.
        seed: of the image that is drawn among several of a study. ``None``: that of ``out``, and 0
            for a new folder.
        strict: raise before records are written if an image is left out that is not known as bad;
            ``left_out.parquet`` has all of them, in the folder of unfinished work.
        force: also take the place of curated records of another dataset, or with other settings.
        spread: shares out the reading of reports and images.

    Raises:
        ValueError: an unknown dataset; ``out`` holds something else, or another curation is at work
            there; strict, and something is left out; nothing is left; or counts do not add up.
        FileNotFoundError: a table of the archive is missing.
        OSError: ``out`` cannot be written.
    """
    reader_of(dataset)
    root, reports, out = Path(root), Path(reports or root), Path(out)
    for name, folder in (("root", root), ("reports", reports)):
        settled(check_folder(folder, name, f"the folder of your copy of {dataset}"))
        separate(out, "out", **{name: folder})
    settings = {name: str(path.resolve()) for name, path in (("root", root), ("reports", reports))}
    settings["classifier"] = str(Path(classifier).resolve()) if classifier else ""
    wanted = Mark(CURATED, dataset, settings)
    before = check(out, wanted, force=force)
    same = before is not None and not before.differences(wanted)
    if seed is None:
        seed = before.settings["seed"] if before and same else 0
    mark = Mark(CURATED, dataset, {**settings, "seed": seed}, CONTENTS)
    judge = load_classifier(classifier) if classifier else None
    with replaced(out, mark, force=force, resume=True) as work:
        for name in (RECORDS, LEFT_OUT, COUNTS, CLASSIFIER, INVENTED):
            (work / name).unlink(missing_ok=True)
        if classifier and Path(classifier).is_file():
            shutil.copyfile(classifier, work / CLASSIFIER)
        earlier = out if same else None
        counts = _curated(mark, judge, work, earlier, strict=strict, spread=spread)
    return ArchiveCuration(out, counts)


def _curated(
    mark: Mark,
    judge: SentenceClassifier | None,
    out: Path,
    before: Path | None,
    *,
    strict: bool,
    spread: Spread,
) -> dict[str, Any]:
    """Curate into ``out``; pictures of the earlier curation in ``before`` are used again."""
    dataset, settings = mark.dataset, mark.settings
    root, reports = Path(settings["root"]), Path(settings["reports"])
    rows, found = READERS[dataset](root, seed=settings["seed"])
    rows = rows.assign(error="", width=0, height=0, orientation=1).reset_index(drop=True)
    listed = np.flatnonzero(rows["reason"] == "")
    if "report" in rows:
        names = rows["report"].iloc[listed].tolist()
        faults = write_texts(out / TEXTS, reports, names, spread=spread)
        rows.loc[listed, ["reason", "error"]] = faults[["fault", "error"]].to_numpy()
        _check_left(rows, root, out, strict)
    sideways = _add_pictures(rows, listed, root, out, before, spread)
    _check_left(rows, root, out, strict)
    if judge is None and "report" in rows:
        judge = _fitted(_with_texts(rows.iloc[listed], out), rows)
        judge.save(out / CLASSIFIER)
    constant = {"dataset": dataset, "access": load_manifest(dataset).access}
    parts = _with_texts(rows.iloc[listed], out)
    made = Tally(_records(part, constant, judge) for part in parts)
    write_record_parts(made, out / RECORDS)
    if all((folder / INVENTED).is_file() for folder in (root, reports)):
        shutil.copyfile(root / INVENTED, out / INVENTED)
    shutil.rmtree(out / TEXTS, ignore_errors=True)
    counts = {**found, "sideways": sideways, **_counts(rows, made.splits)}
    made_from = {"dataset": dataset, **settings, "code": code_version(__name__)}
    write_json(out / COUNTS, {"made_from": made_from, **counts})
    return counts


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


def _add_pictures(
    rows: pd.DataFrame,
    listed: np.ndarray,
    root: Path,
    out: Path,
    before: Path | None,
    spread: Spread,
) -> int:
    """Make the cache of all listed images, and write sizes, views and faults into the rows.

    A row that has no text keeps that reason. Returns how many pictures lie on their side.
    """
    if not len(listed):
        return 0
    names = rows["image"].iloc[listed].tolist()
    made = write_cache(out, root, names, before=before, spread=spread)
    about = made.images.set_axis(rows.index[listed])
    for name in ("width", "height", "orientation"):
        rows.loc[listed, name] = about[name]
    unread = about.index[(rows.loc[listed, "reason"] == "") & (about["fault"] != "")]
    rows.loc[unread, ["reason", "error"]] = about.loc[unread, ["fault", "error"]].to_numpy()
    unknown = about.index[rows.loc[listed, "view"] == ""]
    rows.loc[unknown, "view"] = about.loc[unknown, "view"]
    return int(about["sideways"].sum())


def _check_left(rows: pd.DataFrame, root: Path, out: Path, strict: bool) -> None:
    """Write down what is left out, and refuse it where that was asked for, or is everything."""
    left_out = rows.loc[rows["reason"] != "", ["study_id", "image", "reason", "error"]]
    with atomic_path(out / LEFT_OUT) as temporary:
        left_out.to_parquet(temporary, index=False)
    unknown = left_out[left_out["reason"] != KNOWN_BAD]
    if strict and len(unknown):
        first = unknown.iloc[0]
        raise ValueError(
            f"strict: {len(unknown)} images would be left out "
            f"({dict(Counter(unknown['reason']))}); the first: {first['image']}, "
            f"{first['reason']} {first['error']}; all are in {out / LEFT_OUT}"
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


def _records(
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
    kinds = {"width": int, "height": int, "is_normal": bool}
    return part[list(COLUMNS)].astype(kinds)


def scaled_boxes(row: Any) -> list[dict[str, Any]]:
    """Boxes of a reader's row in pixels of the picture as it is read, upright."""
    table_size = (row.box_width, row.box_height) if hasattr(row, "box_width") else None
    return upright_boxes(row.boxes, (row.width, row.height), row.orientation, table_size)


def _counts(rows: pd.DataFrame, splits: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Rows, why they were left out, what was written: all of it adds up."""
    reasons = Counter(rows["reason"][rows["reason"] != ""])
    kept = sum(each["images"] for each in splits.values())
    if len(rows) != kept + reasons.total():
        raise ValueError(
            f"counts: expected {len(rows)} rows, got {kept} kept and {dict(reasons)} left out; "
            "please report this"
        )
    counts = {"listed": len(rows), **dict.fromkeys(REASONS, 0), **reasons, "kept": kept}
    return {**counts, "splits": dict(sorted(splits.items()))}
