"""Pictures of records on pages, by their pixels: as they are, scaled, inverted, cropped, tiled.

Each region of a published picture is compared at 16 × 16 pixels with every cached square of
restricted records, and with its middle, which models see. The most alike are compared again at
64 × 64 by fine detail alone, which tells one chest from another. The caches are read once from end
to end. A picture that is turned, warped or half covered is not found.
"""

import heapq
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from offclip.disclosure.local import PICTURES, LocalCopy
from offclip.disclosure.regions import regions
from offclip.imaging.resize import CROP, LONGER_SIDE, published_square

COARSE, FINE = 16, 64
SAME, LEAST, APART = 0.95, 0.6, 0.6
"""A picture is a record's if the correlation of their fine detail is at least ``SAME``; or
``LEAST``, and what lacks to 1 is at most ``APART`` of what lacks to the next record. Among 300 real
radiographs copies had 0.65 to 1.0, other persons below 0.45; rendered ones are more alike."""
_LIKELY, _FEW = 0.8, 16  # coarse correlation of what is compared again, and how many of these
_DETAIL, _NOISE = 1.5, 4.0  # pixels of 64; grey levels
_ROWS = 512
_MIDDLE = slice((LONGER_SIDE - CROP) // 2, (LONGER_SIDE + CROP) // 2)
_Square = UInt8[np.ndarray, "_ _"]


def find_pictures(shown: Sequence[tuple[int, np.ndarray]], copy: LocalCopy) -> dict[int, int]:
    """How many pictures of restricted records each file shows.

    Args:
        shown: file number and grey picture.
        copy: the records; those without an image cache are not known by their pixels.
    """
    caches = [folder / PICTURES for folder in copy.private if (folder / PICTURES).exists()]
    if not caches or not shown:
        return {}
    squares, files = [], []
    for file, picture in shown:
        for region in regions(picture):
            for light in (region, 255 - region):
                squares.append(published_square(np.ascontiguousarray(light)))
                files.append(file)
    found: dict[int, set[tuple[Path, int]]] = {}
    for cache in caches if squares else ():
        pictures = np.load(cache, mmap_mode="r")
        likely = _likely(squares, pictures)
        for file, square, rows in zip(files, squares, likely, strict=True):
            row = _record(square, rows, pictures)
            if row is not None:
                found.setdefault(file, set()).add((cache, row))
    return {file: len(rows) for file, rows in found.items()}


def _record(square: _Square, likely: list[tuple[int, bool]], pictures: np.ndarray) -> int | None:
    """The row whose picture this is, or None."""
    alike: dict[int, float] = {}
    fine = _fine(square)
    for row, middle in likely:
        known = pictures[row][_MIDDLE, _MIDDLE] if middle else pictures[row]
        alike[row] = max(alike.get(row, 0.0), float(fine @ _fine(known)))
    best, second, *_ = *sorted(alike.values(), reverse=True), 0.0, 0.0
    told = best >= SAME or (best >= LEAST and 1 - best <= APART * (1 - second))
    return max(alike, key=alike.__getitem__) if told else None


def _likely(
    squares: Sequence[_Square], pictures: UInt8[np.ndarray, "row side side"]
) -> list[list[tuple[int, bool]]]:
    """For each square the few most alike rows, and whether it is their middle that is."""
    asked = np.stack([_coarse(square) for square in squares])
    best: list[list[tuple[float, int, bool]]] = [[] for _ in squares]
    least = np.full(len(squares), _LIKELY, np.float32)
    for start in range(0, len(pictures), _ROWS):
        part = np.asarray(pictures[start : start + _ROWS])
        for middle in (False, True):
            known = np.stack([_coarse(p[_MIDDLE, _MIDDLE] if middle else p) for p in part])
            alike = asked @ known.T
            for number, row in np.argwhere(alike > least[:, None]).tolist():
                heap, entry = best[number], (float(alike[number, row]), start + row, middle)
                (heapq.heappush if len(heap) < _FEW else heapq.heappushpop)(heap, entry)
                if len(heap) == _FEW:
                    least[number] = heap[0][0]
    return [[(row, middle) for _, row, middle in heap] for heap in best]


def _coarse(square: _Square) -> Float32[np.ndarray, " pixel"]:
    small = cv2.resize(np.ascontiguousarray(square), (COARSE, COARSE), interpolation=cv2.INTER_AREA)
    return _normal(small.astype(np.float32))


def _fine(square: _Square) -> Float32[np.ndarray, " pixel"]:
    """Detail, of one strength everywhere: else the outline of the body would tell most."""
    small = cv2.resize(np.ascontiguousarray(square), (FINE, FINE), interpolation=cv2.INTER_AREA)
    detail = small - cv2.GaussianBlur(small.astype(np.float32), (0, 0), _DETAIL)
    strength = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), _DETAIL))
    return _normal(detail / (strength + np.float32(_NOISE)))


def _normal(values: np.ndarray) -> np.ndarray:
    """Mean 0, length 1; zeros where all is flat."""
    centred = values.ravel() - values.mean()
    length = float(np.linalg.norm(centred))
    return centred / length if length > 1e-3 else np.zeros_like(centred)
