"""Files of a folder: read, refused with a reason, or counted; by their content, none in silence."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from offclip.__main__ import main
from offclip.models import ImageTextModel, ModelConfig, save_model, train_tokenizer
from offclip.study.predict import image_files, left_out
from tests.imaging.dicoms import write

GREY = np.random.default_rng(0).integers(0, 256, (64, 48), dtype=np.uint8)
READ = {
    "IM0001", "IM0002", "a.png", "deep/b.jpg", "deep/.hidden", "wrong.txt", "old.tif", "old",
    "IM0003", "c.bmp", "d.gif", "e", "f", "g.pgm",
}  # fmt: skip
REFUSED = {
    "ink.jpg": "got CMYK pixels", "empty.png": "expected a DICOM, PNG or JPEG",
    "text.dcm": "expected a DICOM, PNG or JPEG", "gone.png": "got nothing there",
    "gone": "got nothing there",
}  # fmt: skip
OTHERS = {
    "notes.txt", "labels.csv", ".DS_Store", "._a.png", "DICOMDIR", "deep/dicomdir", "empty",
    "BMI.csv", "pipe", "linked",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """One file of each sort."""
    root = tmp_path / "images"
    (root / "deep").mkdir(parents=True)
    for name in ("IM0001", "IM0002"):
        write(root / name, GREY)
    image = Image.fromarray(GREY)
    formats = {
        "a.png": "PNG", "deep/b.jpg": "JPEG", "deep/.hidden": "PNG", "wrong.txt": "JPEG",
        "old.tif": "TIFF", "old": "TIFF", "IM0003": "BMP", "c.bmp": "BMP", "d.gif": "GIF",
        "e": "WEBP", "f": "JPEG2000", "g.pgm": "PPM",
    }  # fmt: skip
    for name, format_name in formats.items():
        image.save(root / name, format=format_name)
    Image.new("CMYK", (8, 8)).save(root / "ink.jpg")
    texts = {
        "notes.txt": b"Patient moved.", "labels.csv": b"image,label", ".DS_Store": b"\0\0\0\1Bud1",
        "._a.png": b"\0\5\x16\7\0\2\0\0Mac OS X", "text.dcm": b"words", "empty.png": b"",
        "empty": b"", "BMI.csv": b"BMI,age\n24,61\n",
    }  # fmt: skip
    for name, content in texts.items():
        (root / name).write_bytes(content)
    for name in ("DICOMDIR", "deep/dicomdir"):
        (root / name).write_bytes(bytes(128) + b"DICM")
    for name in ("gone", "gone.png"):
        (root / name).symlink_to(tmp_path / "nowhere")
    (root / "linked").symlink_to(tmp_path)
    os.mkfifo(root / "pipe")
    return root


def test_content_decides_what_is_an_image(folder):
    images, others = image_files([folder])
    assert images == sorted(folder / name for name in READ | REFUSED.keys())
    assert others == sorted(folder / name for name in OTHERS)
    again = image_files([folder / "notes.txt", folder, folder])
    assert again == ([folder / "notes.txt", *images], [p for p in others if p.name != "notes.txt"])


def test_every_file_is_scored_refused_or_counted(folder, tmp_path, capsys):
    torch.manual_seed(0)
    config = ModelConfig(image_size=32, image_widths=(8, 16), dim=16, heads=2)
    tokenizer = train_tokenizer(["there is edema"] * 2, length=config.text_length)
    save_model(tmp_path / "model", ImageTextModel.with_tokenizer(config, tokenizer))
    command = ["predict", "--model", str(tmp_path / "model"), "--prompt", "there is edema"]
    assert main([*command, str(folder)]) == 1
    told = capsys.readouterr()
    for name in READ:
        assert f"{folder / name} " in told.out
    assert f"{len(OTHERS)} other files left out: .DS_Store, ._a.png, BMI.csv, …" in told.out
    assert f"{len(REFUSED)} of {len(READ) + len(REFUSED)} images not scored" in told.err
    for name, reason in REFUSED.items():
        [line] = [line for line in told.err.splitlines() if f"{folder / name}: " in line]
        assert reason in line
    for name in REFUSED:
        (folder / name).unlink()
    assert main([*command, str(folder)]) == 0, "what is no image is no reason to fail"


def test_a_folder_without_an_image_says_what_is_there(tmp_path):
    with pytest.raises(ValueError, match=r"no image in this folder; 0 other files left out$"):
        image_files([tmp_path])
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(ValueError, match=r"folder; 1 other file left out: notes.txt$"):
        image_files([tmp_path])
    assert left_out([tmp_path / name for name in "abc"]) == "3 other files left out: a, b, c"


def test_a_folder_that_cannot_be_listed_is_named(folder, monkeypatch):
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)  # root may list every folder
    with pytest.raises(PermissionError, match="deep"):
        image_files([folder])


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("there is zorblax", "'zorblax'"),
        ("there is no effusion and pneumoquux", "'and', 'pneumoquux'"),
        ("effusion zorblax", "'zorblax'"),
    ],
)
def test_a_word_that_the_model_does_not_know_is_an_error(prompt, words, tmp_path, capsys):
    sizes = ModelConfig(image_size=64, image_widths=(8,), dim=8, heads=1, text_layers=1)
    tokenizer = train_tokenizer(["there is effusion", "there is no effusion"] * 2)
    save_model(tmp_path / "model", ImageTextModel.with_tokenizer(sizes, tokenizer))
    Image.fromarray(GREY).save(tmp_path / "a.png")
    command = ["predict", "--model", str(tmp_path / "model"), str(tmp_path / "a.png"), "--prompt"]
    assert main([*command, "there is Effusion"]) == 0
    capsys.readouterr()
    assert main([*command, "there is effusion", "--prompt", prompt]) == 1
    said = capsys.readouterr()
    assert f"the model's vocabulary has no {words}, as in {prompt!r}" in said.err and not said.out
