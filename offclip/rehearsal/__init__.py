"""Rehearsals: a small copy of a published set's layout, with rendered phantoms as its pictures.

For tests, for benchmarks, for the book, and for who waits for access. Folders, names, columns and
known quirks are those of the set (see its manifest for what could not be checked); patients, labels
and text are invented, and pictures are drawn from the labels. Not data: nothing that is measured on
a rehearsal says anything about the set. Imports ``data``, ``phantom`` and ``files``.
"""

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from offclip.data.curation_folder import INVENTED
from offclip.files import write_text
from offclip.folders import Mark, check, read_mark, replaced
from offclip.phantom.render import SIZES
from offclip.rehearsal import chestx_det10, chexpert, mimic, ms_cxr, nih, openi, padchest, vindr

LAYOUTS: Mapping[str, Callable[..., None]] = {
    "mimic_cxr": mimic.write,
    "vindr_cxr": vindr.write,
    "openi": openi.write,
    "chexpert": chexpert.write,
    "padchest": padchest.write,
    "nih_chestxray14": nih.write,
    "chestx_det10": chestx_det10.write,
    "ms_cxr": ms_cxr.write,
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
    """Write a rehearsal of ``dataset`` and return its folder.

    The same arguments give the same bytes. Every class that can be drawn has positives and
    negatives among the test images, as far as there are studies enough. The folder appears when it
    is whole. A file ``REHEARSAL.txt`` says what it is.

    Args:
        dataset: a name of ``LAYOUTS``.
        root: a folder that is empty or is not there yet.
        studies: how many, at least 20; sets without studies have so many images.
        seed: of labels, words and pictures.
        size: longer side of the pictures in pixels, 32 to 1024.
        force: also write a copy again that an earlier call wrote; files that it did not write stay.

    Raises:
        ValueError: an unknown set (the nearest name is given), too few studies, a size out of
            range, or a folder that holds something.
    """
    root = Path(root)
    if dataset not in LAYOUTS:
        near = difflib.get_close_matches(dataset, LAYOUTS, n=1, cutoff=0.0)
        raise ValueError(
            f"dataset: expected one of {', '.join(LAYOUTS)}; got {dataset!r}; did you mean "
            f"{near[0]!r}?"
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
    """What a rehearsal says of itself."""
    return (
        f"A rehearsal of the layout of {dataset}: {studies} studies, seed {seed}, {size} pixels.\n"
        "Patients, labels and text are invented, and the pictures are rendered phantoms.\n"
        "This is not data: nothing that is measured here says anything about the set.\n"
    )


__all__ = ["LAYOUTS", "MARKER", "about", "rehearse"]
