"""What a copy of a dataset has: published counts, and every listed image and report, in one table.

Reader -> rows -> files. Images are read one by one and nothing of them is kept; nothing is written.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS
from offclip.data.readers.rows import REASONS
from offclip.data.splits import SPLITS
from offclip.data.spread import Spread
from offclip.data.tables import find_file, read_table
from offclip.files import check_folder, path_inside
from offclip.folders import settled
from offclip.imaging import read_radiograph
from offclip.imaging.facts import image_facts

ENDINGS = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")
"""Endings of image files."""
FAULTS = ("missing", "corrupt", "outside")
"""Kinds that an image or a report of a whole copy never has."""
PART = 64
"""Images of a task."""
_ALSO_NAMED = {
    "mimic_cxr": ("mimic-cxr-2.0.0-metadata.csv", "dicom_id", ".jpg"),
    "ms_cxr": ("mimic-cxr-2.0.0-metadata.csv", "dicom_id", ".jpg"),
    "padchest": ("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", "ImageID", ""),
}
"""Tables that name more images than the reader lists: file, column, ending to add."""


@dataclass(frozen=True)
class Check:
    """What was found.

    Attributes:
        table: ``what``; how many in ``train``, ``validation``, ``test`` and ``all``; ``published``;
            ``verdict``: "as published", "differs", one of ``FAULTS``, or "".
        details: ``kind, split, path, reason``; one row for each image and report that is not as it
            should be, for each row of the tables that the reader leaves out, and for each image
            file that no table names.
        ok: whether no verdict is a fault. Rows left out, images without a label, other image files
            and damaged ones that are known to be so are no faults.
    """

    table: pd.DataFrame
    details: pd.DataFrame
    ok: bool


def check(
    dataset: str,
    root: str | Path,
    *,
    reports: str | Path | None = None,
    quick: bool = False,
    spread: Spread = map,
) -> Check:
    """Compare a copy with what was published of it, and look at every image that is listed.

    The images that the reader lists are those that ``curate`` would use: of MIMIC-CXR, one of each
    study. A listed image is whole, missing, corrupt, outside the root (by its name or a link),
    known to be bad, or its row is left out; these sum to the listed ones. A copy of a part of a set
    differs in its counts, and the table shows in which split.

    Args:
        dataset: a name of ``READERS``.
        root: of the copy.
        reports: root of the reports, if it is another.
        quick: read headers only; pixels may still be damaged.
        spread: shares the images out.

    Raises:
        ValueError: an unknown dataset; a table is damaged.
        FileNotFoundError: no such folder, or a table is missing.
    """
    if dataset not in READERS:
        raise ValueError(f"dataset: expected one of {', '.join(READERS)}; got {dataset!r}")
    root = settled(check_folder(root, "root", f"the folder of your copy of {dataset}"))
    manifest = load_manifest(dataset)
    rows, counts = READERS[dataset](root)
    images = _images(rows, root, quick, manifest.known_bad, spread)
    texts = _reports(rows, Path(reports or root))
    unlabelled = _unlabelled(rows)
    others = _others(dataset, rows, root)
    lines = [
        *_published(counts, manifest.expected),
        *_sums("images", images, ("whole", *FAULTS, "known bad")),
        _line("images without a label", unlabelled["split"]),
        *_sums("reports", texts, ("whole", "missing", "outside")),
        {"what": "image files that no table names", "all": None if others is None else len(others)},
    ]
    table = _as_table(lines)
    if quick:
        table = table.replace({"what": {"images whole": "images with a good header"}})
    extra = pd.DataFrame({"kind": "extra", "split": "", "path": others or [], "reason": ""})
    told = pd.concat([images, texts, unlabelled, extra], ignore_index=True)
    details = told[told["kind"] != "whole"].reset_index(drop=True)
    return Check(table, details, not table["verdict"].isin(["differs", *FAULTS]).any())


def _images(
    rows: pd.DataFrame, root: Path, quick: bool, known_bad: Sequence[str], spread: Spread
) -> pd.DataFrame:
    """Every row as a detail; "whole" where nothing is wrong."""
    from tqdm import tqdm

    used = rows["reason"] == ""
    names = rows["image"][used].tolist()
    parts = [names[start : start + PART] for start in range(0, len(names), PART)]
    states: list[tuple[str, str]] = []
    with tqdm(total=len(names), unit=" images", disable=None) as bar:
        for found in spread(partial(_states, root.absolute(), quick), parts):
            states += found
            bar.update(len(found))
    told = _details(rows, "left out", rows["image"], rows["reason"])
    told.loc[rows["reason"] == "outside", "kind"] = "outside"
    told.loc[rows["reason"] == "known_bad", "kind"] = "known bad"
    told.loc[used, "kind"] = [kind for kind, _ in states]
    told.loc[used, "reason"] = [reason for _, reason in states]
    bad = (told["kind"] == "corrupt") & told["path"].map(_name).isin(known_bad)
    return told.assign(kind=told["kind"].mask(bad, "known bad"))


def _states(root: Path, quick: bool, names: Sequence[str]) -> list[tuple[str, str]]:
    """Kind of each image, and what is wrong with it."""
    return [_state(root, name, quick) for name in names]


def _state(root: Path, name: str, quick: bool) -> tuple[str, str]:
    kind, reason = _place(root, name)
    if kind != "whole":
        return kind, reason
    try:
        (image_facts if quick else read_radiograph)(root / name)
    except (ValueError, OSError, MemoryError) as error:
        return "corrupt", str(error) or type(error).__name__
    return "whole", ""


def _place(root: Path, name: str) -> tuple[str, str]:
    """Whether a file is there and inside the root."""
    try:
        path = path_inside(root, name)
        if path is None:
            return "outside", "leads out of the root; nothing outside it is opened"
    except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a null character
        return "outside", str(error)
    if path.is_file():
        return "whole", ""
    return "missing", "expected a file, got a folder or a device" if path.exists() else ""


def _reports(rows: pd.DataFrame, root: Path) -> pd.DataFrame:
    """The report of every row that is used; no row for a set without reports."""
    if "report" not in rows:
        return _details(rows.head(0), "whole", "", "")
    used = rows[rows["reason"] == ""]
    places = [_place(root, name) for name in used["report"]]
    kinds, reasons = [kind for kind, _ in places], [reason for _, reason in places]
    return _details(used, kinds, used["report"], reasons)


def _unlabelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Images that are used and of which no label is known."""
    known = [any(value is not None for value in each.values()) for each in rows["labels"]]
    bare = rows[(rows["reason"] == "") & ~np.array(known, dtype=bool)]
    return _details(bare, "no label", bare["image"], "")


