"""The pointing game on the boxes of a published set, in what the model sees of each file."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from offclip.data.record_parts import scaled_boxes
from offclip.evaluation import point
from offclip.files import atomic_path
from offclip.imaging.boxes import boxes_in_square
from offclip.imaging.facts import image_facts
from offclip.keys import code_version, config_hash, fingerprint_inside
from offclip.study.benchmark.scores import Scored, Scorer


def boxes_in_images(
    rows: pd.DataFrame, images: pd.DataFrame, size: int
) -> dict[str, list[dict[str, float | str]]]:
    """Boxes by image path, in pixels of the padded and resized image of this size.

    From the size that the table's boxes refer to, to the file's, turned upright as the image is, to
    the padded square: within a pixel of 256, since the images' own padding is rounded.

    Args:
        rows: ``image, boxes``, and ``box_width, box_height`` where boxes are not in the file's own
            pixels.
        images: ``width, height`` of the files as they are read, and their ``orientation``, by
            image path.
        size: side of the image that the model takes.
    """
    names, facts = rows["image"], ("width", "height", "orientation")
    cases = rows.assign(study_id=names, **{f: images.loc[names, f].to_numpy() for f in facts})
    cases["boxes"] = [scaled_boxes(case) for case in cases.itertuples()]
    return boxes_in_square(cases, size)


def point_in_files(
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
        phrases: class → the words after "there is"; boxes of other labels do not count.
        rows: images with boxes, at least one, all of them scored.
        scored: has the sizes of the files.
        root: of the images.
        folder: of the scores.
    """
    root, names = Path(root), list(rows["image"])
    orientation = [image_facts(root / name).orientation for name in names]
    sizes = scored.images.loc[names].assign(orientation=orientation)
    boxes = boxes_in_images(rows, sizes, scorer.model.picture_size)
    inputs = {
        "phrases": phrases,
        "boxes": boxes,
        "images": {name: fingerprint_inside(root, name) for name in names},
        "code": code_version(__name__),
    }
    path = Path(folder) / f"pointing-{config_hash(inputs)}.parquet"
    if path.is_file():
        return pd.read_parquet(path)
    hits = point(scorer.model, scorer.images(root, names), names, phrases, boxes)
    with atomic_path(path) as temporary:
        hits.to_parquet(temporary, index=False)
    return hits
