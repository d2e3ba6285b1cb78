"""Image files: grey, square, and clear words about what cannot be read."""

import numpy as np
import pytest
from PIL import Image

from offclip.data.pictures import read_picture


def test_a_picture_becomes_square_and_keeps_its_shape(tmp_path):
    path = tmp_path / "wide.png"
    Image.fromarray(np.full((20, 40), 200, dtype=np.uint8)).save(path)
    picture = read_picture(path, 8)
    assert picture.shape == (8, 8) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[2:6], 200)
    assert picture[:2].max() == 0 and picture[6:].max() == 0


def test_colour_becomes_grey(tmp_path):
    path = tmp_path / "colour.png"
    Image.fromarray(np.full((4, 4, 3), 100, dtype=np.uint8)).save(path)
    np.testing.assert_array_equal(read_picture(path, 4), 100)


def test_what_cannot_be_read_is_named(tmp_path):
    whole = tmp_path / "whole.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    for name, content in (
        ("empty.png", b""),
        ("words.png", b"not an image"),
        ("cut.png", whole.read_bytes()[:900]),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}.*expected a DICOM, PNG or JPEG"):
            read_picture(path, 8)
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((8, 8), 3000, dtype=np.uint16)).save(deep)
    with pytest.raises(ValueError, match="deep.png.*expected 8 bits"):
        read_picture(deep, 8)
    with pytest.raises(FileNotFoundError, match="none.png"):
        read_picture(tmp_path / "none.png", 8)


def test_equalised_pictures_share_a_histogram_whatever_their_brightness(tmp_path):
    generator = np.random.default_rng(0)
    pixels = generator.normal(90, 8, (64, 128)).astype(np.uint8)
    found = []
    for name, change in (("dark", pixels), ("bright", (1.5 * pixels + 60).astype(np.uint8))):
        path = tmp_path / f"{name}.png"
        Image.fromarray(change).save(path)
        found.append(read_picture(path, 64, equalise=True))
    for picture in found:
        assert not picture[:16].any() and not picture[48:].any()  # padding stays black
        counts = np.histogram(picture[16:48], bins=8, range=(0, 256))[0]
        assert np.abs(counts - 32 * 64 / 8).max() < 150
    assert (
        np.abs(found[0].astype(int) - found[1].astype(int)).mean() < 4
    )  # of 255; 105 apart as they were