def _others(dataset: str, rows: pd.DataFrame, root: Path) -> list[str] | None:
    """Image files below the root that neither the reader lists nor another table names.

    None where the table that names more images than the reader lists is not there.
    """
    named = set()
    if dataset in _ALSO_NAMED:
        file, column, ending = _ALSO_NAMED[dataset]
        try:
            table = read_table(find_file(root, file), (column,))
        except FileNotFoundError:
            return None
        named = {f"{name}{ending}" for name in table[column]}
    listed = set(rows["image"])
    return sorted(n for n in _files(root) if n not in listed and _name(n) not in named)


def _files(root: Path) -> Iterator[str]:
    """Image files below the root; links to folders are not followed."""
    for folder, _, names in os.walk(root):
        below = Path(folder).relative_to(root)
        yield from ((below / name).as_posix() for name in names if name.lower().endswith(ENDINGS))


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _details(rows: pd.DataFrame, kind: Any, path: Any, reason: Any) -> pd.DataFrame:
    told = {"kind": kind, "split": rows["split"], "path": path, "reason": reason}
    return pd.DataFrame(told, index=rows.index)


def _published(counts: Mapping[str, int], expected: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """The reader's counts beside the published ones; one that it did not make is 0."""
    for name in {**expected, **counts}:
        if name in (*REASONS, "listed"):  # they come again by split
            continue
        found, published = counts.get(name, 0), expected.get(name)
        verdict = "" if published is None else "as published" if found == published else "differs"
        yield {"what": name, "all": found, "published": published, "verdict": verdict}


def _sums(what: str, told: pd.DataFrame, kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """How many are listed, and of each kind; the kinds sum to the listed ones."""
    if told.empty:
        return
    yield _line(f"{what} listed", told["split"])
    for kind in kinds:
        splits = told["split"][told["kind"] == kind]
        yield _line(f"{what} {kind}", splits, kind if kind in FAULTS and len(splits) else "")
    left_out = told[told["kind"] == "left out"]
    for reason, part in left_out.groupby("reason", sort=False):
        yield _line(f"{what} left out: {reason}", part["split"])


def _line(what: str, splits: pd.Series, verdict: str = "") -> dict[str, Any]:
    by_split = {name: int((splits == name).sum()) for name in SPLITS}
    return {"what": what, **by_split, "all": len(splits), "verdict": verdict}


def _as_table(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    numbers = (*SPLITS, "all", "published")
    table = pd.DataFrame(lines, columns=["what", *numbers, "verdict"])
    return table.astype(dict.fromkeys(numbers, "Int64")).fillna({"verdict": ""})
