"""Scores of image files by any model of the package, by file name, nothing left out in silence."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from offclip.evaluation import score_table
from offclip.evaluation.image_files import ImageFiles, Resize
from offclip.evaluation.scoring import check_words
from offclip.imaging import read_radiograph
from offclip.imaging.read import is_image
from offclip.models.model import PairModel

SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom", ".tif", ".tiff", ".bmp")
"""Names that promise an image: a file with one of them is tried whatever is in it."""
_NAMED = 3  # files that are no images and that a line names


@dataclass(frozen=True)
class Predictions:
    """Scores by file and prompt, and what could not be scored, with the reason."""

    table: pd.DataFrame
    refused: dict[str, str]


def image_files(paths: Iterable[str | Path]) -> tuple[list[Path], list[Path]]:
    """Files as given and the images below each folder, sorted; and what else lies there.

    The content decides, not the name. Images of a format that is not read are among the images,
    so that they are refused with a reason, and so are files that cannot be opened and visible ones
    that are images by their name alone. ``DICOMDIR``, the index of a DICOM medium, is none.

    Raises:
        ValueError: a folder without images; the message names it.
        OSError: a folder that cannot be listed.
    """
    images: list[Path] = []
    others: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            images.append(path)
            continue
        inside = _below(path)
        inner = list(filter(_is_image, inside))
        rest = sorted(set(inside) - set(inner))
        if not inner:
            raise ValueError(f"{path}: no image in this folder; {left_out(rest)}")
        images, others = images + inner, others + rest
    return list(dict.fromkeys(images)), sorted(set(others) - set(images))


def left_out(others: Sequence[Path]) -> str:
    """A line on the files of a folder that are no images."""
    names = [path.name for path in others[:_NAMED]] + ["…"] * (len(others) > _NAMED)
    listed = f": {', '.join(names)}" if names else ""
    return f"{len(others)} other file{'s' * (len(others) != 1)} left out{listed}"


def _below(folder: Path) -> list[Path]:
    """Whatever lies in a folder or deeper, sorted; links to folders are not followed."""

    def stop(error: OSError) -> None:
        raise error

    paths = []
    for parent, folders, names in os.walk(folder, onerror=stop):
        here = [Path(parent, name) for name in names]
        paths += here + [path for name in folders if (path := Path(parent, name)).is_symlink()]
    return sorted(paths)


def _is_image(path: Path) -> bool:
    if path.name.upper() == "DICOMDIR" or (path.exists() and not path.is_file()):
        return False
    by_name = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    try:
        return by_name or is_image(path)
    except OSError:
        return True


def predict(
    model: PairModel,
    resize: Resize,
    prompts: Sequence[str],
    files: Sequence[Path],
    *,
    batch_size: int = 128,
) -> Predictions:
    """Mean score of both directions of every file with every prompt.

    Args:
        model: put into eval mode.
        resize: from a grey image (height, width) of uint8 to one of the model's ``picture_size``.
        prompts: names of the columns too.
        files: each once; read one batch at a time.
        batch_size: images at once.

    Raises:
        ValueError: a prompt has a word that the model does not know.
    """
    check_words(model, prompts)
    images = ImageFiles([str(file) for file in files], read_radiograph, resize)
    table = score_table(model, images, images.names, prompts, batch_size=batch_size)
    return Predictions(table, images.refused)
