"""Synthetic copies: the layout of a published set, small, with rendered phantoms as its images.

For tests, for benchmarks, for the book, and for who waits for access. Folders, names, columns and
known quirks are those of the set (see its manifest for what could not be checked); patients, labels
and text are invented, and images are rendered from the labels. Not data: nothing that is measured
on a synthetic copy says anything about the set.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from offclip.data.curation_folder import INVENTED
from offclip.data.tables import nearest
from offclip.files import write_text
from offclip.folders import Mark, check, read_mark, replaced
from offclip.phantom.render import SIZES
from offclip.rehearsal import boxed, chexpert_classes, report_terms

LAYOUTS: Mapping[str, Callable[..., None]] = {
    "mimic_cxr": chexpert_classes.write_mimic,
    "vindr_cxr": boxed.write_vindr,
    "openi": report_terms.write_openi,
    "chexpert": chexpert_classes.write_chexpert,
    "padchest": report_terms.write_padchest,
    "nih_chestxray14": boxed.write_nih,
    "chestx_det10": boxed.write_chestx_det10,
    "ms_cxr": chexpert_classes.write_ms_cxr,
}
MARKER = INVENTED
SYNTHETIC = "synthetic copy"
"""Purpose of the folder, in its mark; see ``offclip.folders``."""
LEAST = 20
"""Fewest studies: below, a split would be empty."""


def rehearse(
    dataset: str,
    root: str | Path,
    *,
    studies: int = 60,
    seed: int = 0,
    size: int = 256,
    force: bool = False,
) -> Path:
    """Write a synthetic copy of ``dataset`` and return its folder.

    The same arguments give the same bytes. Every class that can be rendered has positives and
    negatives among the test images, as far as there are studies enough. The folder appears when it
    is whole. A file ``REHEARSAL.txt`` says what it is.

    Args:
        dataset: a name of ``LAYOUTS``.
        root: a folder that is empty or is not there yet.
        studies: how many, at least 20; sets without studies have so many images.
        seed: of labels, text and images.
        size: longer side of the images in pixels, 32 to 1024.
        force: also write a copy again that an earlier call wrote; files that it did not write stay.

    Raises:
        ValueError: an unknown set (the nearest name is given), too few studies, a size out of
            range, or a folder that holds something.
    """
    root = Path(root)
    if dataset not in LAYOUTS:
        raise ValueError(
            f"dataset: expected one of {', '.join(LAYOUTS)}; got {dataset!r}"
            f"{nearest(dataset, LAYOUTS)}"
        )
    if studies < LEAST or not SIZES[0] <= size <= SIZES[1] or seed < 0:
        raise ValueError(
            f"expected at least {LEAST} studies, a size from {SIZES[0]} to {SIZES[1]} and a seed "
            f"from 0 on; got studies={studies}, size={size}, seed={seed}"
        )
    mark = Mark(SYNTHETIC, dataset, {"studies": studies, "seed": seed, "size": size})
    check(root, mark, force=force)
    if not force and read_mark(root) is not None:
        raise ValueError(
            f"{root}: expected an empty folder, or none, got a {mark.title}; give another one, or "
            "--force to write it again"
        )
    with replaced(root, mark, force=force) as whole:
        LAYOUTS[dataset](whole, studies=studies, seed=seed, size=size)
        write_text(whole / MARKER, about(dataset, studies, seed, size))
    return root


def about(dataset: str, studies: int, seed: int, size: int) -> str:
    """The text of ``REHEARSAL.txt``."""
    return (
        f"A rehearsal of the layout of {dataset}: {studies} studies, seed {seed}, {size} pixels.\n"
        "Patients, labels and text are invented, and the pictures are rendered phantoms.\n"
        "This is not data: nothing that is measured here says anything about the set.\n"
    )


__all__ = ["LAYOUTS", "MARKER", "about", "rehearse"]
