"""Scores of a published set's images: one table, kept in parts, joined by name, never by place.

Per-image scores of a restricted set are as private as its images; they stay in the user's folder.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from offclip.data.spread import Spread
from offclip.evaluation.image_files import ImageFiles, Resize
from offclip.evaluation.scoring import check_batch_size, score_parts
from offclip.files import atomic_path, path_inside, remove_parts
from offclip.folders import Mark, claimed
from offclip.imaging import read_radiograph
from offclip.imaging.resize import padded_square, published_square
from offclip.keys import code_version, fingerprint_inside
from offclip.models import PairModel, PublishedCARZero

SCORES, IMAGES, PARTS = "scores.parquet", "images.parquet", "parts"
PART = 1024  # images of a part: what is lost at most when the scoring is cut off
PIXELS = ("window", "max")
"""How DICOM values become grey: as a viewer shows them, or published, divided by their maximum."""
SCORED = "scores of single images"
"""Purpose of the folder, in its mark; see ``offclip.folders``."""
CONTENTS = (SCORES, IMAGES, f"{PARTS}/*", "pointing-*.parquet")
_FACTS = ["width", "height", "fingerprint", "seconds"]


@dataclass(frozen=True)
class Scorer:
    """A model, and how it sees files.

    Attributes:
        model: of the package, or like one.
        resize: from a grey image to the padded and resized one that the model takes.
        pixels: of :data:`PIXELS`.
        batch_size: images at once.
        spread: shares out the reading.
    """

    model: PairModel
    resize: Resize
    pixels: str = "window"
    batch_size: int = 128
    spread: Spread = map

    def __post_init__(self) -> None:
        check_batch_size(self.batch_size)

    def images(self, root: str | Path, names: Sequence[str]) -> ImageFiles:
        """The images of files below ``root``."""
        read = partial(read_inside, Path(root).absolute(), self.pixels)
        return ImageFiles(list(names), read, self.resize, self.spread)


@dataclass(frozen=True)
class Scored:
    """Scores by image and prompt.

    Attributes:
        table: rows by image path, columns by prompt.
        images: ``width`` and ``height`` of the files, by image path.
        refused: why an image has no scores, by its path.
        minutes: of scoring, those of earlier calls among them.
    """

    table: pd.DataFrame
    images: pd.DataFrame
    refused: dict[str, str]
    minutes: float


def resize_for(model: PairModel) -> Resize:
    """How a saved model takes grey images: published ones by their rule, ours at their size."""
    if isinstance(model, PublishedCARZero):
        return published_square
    return partial(padded_square, size=model.picture_size)


def read_inside(root: Path, pixels: str, name: str) -> np.ndarray:
    """A grey image of a file below ``root``.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it leads out of the root, or is not an image.
    """
    path = path_inside(root, name)
    if path is None:
        raise ValueError(f"{name}: leads out of {root}; nothing outside it is opened")
    return read_radiograph(path, dicom_scaling=pixels)


def score_digest(scorer: Scorer, prompts: Sequence[str]) -> str:
    """Names all that decides the scores of an image: weights, tokens, pixels, the code."""
    model, digest = scorer.model, hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    for prompt, ids in zip(prompts, model.tokenize(prompts)["input_ids"].tolist(), strict=True):
        digest.update(f"{prompt} {ids}".encode())
    probe = np.arange(256 * 192, dtype=np.uint32).reshape(256, 192) % 251
    digest.update(scorer.resize(probe.astype(np.uint8)).tobytes())
    digest.update(f"{type(model).__name__} {scorer.pixels} {code_version(__name__)}".encode())
    return digest.hexdigest()[:12]


def score_images(
    scorer: Scorer,
    prompts: Sequence[str],
    root: str | Path,
    names: Sequence[str],
    folder: str | Path,
    *,
    report: Callable[[str], None] | None = None,
) -> Scored:
    """Score every image with every prompt; what was scored by an earlier call stays.

    Only what has no scores yet is read: images that could not be read before, and those whose file
    has another fingerprint now. Memory holds a batch of images, and the scores.

    Args:
        scorer: its model is put into eval mode.
        prompts: names of the columns.
        root: of the images; nothing outside it is opened.
        names: paths below ``root``.
        folder: for ``scores.parquet`` and ``images.parquet`` of this root and one model (its name
            should tell which, see :func:`score_digest`).
        report: gets a line a part.

    Raises:
        ValueError: a name is there twice, a prompt is too long or has no known word, or ``folder``
            holds something else or the scores of another root.
    """
    root, folder, prompts = Path(root), Path(folder), list(prompts)
    if len(set(names)) != len(names):
        raise ValueError("names: expected each image once; the reader gives some of them twice")
    with claimed(folder, Mark(SCORED, settings={"root": str(root.resolve())}, contents=CONTENTS)):
        kept = _kept(folder, prompts)
        prints = {name: fingerprint_inside(root, name) for name in {*names, *kept.index}}
        rows = kept[kept["fingerprint"] == [prints[name] for name in kept.index]]
        images = scorer.images(root, [name for name in names if name not in rows.index])
        parts = score_parts(
            scorer.model, images, images.names, prompts,
            batch_size=scorer.batch_size, part_size=PART,
        )  # fmt: skip
        first = 1 + max((int(path.stem) for path in (folder / PARTS).glob("*.parquet")), default=-1)
        begun = time.perf_counter()
        for number, scores in enumerate(parts):
            part = _with_facts(scores, images, prints, time.perf_counter() - begun)
            _write(part, folder / PARTS / f"{first + number:06d}.parquet")
            rows = pd.concat([rows, part]) if len(rows) else part
            if report:
                done = min((number + 1) * PART, len(images))
                unread = len(images.refused)
                report(f"scored {done} of {len(images)} images, {unread} unreadable")
            begun = time.perf_counter()
        if len(images):
            _finish(rows, folder)
    rows = rows.loc[[name for name in names if name not in images.refused]]
    sizes, minutes = rows[["width", "height"]].astype(int), float(rows["seconds"].sum()) / 60
    return Scored(rows[prompts], sizes, images.refused, minutes)


def _with_facts(
    scores: pd.DataFrame, images: ImageFiles, fingerprints: dict[str, str], seconds: float
) -> pd.DataFrame:
    """Scores with the columns of :data:`_FACTS`; each image took its share of the seconds."""
    facts = [
        (*images.sizes[name], fingerprints[name], seconds / len(scores)) for name in scores.index
    ]
    return scores.join(pd.DataFrame(facts, index=scores.index, columns=_FACTS))


def _kept(folder: Path, prompts: list[str]) -> pd.DataFrame:
    """Rows of earlier calls, of the finished table and of parts; a damaged file has none."""
    columns = [*prompts, *_FACTS]
    tables = [_read(folder / SCORES).join(_read(folder / IMAGES), how="inner")]
    tables += [_read(path) for path in sorted((folder / PARTS).glob("*.parquet"))]
    complete = [each[columns] for each in tables if len(each) and set(columns) <= set(each)]
    rows = pd.concat(complete) if complete else pd.DataFrame(columns=columns)
    return rows[~rows.index.duplicated(keep="last")]


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):
        return pd.DataFrame()


def _finish(rows: pd.DataFrame, folder: Path) -> None:
    _write(rows.drop(columns=_FACTS), folder / SCORES)
    _write(rows[_FACTS], folder / IMAGES)
    for path in (folder / PARTS).glob("*.parquet"):
        path.unlink()
    for each in (folder, folder / PARTS):
        remove_parts(each)


def _write(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        table.rename_axis("image").to_parquet(temporary)
