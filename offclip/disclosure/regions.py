"""Where in a published picture other pictures may be. Imports nothing of the package.

Cut at straight gutters, again and again (a figure's frame, the tiles of a contact sheet), and into
the square tiles of a grid that has no gutters.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import UInt8

LEAST_SIDE, MOST_REGIONS = 24, 160
_DEPTH, _MOST_ROWS = 5, 6
_FLAT = 4.0  # standard deviation in grey levels: paper, not a picture
_GUTTER = 12  # range of grey levels of a straight line that parts two pictures
_FRAME = 3  # pixels of a frame that is drawn around a picture
Region = UInt8[np.ndarray, "height width"]


def regions(picture: Region) -> list[Region]:
    """Parts of a picture that may be pictures themselves, the whole one first."""
    found = []
    for part in _all(picture):
        if len(found) == MOST_REGIONS:
            break
        if min(part.shape) >= LEAST_SIDE and part.std() > _FLAT:
            found.append(part)
    return found


def _all(picture: Region) -> Iterator[Region]:
    parts = list(_cut(picture, _DEPTH))
    yield from parts
    yield from (part[_FRAME:-_FRAME, _FRAME:-_FRAME] for part in parts[1:])
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


def _tiles(picture: Region) -> Iterator[Region]:
    """Square tiles of every grid that fits, of at most six rows."""
    height, width = picture.shape
    for count in range(1, _MOST_ROWS + 1):
        side = height / count
        across = round(width / side)
        if count * across < 2 or not across or abs(across * side - width) > 2:
            continue
        for row in range(count):
            for column in range(across):
                top, left = round(row * side), round(column * side)
                yield picture[top : top + round(side), left : left + round(side)]
