"""Pictures of records are known by their pixels; those of others are not taken for them."""

import base64
import io
import json

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from tests.disclosure.made import STUDIES, pictures

SHOWN = "pictures of restricted records"
MINE, OTHERS = 3, 13


def file_of(picture, kind="png", **options):
    """Bytes of an image file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


def scaled(picture, side):
    """The picture at another size."""
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)


def figure(shown, **options):
    """A contact sheet of matplotlib."""
    sheet, axes = plt.subplots(1, len(shown), figsize=(6, 2.5))
    for axis, picture in zip(axes, shown, strict=True):
        axis.imshow(picture, cmap="gray")
        axis.axis("on" if options.get("frames") else "off")
        axis.set_title("a case")
    buffer = io.BytesIO()
    sheet.savefig(buffer, format="png")
    plt.close(sheet)
    return buffer.getvalue()


def planted(kind):
    """An image file that shows a record's picture."""
    mine, others = pictures()[MINE], pictures()[OTHERS]
    return {
        "exact": lambda: file_of(mine),
        "half size": lambda: file_of(scaled(mine, 128)),
        "large": lambda: file_of(cv2.resize(mine, (700, 700))),
        "JPEG": lambda: file_of(scaled(mine, 160), "jpeg", quality=50),
        "inverted": lambda: file_of(255 - mine),
        "cropped": lambda: file_of(mine[16:240, 16:240]),
        "cropped, inverted, small, JPEG": lambda: file_of(
            scaled(255 - mine[16:240, 16:240], 112), "jpeg", quality=60
        ),
        "16 bits": lambda: file_of(mine.astype(np.uint16) * 16),
        "colour and alpha": lambda: file_of(np.dstack([mine] * 3 + [np.full_like(mine, 255)])),
        "tiles without gutters": lambda: file_of(np.hstack([others, mine, others])),
        "contact sheet": lambda: figure([others, mine, others]),
        "contact sheet with frames": lambda: figure([others, mine, others], frames=True),
    }[kind]()


KINDS = [
    "exact", "half size", "large", "JPEG", "inverted", "cropped", "cropped, inverted, small, JPEG",
    "16 bits", "colour and alpha", "tiles without gutters", "contact sheet",
    "contact sheet with frames",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_found(found, kind):
    assert found({"a.bin": planted(kind)}) == [f"site/a.bin: 1 {SHOWN}"]


def embedded(kind):
    """A page or notebook with the picture inside."""
    encoded = base64.b64encode(file_of(pictures()[MINE])).decode()
    if kind == "page.html":
        return f'<p>x</p><img src="data:image/png;base64,{encoded}"><p>y</p>'
    if kind == "figure.svg":
        return f'<svg><image href="data:image/png;base64,{encoded}"/></svg>'
    if kind == "state.js":
        return f"state = {json.dumps({'picture': encoded})}"
    wrapped = "\n".join(encoded[n : n + 76] for n in range(0, len(encoded), 76)) + "\n"
    data = {"image/png": wrapped if kind == "output.ipynb" else encoded}
    cell = {"cell_type": "code", "source": "", "metadata": {}, "outputs": [{"data": data}]}
    if kind == "attachment.ipynb":
        cell = {"cell_type": "markdown", "source": "", "metadata": {}, "attachments": {"a": data}}
    return json.dumps({"cells": [cell]})


@pytest.mark.parametrize(
    "kind", ["page.html", "figure.svg", "state.js", "output.ipynb", "attachment.ipynb"]
)
def test_an_embedded_picture_is_found(found, kind):
    assert found({kind: embedded(kind)}) == [f"site/{kind}: 1 {SHOWN}"]


def test_text_beside_the_pixels_is_read(found):
    about = Image.Exif()
    about[0x010E] = f"study s{STUDIES[MINE]}"
    blank = np.full((40, 40), 255, np.uint8)
    assert found({"a.jpg": file_of(blank, "jpeg", exif=about)}) == [
        "site/a.jpg: 1 identifiers of restricted records"
    ]


def test_pictures_of_others_and_charts_are_none(found):
    other = pictures()[OTHERS]
    chart, axis = plt.subplots()
    axis.plot(np.random.default_rng(0).random(50))
    axis.imshow(np.eye(14), extent=(0, 50, 0, 1), aspect="auto")
    buffer = io.BytesIO()
    chart.savefig(buffer, format="png")
    plt.close(chart)
    files = {
        "other.png": file_of(other),
        "cropped.png": file_of(other[16:240, 16:240]),
        "chart.png": buffer.getvalue(),
        "noise.png": file_of(np.random.default_rng(0).integers(0, 256, (256, 256), np.uint8)),
        "flat.png": file_of(np.full((256, 256), 7, np.uint8)),
        "thin.png": file_of(np.tile(np.arange(256, dtype=np.uint8), (3, 1))),
        "cut.png": file_of(pictures()[MINE])[:300],
    }
    assert found(files) == []
