"""From an archive of images and tables to records and an image cache: what training reads.

reader -> reports -> sentences -> prompts -> images -> classifier -> records. Whatever is left out
is counted under its reason, and the counts add up. Only the tables of a set are in memory as a
whole, no text and no image.
"""

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offclip.data import cache, texts
from offclip.data.cache import write_cache
from offclip.data.curation_folder import (
    CLASSIFIER,
    COUNTS,
    CURATED,
    INVENTED,
    LEFT_OUT,
    RECORDS,
    TEXTS,
)
from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS, Reader
from offclip.data.record_parts import (
    counted,
    fitted,
    records_of,
    split_counts,
    with_texts,
)
from offclip.data.records import read_records, write_record_parts
from offclip.data.spread import Spread
from offclip.data.tables import nearest
from offclip.data.texts import prompter_name, write_texts
from offclip.files import atomic_path, check_folder, write_json
from offclip.folders import Mark, check, replaced, separate, settled
from offclip.keys import code_version
from offclip.text import (
    Prompter,
    SentenceClassifier,
    load_classifier,
)

CONTENTS = (
    RECORDS, LEFT_OUT, COUNTS, CLASSIFIER, INVENTED, TEXTS, cache.PICTURES, cache.IMAGES,
)  # fmt: skip
REASONS = tuple(dict.fromkeys(texts.FAULTS + cache.FAULTS))
"""Why a row of a reader is left out, beside the reader's own reasons."""
KNOWN_BAD = "known_bad"
"""The reader's reason for images that the publishers know to be damaged."""


@dataclass(frozen=True)
class ArchiveCuration:
    """Where the records are, and what was counted on the way."""

    folder: Path
    counts: dict[str, Any]

    @property
    def records(self) -> pd.DataFrame:
        """The records, read from the file."""
        return read_records(self.folder / RECORDS)


