"""Scores of image files by any model of the package, by file name, nothing left out in silence."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from offclip.data.pictures import read_grey
from offclip.evaluation.zero_shot import prompt_features, scores_of
from offclip.models.model import PairModel

SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")


@dataclass(frozen=True)
class Predictions:
    """Scores by file and prompt, and what could not be scored, with the reason."""

    table: pd.DataFrame
    refused: dict[str, str]


def image_files(paths: Iterable[str | Path]) -> list[Path]:
    """Files as given, and the images below each folder (:data:`SUFFIXES`), sorted.

    Raises:
        ValueError: a folder without images; the message names it.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        if path.is_dir() and not inside:
            raise ValueError(f"{path}: no image in this folder ({', '.join(SUFFIXES)})")
        found += inside if path.is_dir() else [path]
    return list(dict.fromkeys(found))


@torch.no_grad()
def predict(
    model: PairModel,
    square: Callable[[np.ndarray], np.ndarray],
    prompts: Sequence[str],
    files: Sequence[Path],
    *,
    batch_size: int = 128,
) -> Predictions:
    """Mean score of both directions of every file with every prompt; texts are encoded once.

    Args:
        model: put into eval mode.
        square: from a grey picture (height, width) of uint8 to one of the model's ``picture_size``.
        prompts: names of the columns too.
        files: read one batch at a time.
        batch_size: images at once.
    """
    model.eval()
    texts = prompt_features(model, prompts)
    names: list[str] = []
    rows: list[np.ndarray] = [np.zeros((0, len(prompts)), np.float32)]
    refused: dict[str, str] = {}
    for start in range(0, len(files), batch_size):
        read = {}
        for file in files[start : start + batch_size]:
            try:
                read[str(file)] = square(read_grey(file))
            except (ValueError, OSError) as error:
                refused[str(file)] = str(error)
        if read:
            rows.append(scores_of(model, np.stack(list(read.values())), texts).numpy())
            names += read
    scores = np.concatenate(rows)
    return Predictions(pd.DataFrame(scores, index=names, columns=list(prompts)), refused)
