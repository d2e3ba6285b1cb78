"""Scores of a published set's images: one table, made in parts, joined by name, never by place.

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
from offclip.evaluation.picture_files import FilePictures, Square
from offclip.evaluation.zero_shot import check_batch_size, prompt_features, scores_of
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
        square: from a grey picture to the square one that the model takes.
        pixels: of :data:`PIXELS`.
        batch_size: images at once.
        spread: shares out the reading.
    """

    model: PairModel
    square: Square
    pixels: str = "window"
    batch_size: int = 128
    spread: Spread = map

    def __post_init__(self) -> None:
        check_batch_size(self.batch_size)

    def pictures(self, root: str | Path, names: Sequence[str]) -> FilePictures:
        """The pictures of files below ``root``."""
        read = partial(read_inside, Path(root).absolute(), self.pixels)
        return FilePictures(list(names), read, self.square, self.spread)


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


def square_of(model: PairModel) -> Square:
    """How a saved model takes grey pictures: published ones by their rule, ours at their size."""
    if isinstance(model, PublishedCARZero):
        return published_square
    return partial(padded_square, size=model.picture_size)


def read_inside(root: Path, pixels: str, name: str) -> np.ndarray:
    """A grey picture of a file below ``root``.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: it leads out of the root, or is not an image.
    """
    path = path_inside(root, name)
    if path is None:
        raise ValueError(f"{name}: leads out of {root}; nothing outside it is opened")
    return read_radiograph(path, dicom_scaling=pixels)


def score_digest(scorer: Scorer, prompts: Sequence[str]) -> str:
    """Names all that decides the scores of a picture: weights, tokens, pixels, the code."""
    model, whole = scorer.model, hashlib.sha256()
    for name, value in model.state_dict().items():
        whole.update(name.encode())
        whole.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    for prompt, ids in zip(prompts, model.tokenize(prompts)["input_ids"].tolist(), strict=True):
        whole.update(f"{prompt} {ids}".encode())
    probe = np.arange(256 * 192, dtype=np.uint32).reshape(256, 192) % 251
    whole.update(scorer.square(probe.astype(np.uint8)).tobytes())
    whole.update(f"{type(model).__name__} {scorer.pixels} {code_version(__name__)}".encode())
    return whole.hexdigest()[:12]


@torch.no_grad()
def score_images(
    scorer: Scorer,
    prompts: Sequence[str],
    root: str | Path,
    names: Sequence[str],
    folder: str | Path,
    *,
    report: Callable[[str], None] | None = None,
) -> Scored:
    """Score every image with every prompt; texts are encoded once, finished images stay.

    Only what has no scores yet is read: images that could not be read before, and those whose file
    has another fingerprint now. Memory holds a batch of pictures, and the scores.

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
    root, folder, names = Path(root), Path(folder), list(names)
    with claimed(folder, Mark(SCORED, settings={"root": str(root.resolve())}, contents=CONTENTS)):
        return _scored(scorer, list(prompts), root, names, folder, report)


def _scored(
    scorer: Scorer,
    prompts: list[str],
    root: Path,
    names: list[str],
    folder: Path,
    report: Callable[[str], None] | None,
) -> Scored:
    if len(set(names)) != len(names):
        raise ValueError("names: expected each image once; the reader gives some of them twice")
    known = _current(_kept(folder, list(prompts)), root)
    waiting = [name for name in names if name not in known.index]
    refused: dict[str, str] = {}
    if waiting:
        scorer.model.eval()
        texts = prompt_features(scorer.model, prompts)
        number = 1 + max((int(p.stem) for p in (folder / PARTS).glob("*.parquet")), default=-1)
        for start in range(0, len(waiting), PART):
            begun, own = time.perf_counter(), waiting[start : start + PART]
            fingerprints = {name: fingerprint_inside(root, name) for name in own}  # before reading
            pictures = scorer.pictures(root, own)
            scores = scores_of(scorer.model, pictures, texts, batch_size=scorer.batch_size)
            part = _part(pictures, scores.numpy(), list(prompts), fingerprints, begun)
            refused |= pictures.refused
            _write(part, folder / PARTS / f"{number + start // PART:06d}.parquet")
            if report:
                done = min(start + PART, len(waiting))
                report(f"scored {done} of {len(waiting)} images, {len(refused)} unreadable")
        known = _current(_kept(folder, list(prompts)), root)
        _finish(known, folder)
    found = known.loc[[name for name in names if name in known.index]]
    if len(found) + len(refused) != len(names):
        raise ValueError(
            f"scores: expected {len(names)} images scored or refused, got {len(found)} and "
            f"{len(refused)}; images change while they are read: run again"
        )
    images = found[["width", "height"]].astype(int)
    minutes = float(found["seconds"].sum()) / 60
    return Scored(found[list(prompts)], images, refused, minutes)


def _part(
    pictures: FilePictures,
    scores: np.ndarray,
    prompts: list[str],
    fingerprints: dict[str, str],
    begun: float,
) -> pd.DataFrame:
    table = pd.DataFrame(scores, index=pictures.names, columns=prompts)
    table = table.loc[[name for name in pictures.names if name not in pictures.refused]]
    sizes = [pictures.sizes[name] for name in table.index]
    table["fingerprint"] = [fingerprints[name] for name in table.index]
    seconds = (time.perf_counter() - begun) / max(len(table), 1)
    table["width"], table["height"] = zip(*sizes, strict=True) if sizes else ((), ())
    return table.assign(seconds=seconds)


def _kept(folder: Path, prompts: list[str]) -> pd.DataFrame:
    """Rows of earlier calls, of the finished table and of parts; a damaged file has none."""
    columns = [*prompts, *_FACTS]
    found = [pd.DataFrame(columns=columns)]
    if (folder / SCORES).is_file() and (folder / IMAGES).is_file():
        whole, facts = _read(folder / SCORES), _read(folder / IMAGES)
        found.append(whole.join(facts, how="inner"))
    found += [_read(path) for path in sorted((folder / PARTS).glob("*.parquet"))]
    complete = [each for each in found if len(each) and set(columns) <= set(each)]
    if not complete:
        return found[0]
    rows = pd.concat([each[columns] for each in complete])
    return rows[~rows.index.duplicated(keep="last")]


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):
        return pd.DataFrame()


def _current(rows: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Rows whose file is as it was when it was scored."""
    same = [fingerprint_inside(root, str(name)) for name in rows.index] == rows["fingerprint"]
    return rows[same]


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
