"""The pointing game on the boxes of a published set, in what the model sees of each file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from offclip.data.archive import scaled_boxes
from offclip.evaluation import attention_maps, bootstrap_pointing, pointing_game
from offclip.evaluation.grounding import boxes_without_margin
from offclip.evaluation.metrics import patient_weights
from offclip.evaluation.zero_shot import positive_prompt
from offclip.files import atomic_path
from offclip.imaging.boxes import boxes_in_square
from offclip.imaging.facts import image_facts
from offclip.keys import code_version, config_hash, fingerprint_inside
from offclip.study.external_corrected import Corrected
from offclip.study.external_scores import Scored, Scorer


def boxes_seen(
    rows: pd.DataFrame, images: pd.DataFrame, scorer: Scorer
) -> dict[str, list[dict[str, float | str]]]:
    """Boxes by image path in pixels of what the model sees, which is a square of
    ``picture_size - 2 * margin``.

    From the size that the table's boxes refer to, to the file's, turned upright as its picture is,
    to the padded square, to what the model cuts out of it: within a pixel of 256, since the
    pictures' own padding is rounded.

    Args:
        rows: ``image, boxes``, and ``box_width, box_height`` where boxes are not in the file's own
            pixels.
        images: ``width, height`` of the files as they are read, and their ``orientation``, by
            image path.
        scorer: its model's ``picture_size`` and ``margin`` count.
    """
    names, facts = rows["image"], ("width", "height", "orientation")
    sizes = {name: images.loc[names, name].to_numpy() for name in facts}
    cases = rows.assign(study_id=names, **sizes)
    cases["boxes"] = [scaled_boxes(case) for case in cases.itertuples()]
    found = boxes_in_square(cases, scorer.model.picture_size)
    return boxes_without_margin(found, scorer.model.margin)


def point(
    scorer: Scorer,
    phrases: Mapping[str, str],
    rows: pd.DataFrame,
    scored: Scored,
    root: str | Path,
    folder: str | Path,
) -> pd.DataFrame:
    """Hit or miss for each image and class with a box, kept in ``folder`` for the next call.

    Kept hits are used for the same prompts, boxes, image files and code.

    Args:
        scorer: its model needs the cross-attention head.
        phrases: class → the words after "there is"; boxes of other labels are not asked for.
        rows: images with boxes, at least one, all of them scored.
        scored: tells the sizes of the files.
        root: of the images.
        folder: of the scores.
    """
    names, prompts = list(rows["image"]), [positive_prompt(each) for each in phrases.values()]
    turned = [image_facts(Path(root) / name).orientation for name in names]
    boxes = boxes_seen(rows, scored.images.loc[names].assign(orientation=turned), scorer)
    inputs = {
        "phrases": phrases,
        "boxes": boxes,
        "images": {name: fingerprint_inside(Path(root), name) for name in names},
        "code": code_version(__name__),
    }
    path = Path(folder) / f"pointing-{config_hash(inputs)}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    maps = attention_maps(scorer.model, scorer.pictures(root, names), prompts)
    side = scorer.model.picture_size - 2 * scorer.model.margin
    hits = pointing_game(maps, names, list(phrases), boxes, side)
    with atomic_path(path) as temporary:
        hits.to_parquet(temporary, index=False)
    return hits


def measure_pointing(
    hits: pd.DataFrame, rows: pd.DataFrame, *, least: int, resamples: int = 1000
) -> Corrected:
    """``pointing`` and ``pointing_chance`` by class and as the mean, with resamples over patients.

    Args:
        hits: of :func:`point`.
        rows: ``image`` and ``patient_id`` of its images.
        least: classes with fewer boxed images are left out and counted.
        resamples: of the bootstrap.
    """
    rows = rows[rows["image"].isin(hits["id"])]
    weights = patient_weights(list(rows["patient_id"]), resamples=resamples, seed=0)
    found = bootstrap_pointing(hits, list(rows["image"]), weights, least=least)
    chance, cases = hits.groupby("label")["chance"].mean(), hits["label"].value_counts()
    by_class = {label: float(chance[label]) for label in found if label != "mean"}
    counts = {label: int(cases[label]) for label in by_class}
    if by_class:
        by_class["mean"], counts["mean"] = (
            float(np.mean([*by_class.values()])),
            sum(counts.values()),
        )
    answers = {("pointing", label): answer for label, answer in found.items()}
    level = {("pointing_chance", n): (v, np.full(0, np.nan)) for n, v in by_class.items()}
    return Corrected(
        answers | level,
        {key: counts[key[1]] for key in answers | level},
        {str(n): int(k) for n, k in cases.items() if n not in counts},
        [],
    )
