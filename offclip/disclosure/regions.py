"""Where in a published picture other pictures may be. Imports nothing of the package.

Cut at straight gutters, again and again (a figure's frame, the tiles of a contact sheet), and into
the square tiles of a grid that has no gutters.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

LEAST_SIDE, MOST_REGIONS = 24, 160
_DEPTH = 5
_MOST_ROWS, _LEAST_TILE = 5, 48
_FLAT = 4.0  # standard deviation in grey levels: paper, not a picture
_GUTTER = 12  # range of grey levels of a straight line that parts two pictures
_PAPER, _INK, _MOSTLY = 200, 60, 0.85  # grey levels; share of a line's pixels
_FRAME = 2  # pixels of a frame's line at most
Region = UInt8[np.ndarray, "_ _"]


def regions(picture: Region) -> list[Region]:
    """Parts of a picture that may be pictures themselves, the whole one first."""
    found: list[Region] = []
    for part in _all(picture):
        if len(found) == MOST_REGIONS:
            break
        if min(part.shape) >= LEAST_SIDE and part.std() > _FLAT:
            found.append(part)
    return found


def _all(picture: Region) -> Iterator[Region]:
    parts = list(_cut(picture, _DEPTH))
    yield from parts
    yield from map(_unframed, parts)
    for part in parts[:2]:
        yield from _tiles(part)


def _cut(picture: Region, depth: int) -> Iterator[Region]:
    """The picture, and what is between its gutters, and between theirs."""
    if min(picture.shape) < LEAST_SIDE:
        return
    yield picture
    if not depth:
        return
    rows, columns = _between(picture, 1), _between(picture, 0)
    if rows != [(0, picture.shape[0])] or columns != [(0, picture.shape[1])]:
        for top, bottom in rows:
            for left, right in columns:
                yield from _cut(picture[top:bottom, left:right], depth - 1)


def _between(picture: Region, axis: int) -> list[tuple[int, int]]:
    """Starts and ends of what is between lines of one grey level."""
    flat = np.ptp(picture, axis=axis) <= _GUTTER
    edges = np.flatnonzero(np.diff(np.concatenate([[True], flat, [True]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= LEAST_SIDE]


def _unframed(picture: Region) -> Region:
    """The picture without paper that ticks stand on, and without the frame behind it."""
    for _ in range(4):
        paper = (picture >= _PAPER).mean(axis=1) >= _MOSTLY
        start = int(np.argmin(paper)) if not paper.all() else 0
        ink = (picture[start : start + _FRAME] <= _INK).mean(axis=1) >= _MOSTLY
        picture = np.rot90(picture[start + int(ink.sum()) :])
    return picture


def _tiles(picture: Region) -> Iterator[Region]:
    """Square tiles of every grid that fits, of at most five rows."""
    height, width = picture.shape
    for count in range(1, _MOST_ROWS + 1):
        side = height / count
        across = round(width / side)
        if count * across < 2 or side < _LEAST_TILE or abs(across * side - width) > 2:
            continue
        for row in range(count):
            for column in range(across):
                top, left = round(row * side), round(column * side)
                yield picture[top : top + round(side), left : left + round(side)]
