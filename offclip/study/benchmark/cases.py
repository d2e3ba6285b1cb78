"""Which images of a user's copy a model is evaluated on, and how."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from offclip.data.readers import READERS
from offclip.study.benchmark.sets import VIEWS, with_normality

PROTOCOLS = ("both", "published", "corrected")
_NAMED = 3  # unreadable images that a message names


@dataclass(frozen=True)
class Options:
    """How a set is evaluated.

    Attributes:
        protocol: of :data:`PROTOCOLS`.
        views: what a study's score is, of :data:`offclip.study.benchmark.sets.VIEWS`.
        allow_missing: go on when images cannot be read; every number says how many it rests on.
        published_pixels: a second pass over DICOM files, for the published protocol: values
            divided by their maximum, no window, no inversion.
        validation: score the validation images too, if all of them are there.
        min_positives: a class with fewer leaves the corrected protocol.
        resamples: of the bootstrap over patients.
        seed: of the reader.
    """

    protocol: str = "both"
    views: str = "mean"
    allow_missing: bool = False
    published_pixels: bool = False
    validation: bool = True
    min_positives: int = 10
    resamples: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("protocol", PROTOCOLS), ("views", VIEWS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}: expected one of {', '.join(known)}; got {getattr(self, name)!r}"
                )
        for name in ("min_positives", "resamples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")


@dataclass(frozen=True)
class Cases:
    """Rows of the reader by split, and notes about them."""

    test: pd.DataFrame
    validation: pd.DataFrame
    notes: list[str]

    @property
    def names(self) -> list[str]:
        """Every image."""
        return [*self.test["image"], *self.validation["image"]]


def cases_of(dataset: str, root: str | Path, options: Options) -> Cases:
    """Rows of the test part, and of validation where it is wanted and all of it is there.

    Raises:
        ValueError: no test image is listed, or a table is damaged.
        FileNotFoundError: a table, or every test image, is missing.
    """
    root = Path(root)
    rows = with_normality(READERS[dataset](root, seed=options.seed)[0])
    notes = []
    refused = Counter(rows.loc[rows["reason"] != "", "reason"])
    if refused:
        each = ", ".join(f"{reason} {n}" for reason, n in sorted(refused.items()))
        notes.append(f"rows of the tables left out: {each}")
    rows = rows[rows["reason"] == ""]
    test = rows[rows["split"] == "test"].reset_index(drop=True)
    if not len(test):
        raise ValueError(f"{root}: no image of the test part is listed; is it the whole set?")
    if not any((root / image).is_file() for image in test["image"]):
        raise FileNotFoundError(
            f"{root}: none of the {len(test)} test images is there, such as {test['image'][0]}; "
            "give --root the folder that holds the tables and the images"
        )
    held = rows[rows["split"] == "validation"].reset_index(drop=True)
    reason = _why_no_validation(held, root, options)
    if reason:
        notes.append(f"no number that needs a threshold: {reason}")
        held = held[:0]
    return Cases(test, held, notes)


def _why_no_validation(held: pd.DataFrame, root: Path, options: Options) -> str:
    if not options.validation or options.protocol == "published":
        return "validation was not asked for"
    if not len(held):
        return "the set has no validation part here"
    absent = sum(not (root / image).is_file() for image in held["image"])
    return f"{absent} of {len(held)} validation images are not there" if absent else ""


def check_missing(refused: Mapping[str, str], count: int, options: Options) -> None:
    """Stop where images could not be read, unless the options allow it.

    Raises:
        ValueError: names the first of them.
    """
    if not refused or options.allow_missing:
        return
    first = "\n  ".join(list(refused.values())[:_NAMED])
    raise ValueError(
        f"{len(refused)} of {count} images could not be read; the first:\n  {first}\n"
        "repair them (scores of the others are kept), or give --allow-missing: every number then "
        "says how many images it rests on"
    )