def curate_archive(
    dataset: str,
    root: str | Path,
    out: str | Path,
    *,
    reports: str | Path | None = None,
    classifier: str | Path | None = None,
    prompter: Prompter | None = None,
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

    A call that was stopped continues with its images, and with the prompts of a language model; the
    rules, which take minutes, begin again. One in a finished folder reads only images again whose
    files have changed; its results take the place of the earlier ones in one step when they are
    whole, so that the disk holds both for a while. A call that fails leaves them as they were.

    Args:
        dataset: a name of ``READERS``.
        root: of the archive.
        out: folder for the result, new or empty or of an earlier call with the same settings;
            outside of ``root`` and ``reports``.
        reports: root of the reports, if it is another.
        classifier: of ``offclip.text.load_classifier``; a file is copied into ``out``.
        prompter: rewrites the sentences of report files, such as a local language model; default:
            the rules. Its prompts stay in ``out``, in ``texts.jsonl``, one line per study.
        seed: of the choice of one image among several of a study. ``None``: that of ``out``, and 0
            for a new folder.
        strict: raise before records are written if an image is left out that is not known as bad;
            ``left_out.parquet`` has all of them, in the folder of unfinished work.
        force: also take the place of curated records of another dataset, or with other settings.
        spread: shares out the reading of reports and images.

    Raises:
        ValueError: an unknown dataset; a prompter for a set without report files; ``out`` holds
            something else, or another curation is at work there; strict, and something is left out;
            or nothing is left.
        FileNotFoundError: a table of the archive is missing.
        OSError: ``out`` cannot be written.
    """
    reader_of(dataset)
    root, reports, out = Path(root), Path(reports or root), Path(out)
    for name, folder in (("root", root), ("reports", reports)):
        settled(check_folder(folder, name, f"the folder of your copy of {dataset}"))
        separate(out, "out", **{name: folder})
    settings: dict[str, Any] = {"root": str(root.resolve()), "reports": str(reports.resolve())}
    settings["classifier"] = str(Path(classifier).resolve()) if classifier else ""
    settings["prompter"] = prompter_name(prompter) if prompter else None
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
        counts = _curated(mark, judge, prompter, work, earlier, strict=strict, spread=spread)
    return ArchiveCuration(out, counts)


def _curated(
    mark: Mark,
    judge: SentenceClassifier | None,
    prompter: Prompter | None,
    out: Path,
    before: Path | None,
    *,
    strict: bool,
    spread: Spread,
) -> dict[str, Any]:
    """Curate into ``out``; images and prompts of the curation in ``before`` are used again."""
    dataset, settings = mark.dataset, mark.settings
    root, reports = Path(settings["root"]), Path(settings["reports"])
    rows, counts = READERS[dataset](root, seed=settings["seed"])
    rows = rows.assign(error="", width=0, height=0, orientation=1).reset_index(drop=True)
    listed = np.flatnonzero(rows["reason"] == "")
    if "report" in rows:
        if prompter and before and (before / TEXTS).is_file() and not (out / TEXTS).exists():
            shutil.copyfile(before / TEXTS, out / TEXTS)
        names = rows["report"].iloc[listed].tolist()
        texts_of = write_texts(out / TEXTS, reports, names, prompter=prompter, spread=spread)
        rows.loc[listed, ["reason", "error"]] = texts_of[["fault", "error"]].to_numpy()
        rows.loc[listed, "line"] = texts_of["line"].to_numpy()
        _check_left(rows, root, out, strict)
    elif prompter:
        raise ValueError(
            f"prompter: expected none for {dataset}, whose sentences are in a table; leave it out"
        )
    sideways = _add_images(rows, listed, root, out, before, spread)
    _check_left(rows, root, out, strict)
    if judge is None and "report" in rows:
        judge = fitted(with_texts(rows, out / TEXTS), rows)
        judge.save(out / CLASSIFIER)
    constant = {"dataset": dataset, "access": load_manifest(dataset).access}
    parts = (records_of(part, constant, judge) for part in with_texts(rows, out / TEXTS))
    written: list[pd.DataFrame] = []
    write_record_parts(counted(parts, written), out / RECORDS)
    if all((folder / INVENTED).is_file() for folder in (root, reports)):
        shutil.copyfile(root / INVENTED, out / INVENTED)
    (out / cache.JOURNAL).unlink(missing_ok=True)
    if prompter is None:
        (out / TEXTS).unlink(missing_ok=True)
    counts = {**counts, "sideways": sideways, **_counts(rows, split_counts(written))}
    made_from = {"dataset": dataset, **settings, "code": code_version(__name__)}
    write_json(out / COUNTS, {"made_from": made_from, **counts})
    return counts


def reader_of(dataset: str) -> Reader:
    """The reader of a published set.

    Raises:
        ValueError: there is none of this name; the nearest is given.
    """
    if dataset not in READERS:
        raise ValueError(
            f"dataset: expected one of {', '.join(READERS)}; got {dataset!r}"
            f"{nearest(dataset, READERS)}"
        )
    return READERS[dataset]


def _add_images(
    rows: pd.DataFrame,
    listed: np.ndarray,
    root: Path,
    out: Path,
    before: Path | None,
    spread: Spread,
) -> int:
    """Make the cache of all listed images, and write sizes, views and faults into the rows.

    A row that has no text keeps that reason. Returns how many images lie on their side.
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


def _counts(rows: pd.DataFrame, splits: dict[str, dict[str, int]]) -> dict[str, Any]:
    """Rows, why they were left out, and the records that were written."""
    reasons = Counter(rows["reason"][rows["reason"] != ""])
    kept = sum(each["images"] for each in splits.values())
    assert len(rows) == kept + reasons.total(), "a row was neither kept nor left out"
    counts = {"listed": len(rows), **dict.fromkeys(REASONS, 0), **reasons, "kept": kept}
    return {**counts, "splits": splits}
