"""What a copy of a dataset has: published counts, and every listed image and report, in one table.

Reader -> rows -> files. Images are read one by one and nothing of them is kept; nothing is written.
"""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

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
"""States that no image or report of a whole copy has."""
PART = 64
"""Images per task."""
_ALSO_NAMED = {
    "mimic_cxr": ("mimic-cxr-2.0.0-metadata.csv", "dicom_id", ".jpg"),
    "ms_cxr": ("mimic-cxr-2.0.0-metadata.csv", "dicom_id", ".jpg"),
    "padchest": ("PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv", "ImageID", ""),
}
"""Tables that name more images than the reader lists: file, column, ending to add."""


@dataclass(frozen=True)
class Check:
    """What a copy has.

    Attributes:
        table: ``what``; how many in ``train``, ``validation``, ``test`` and ``all``; ``published``;
            ``verdict``: "as published", "differs", one of ``FAULTS``, or "".
        details: ``kind, split, path, reason``; one row for each image and report that is not as it
            should be, for each row of the tables that the reader leaves out, and for each image
            file that no table names.
        ok: whether no verdict is an error. Rows left out, images without a label, other image files
            and damaged ones that are known to be so are no errors.
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
        spread: the map that shares out parts of the images.

    Raises:
        ValueError: an unknown dataset; a table is damaged.
        FileNotFoundError: no such folder, or a table is missing.
    """
    if dataset not in READERS:
        raise ValueError(f"dataset: expected one of {', '.join(READERS)}; got {dataset!r}")
    root = settled(check_folder(root, "root", f"the folder of your copy of {dataset}"))
    manifest = load_manifest(dataset)
    rows, counts = READERS[dataset](root)
    used = rows[rows["reason"] == ""]
    images = _images(rows, root, quick, manifest.known_bad, spread)
    reports = _reports(used, Path(reports or root))
    unlabelled = used[[set(each.values()) <= {None} for each in used["labels"]]]
    others = _others(dataset, rows, root)
    lines = [
        *_published(counts, manifest.expected),
        *_sums("images", images, ("whole", *FAULTS, "known bad")),
        _line("images without a label", unlabelled["split"]),
        *_sums("reports", reports, ("whole", "missing", "outside")),
        {"what": "image files that no table names", "all": None if others is None else len(others)},
    ]
    numbers = (*SPLITS, "all", "published")
    table = pd.DataFrame(lines, columns=["what", *numbers, "verdict"])
    table = table.astype(dict.fromkeys(numbers, "Int64")).fillna({"verdict": ""})
    if quick:
        table = table.replace({"what": {"images whole": "images with a good header"}})
    no_label = _details(unlabelled, "image", [("no label", "")] * len(unlabelled))
    extra = pd.DataFrame({"kind": "extra", "split": "", "path": others or [], "reason": ""})
    details = pd.concat([images, reports, no_label, extra], ignore_index=True)
    details = details[details["kind"] != "whole"].reset_index(drop=True)
    return Check(table, details, not table["verdict"].isin(["differs", *FAULTS]).any())


def _details(rows: pd.DataFrame, column: str, states: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """A detail for each row, of the file that ``column`` names."""
    kinds, reasons = [kind for kind, _ in states], [reason for _, reason in states]
    about = {"kind": kinds, "split": rows["split"], "path": rows[column], "reason": reasons}
    return pd.DataFrame(about, index=rows.index, dtype=str)


def _images(
    rows: pd.DataFrame, root: Path, quick: bool, known_bad: Collection[str], spread: Spread
) -> pd.DataFrame:
    """A detail for each row; "whole" where nothing is wrong."""
    from tqdm import tqdm

    used = rows["reason"] == ""
    names = rows["image"][used].tolist()
    parts = [names[start : start + PART] for start in range(0, len(names), PART)]
    states: list[tuple[str, str]] = []
    with tqdm(total=len(names), unit=" images", disable=None) as bar:
        for part in spread(partial(_states, root.absolute(), quick), parts):
            states += part
            bar.update(len(part))
    by_reader = {"outside": "outside", "known_bad": "known bad"}
    found = iter(states)
    details = _details(rows, "image", [
        (by_reader.get(reason, "left out"), reason) if reason else next(found)
        for reason in rows["reason"]
    ])  # fmt: skip
    bad = (details["kind"] == "corrupt") & details["path"].map(_name).isin(known_bad)
    return details.assign(kind=details["kind"].mask(bad, "known bad"))


def _states(root: Path, quick: bool, names: Sequence[str]) -> list[tuple[str, str]]:
    """State of each image, and what is wrong with it."""
    return [_image(root, name, quick) for name in names]


def _image(root: Path, name: str, quick: bool) -> tuple[str, str]:
    state, reason = _place(root, name)
    if state != "whole":
        return state, reason
    try:
        (image_facts if quick else read_radiograph)(root / name)
    except (ValueError, OSError, MemoryError) as error:
        return "corrupt", str(error) or type(error).__name__
    return "whole", ""


def _place(root: Path, name: str) -> tuple[str, str]:
    """Whether a file is there and inside the root."""
    try:
        path = path_inside(root, name)
    except (OSError, RuntimeError) as error:  # a loop of links
        return "outside", str(error)
    if path is None:
        return "outside", "leads out of the root; nothing outside it is opened"
    if path.is_file():
        return "whole", ""
    return "missing", "expected a file, got a folder or a device" if path.exists() else ""


def _reports(used: pd.DataFrame, root: Path) -> pd.DataFrame:
    """A detail for the report of every row that is used; none for a set without reports."""
    if "report" not in used:
        return _details(used.head(0), "image", [])
    return _details(used, "report", [_place(root, name) for name in used["report"]])


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
        named = set(table[column] + ending)
    listed = set(rows["image"])
    files = (
        (Path(folder).relative_to(root) / name).as_posix()
        for folder, _, names in os.walk(root)  # links to folders are not followed
        for name in names
        if name.lower().endswith(ENDINGS)
    )
    return sorted(path for path in files if path not in listed and _name(path) not in named)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _published(counts: Mapping[str, int], expected: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """The reader's counts next to the published ones; one that it did not make is 0."""
    for name in {**expected, **counts}:
        if name in (*REASONS, "listed"):  # they come again by split
            continue
        count, published = counts.get(name, 0), expected.get(name)
        verdict = "" if published is None else "as published" if count == published else "differs"
        yield {"what": name, "all": count, "published": published, "verdict": verdict}


def _sums(what: str, details: pd.DataFrame, kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """How many are listed, and how many of each state; these sum to the listed ones."""
    if details.empty:
        return
    yield _line(f"{what} listed", details["split"])
    for kind in kinds:
        splits = details["split"][details["kind"] == kind]
        yield _line(f"{what} {kind}", splits, kind if kind in FAULTS and len(splits) else "")
    left_out = details[details["kind"] == "left out"]
    for reason, part in left_out.groupby("reason", sort=False):
        yield _line(f"{what} left out: {reason}", part["split"])


def _line(what: str, splits: pd.Series, verdict: str = "") -> dict[str, Any]:
    by_split = {name: int((splits == name).sum()) for name in SPLITS}
    return {"what": what, **by_split, "all": len(splits), "verdict": verdict}
