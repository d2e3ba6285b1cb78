"""Image files: grey, square, and clear words about what cannot be read."""

import cv2
import numpy as np
import pytest
from PIL import Image

from offclip.data.pictures import image_facts, read_grey, read_picture, upright_boxes
from tests.data.turned import BOX, CORNERS, bright, stored


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


def test_palettes_and_transparency_become_grey(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for mode, options in (("P", {"transparency": 3}), ("LA", {}), ("RGBA", {}), ("L", {})):
        path = tmp_path / f"{mode}.png"
        image = Image.fromarray(grey).convert(mode)
        if mode in ("LA", "RGBA"):
            image.putalpha(7)
        image.save(path, **options)
        np.testing.assert_array_equal(read_grey(path), grey)
    Image.fromarray(grey > 31).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_grey(tmp_path / "1.png"), 255 * (grey > 31))


@pytest.mark.parametrize(
    ("highest", "white"), [(200, 255), (255, 255), (256, 4095), (4095, 4095), (4096, 65535)]
)
def test_sixteen_bits_have_the_white_of_their_depth(highest, white, tmp_path):
    pixels = np.array([[0, 17, highest // 2, highest]], np.uint16)
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    expected = np.rint(pixels / white * 255)
    np.testing.assert_array_equal(read_grey(tmp_path / "deep.png"), expected)


def test_sixteen_bits_are_what_opencv_makes_of_them(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 30)).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    cut = cv2.imread(str(tmp_path / "deep.png"), cv2.IMREAD_GRAYSCALE)
    assert np.abs(read_grey(tmp_path / "deep.png").astype(int) - cut).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_on_its_side_is_turned_upright(suffix, tmp_path):
    grey = np.zeros((32, 16), np.uint8)
    grey[:8] = 240  # the top
    orientation = Image.Exif()
    orientation[0x0112] = 6  # turn by 90° clockwise to show
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(np.rot90(grey)).save(path, exif=orientation)
    turned = read_grey(path)
    assert turned.shape == (32, 16) and np.abs(turned.astype(int) - grey).max() < 20


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("scale", [1, 2])
def test_boxes_turn_with_the_picture(scale, orientation, suffix, tmp_path):
    """Painted into the image as stored, inside its box as read; the table may have its own size."""
    path, box = stored(tmp_path / f"a.{suffix}", orientation), dict(BOX)
    for name in ("x_min", "x_max"):
        box[name] *= scale  # the table's image is wider than the file's, for scale 2
    facts, grey = image_facts(path), read_grey(path)
    assert facts.upright_size == grey.shape[::-1]
    table_size = None if scale == 1 else (80, 24)
    [turned] = upright_boxes([box], facts.upright_size, facts.orientation, table_size)
    assert turned["label"] == "A" and set(turned) == set(BOX)
    assert bright(grey) == tuple(turned[name] for name in CORNERS)


def test_deep_pictures_on_their_side_are_turned_too(tmp_path):
    orientation = Image.Exif()
    orientation[0x0112] = 3
    pixels = np.array([[0, 65535], [30_000, 9]], np.uint16)
    Image.fromarray(pixels[::-1, ::-1]).save(tmp_path / "deep.png", exif=orientation)
    assert read_grey(tmp_path / "deep.png").tolist() == [[0, 255], [117, 0]]


def test_what_cannot_be_read_is_named(tmp_path):
    whole = tmp_path / "whole.png"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    Image.fromarray(noise).save(whole)
    for name, content in (("words.png", b"not an image"), ("cut.png", whole.read_bytes()[:900])):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}.*expected a DICOM, PNG or JPEG"):
            read_picture(path, 8)
    Image.new("CMYK", (8, 8)).save(tmp_path / "ink.jpg")
    with pytest.raises(ValueError, match="ink.jpg: expected grey, RGB or a palette, got CMYK"):
        read_picture(tmp_path / "ink.jpg", 8)
    Image.fromarray(noise).save(tmp_path / "other.png", format="TIFF")
    with pytest.raises(ValueError, match="other.png: expected a DICOM, PNG or JPEG"):
        read_picture(tmp_path / "other.png", 8)
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
