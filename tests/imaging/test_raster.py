"""Raster files: grey, upright, and clear words about what cannot be read; boxes; resizing."""

import cv2
import numpy as np
import pytest
from PIL import Image

from offclip.imaging import errors, read_radiograph
from offclip.imaging.boxes import upright_boxes
from offclip.imaging.facts import image_facts
from offclip.imaging.resize import padded_square
from tests.imaging.turned import BOX, CORNERS, bright, stored


def test_an_image_is_padded_to_a_square_and_keeps_its_shape():
    image = padded_square(np.full((20, 40), 200, dtype=np.uint8), 8)
    assert image.shape == (8, 8) and image.dtype == np.uint8
    np.testing.assert_array_equal(image[2:6], 200)
    assert image[:2].max() == 0 and image[6:].max() == 0


def test_colours_palettes_and_transparency_become_grey(tmp_path):
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    options = {"P": {"transparency": 3}}
    for mode in ("P", "LA", "RGB", "RGBA", "L"):
        path = tmp_path / f"{mode}.png"
        image = Image.fromarray(grey).convert(mode)
        if mode in ("LA", "RGBA"):
            image.putalpha(7)
        image.save(path, **options.get(mode, {}))
        np.testing.assert_array_equal(read_radiograph(path), grey)
    Image.fromarray(grey > 31).save(tmp_path / "1.png")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "1.png"), 255 * (grey > 31))


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    ("highest", "bits"),
    [(200, 8), (255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16384, 16)],
)
def test_white_is_at_the_used_bits_of_sixteen(highest, bits, suffix, tmp_path):
    pixels = np.array([[0, 17, highest // 2, highest]], np.uint16)
    Image.fromarray(pixels).save(tmp_path / f"deep.{suffix}")
    expected = np.rint(pixels / (2**bits - 1) * 255)
    np.testing.assert_array_equal(read_radiograph(tmp_path / f"deep.{suffix}"), expected)
    known = read_radiograph(tmp_path / f"deep.{suffix}", bits=16)
    np.testing.assert_array_equal(known, np.rint(pixels / 257))


@pytest.mark.parametrize(("marker", "outliers"), [(4096, 1), (65535, 1), (65535, 20)])
def test_outliers_do_not_darken_the_image(marker, outliers, tmp_path):
    pixels = np.tile(np.arange(64, dtype=np.uint16) * 65, (48, 1))  # 12 bits
    expected = np.rint(pixels / 4095 * 255)
    pixels.flat[:outliers], expected.flat[:outliers] = marker, 255
    Image.fromarray(pixels).save(tmp_path / "marked.png")
    np.testing.assert_array_equal(read_radiograph(tmp_path / "marked.png"), expected)
    with pytest.raises(ValueError, match="marked.png: expected values of 8 bits, got up to"):
        read_radiograph(tmp_path / "marked.png", bits=8)
    with pytest.raises(ValueError, match="bits: expected a whole number from 1 to 16, got 17"):
        read_radiograph(tmp_path / "marked.png", bits=17)


def test_deep_colours_and_alpha_keep_all_bits(tmp_path):
    """Pillow would cut them to the upper 8 bits: 16 grey levels of 12-bit values."""
    pixels = np.tile(np.arange(64, dtype=np.uint16) * 65, (48, 1))
    expected = np.rint(pixels / 4095 * 255)
    opaque = np.full_like(pixels, 65535)
    for channels in ([pixels] * 3, [pixels] * 3 + [opaque]):
        cv2.imwrite(str(tmp_path / "deep.png"), np.dstack(channels))
        np.testing.assert_array_equal(read_radiograph(tmp_path / "deep.png"), expected)


def test_white_is_zero_in_some_tiff_files(tmp_path):
    pixels = np.array([[0, 30_000, 65_535]], np.uint16)
    Image.fromarray(pixels).save(tmp_path / "deep.tif", tiffinfo={262: 0})
    assert read_radiograph(tmp_path / "deep.tif").tolist() == [[255, 138, 0]]


def test_sixteen_bits_are_what_opencv_makes_of_them(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 65536, (40, 30)).astype(np.uint16)
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    cut = cv2.imread(str(tmp_path / "deep.png"), cv2.IMREAD_GRAYSCALE)
    assert np.abs(read_radiograph(tmp_path / "deep.png").astype(int) - cut).max() <= 1


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_on_its_side_is_turned_upright(suffix, tmp_path):
    grey = np.zeros((32, 16), np.uint8)
    grey[:8] = 240  # the top
    orientation = Image.Exif()
    orientation[0x0112] = 6  # turn by 90° clockwise to show
    path = tmp_path / f"turned.{suffix}"
    Image.fromarray(np.rot90(grey)).save(path, exif=orientation)
    turned = read_radiograph(path)
    assert turned.shape == (32, 16) and np.abs(turned.astype(int) - grey).max() < 20


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("scale", [1, 2])
def test_boxes_turn_with_the_picture(scale, orientation, suffix, tmp_path):
    """Painted into the image as stored, inside its box as read; the table may have its own size."""
    path, box = stored(tmp_path / f"a.{suffix}", orientation), dict(BOX)
    for name in ("x_min", "x_max"):
        box[name] *= scale  # the table's image is wider than the file's, for scale 2
    facts, grey = image_facts(path), read_radiograph(path)
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
    assert read_radiograph(tmp_path / "deep.png").tolist() == [[0, 255], [117, 0]]


def test_what_cannot_be_read_is_named(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    image = Image.fromarray(noise)
    image.save(tmp_path / "whole.png")
    (tmp_path / "words.png").write_bytes(b"not an image")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    (tmp_path / "folder.png").mkdir()
    Image.new("CMYK", (8, 8)).save(tmp_path / "ink.jpg")
    Image.fromarray(noise.astype(np.float32)).save(tmp_path / "fractions.tif")
    Image.fromarray(noise.astype(np.int32) - 9).save(tmp_path / "signed.tif")
    image.save(tmp_path / "pages.tif", save_all=True, append_images=[image])
    image.save(tmp_path / "side.tif", tiffinfo={274: 6})
    for name, cause in {
        "words.png": "expected a DICOM, PNG or JPEG", "cut.png": "expected a DICOM, PNG or JPEG",
        "folder.png": "expected a DICOM, PNG or JPEG", "ink.jpg": "or a palette, got CMYK",
        "fractions.tif": "or a palette, got F", "signed.tif": "expected values of 0 to 65535",
        "pages.tif": "expected one image, got 2", "side.tif": "expected an upright TIFF",
    }.items():  # fmt: skip
        with pytest.raises(ValueError, match=rf"{name}: .*{cause}") as refused:
            read_radiograph(tmp_path / name)
        assert "\n" not in str(refused.value)
    with pytest.raises(FileNotFoundError, match="none.png"):
        read_radiograph(tmp_path / "none.png")


def test_a_size_beyond_any_radiograph_is_refused_before_pixels_are_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(errors, "MAX_PIXELS", 63)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "large.png")
    for read in (read_radiograph, image_facts):
        with pytest.raises(ValueError, match="large.png: expected 1 to 63 pixels, got 8 × 8"):
            read(tmp_path / "large.png")


def test_equalised_images_share_a_histogram_whatever_their_brightness():
    generator = np.random.default_rng(0)
    pixels = generator.normal(90, 8, (64, 128)).astype(np.uint8)
    equalised = []
    for change in (pixels, (1.5 * pixels + 60).astype(np.uint8)):
        equalised.append(padded_square(change, 64, equalise=True))
    for image in equalised:
        assert not image[:16].any() and not image[48:].any()  # padding stays black
        counts = np.histogram(image[16:48], bins=8, range=(0, 256))[0]
        assert np.abs(counts - 32 * 64 / 8).max() < 150
    assert (
        np.abs(equalised[0].astype(int) - equalised[1].astype(int)).mean() < 4
    )  # of 255; 105 apart as they were
