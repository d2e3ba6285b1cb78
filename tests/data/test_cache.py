"""The image cache: exact pictures, every file accounted for, restartable, checksummed."""

import os
from itertools import islice

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from offclip.data import cache
from offclip.data.cache import ImageCache, write_cache
from offclip.imaging import read_radiograph
from offclip.imaging.resize import published_square


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PART", 3)
    folder, generator = tmp_path / "images", np.random.default_rng(0)
    folder.mkdir()
    for number in range(8):
        shape = (100 + 40 * number, 300)
        grey = generator.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(grey).save(folder / f"{number}.png")
    return folder


def names(count=8):
    return [f"{number}.png" for number in range(count)]


def grey(root, name):
    return np.asarray(Image.open(root / name))


def test_pictures_are_the_published_squares_by_name(root, tmp_path):
    made = write_cache(tmp_path / "cache", root, names())
    assert made.images["image"].tolist() == names() and (made.images["error"] == "").all()
    assert made.images["height"].tolist() == [100 + 40 * n for n in range(8)]
    chosen = made.rows(["5.png", "0.png", "7.png"])
    assert len(chosen) == 3
    for picture, name in zip(chosen[:], ["5.png", "0.png", "7.png"], strict=True):
        assert (picture == published_square(grey(root, name))).all()
    assert (chosen[np.array([2])][0] == chosen[2:][0]).all()
    assert made.damaged() == []
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {
        "pictures.npy", "images.parquet", "images.jsonl",
    }  # fmt: skip


def test_what_cannot_be_read_is_a_row_with_its_reason(root, tmp_path):
    (root / "zero.png").touch()
    (root / "cut.png").write_bytes((root / "1.png").read_bytes()[:400])
    (tmp_path / "outside.png").write_bytes((root / "1.png").read_bytes())
    (root / "link.png").symlink_to(tmp_path / "outside.png")
    asked = ["0.png", "zero.png", "cut.png", "link.png", "../outside.png", "gone.png"]
    made = write_cache(tmp_path / "cache", root, asked)
    errors = made.images.set_index("image")["error"]
    assert errors["0.png"] == "" and (errors[1:] != "").all()
    assert "leads out of" in errors["link.png"] and "leads out of" in errors["../outside.png"]
    assert "nothing there" in errors["gone.png"]
    assert (made.rows(["0.png"])[:] == published_square(grey(root, "0.png"))).all()
    with pytest.raises(ValueError, match="2 of 3 pictures: never.png is not in the cache;.*cut"):
        made.rows(["0.png", "cut.png", "never.png"])


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that were decoded."""
    found = []

    def read(path):
        found.append(path.name)
        return read_radiograph(path)

    monkeypatch.setattr(cache, "read_radiograph", read)
    return found


def interrupted(folder, root, asked, parts=2, before=None):
    """A call that is stopped after so many parts."""

    def stopped(function, tasks):
        yield from map(function, islice(tasks, parts))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cache(folder, root, asked, before=before, spread=stopped)
    with pytest.raises(FileNotFoundError, match="finished image cache"):
        ImageCache.read(folder)


def test_finished_parts_are_not_read_again_and_the_bytes_are_the_same(root, tmp_path, reads):
    whole = write_cache(tmp_path / "whole", root, names())
    interrupted(tmp_path / "cache", root, names())
    with (tmp_path / "cache" / cache.JOURNAL).open("a") as journal:
        journal.write('{"image": "6.png", "fault": "", "fing')  # killed while it wrote a line
    reads.clear()
    again = write_cache(tmp_path / "cache", root, names())
    assert reads == ["6.png", "7.png"]
    pd.testing.assert_frame_equal(again.images, whole.images)
    for name in ("pictures.npy", "images.parquet"):
        assert (tmp_path / "cache" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    reads.clear()
    assert write_cache(tmp_path / "cache", root, names()).images.equals(whole.images)
    assert reads == []


@pytest.mark.parametrize("lost", ["pictures.npy", "images.jsonl"])
def test_rows_without_their_array_and_the_other_way_round_are_read_again(lost, root, tmp_path):
    folder, whole = tmp_path / "cache", write_cache(tmp_path / "whole", root, names())
    interrupted(folder, root, names())
    (folder / lost).unlink()
    made = write_cache(folder, root, names())
    assert (made.pictures == whole.pictures).all() and made.damaged() == []


def test_a_copy_that_is_stopped_continues(root, tmp_path, reads):
    write_cache(tmp_path / "earlier", root, names())
    for name in ("1.png", "7.png"):
        (root / name).write_bytes((root / "3.png").read_bytes())
    reads.clear()
    interrupted(tmp_path / "cache", root, names(), before=tmp_path / "earlier")
    assert reads == ["1.png"]
    made = write_cache(tmp_path / "cache", root, names(), before=tmp_path / "earlier")
    assert made.damaged() == [] and reads == ["1.png", "7.png"]


def test_files_that_changed_or_were_mended_are_read_again(root, tmp_path, reads):
    good = (root / "4.png").read_bytes()
    (root / "4.png").write_bytes(good[:300])
    made = write_cache(tmp_path / "cache", root, names())
    assert made.images["error"].ne("").sum() == 1
    (root / "4.png").write_bytes(good)
    (root / "1.png").write_bytes((root / "7.png").read_bytes())
    reads.clear()
    made = write_cache(tmp_path / "cache", root, names())
    assert reads == ["1.png", "4.png"] and made.damaged() == []
    assert made.images.equals(write_cache(tmp_path / "fresh", root, names()).images)
    for name in ("1.png", "4.png"):
        assert (made.rows([name])[:] == published_square(grey(root, name))).all()


def test_a_copy_starts_from_an_earlier_cache_and_leaves_it_alone(root, tmp_path, reads):
    earlier = write_cache(tmp_path / "earlier", root, names())
    before = {p.name: p.read_bytes() for p in (tmp_path / "earlier").iterdir()}
    (root / "2.png").write_bytes((root / "5.png").read_bytes())
    reads.clear()
    made = write_cache(tmp_path / "new", root, names(), before=tmp_path / "earlier")
    assert reads == ["2.png"] and made.damaged() == []
    assert not made.images.equals(earlier.images)
    assert {p.name: p.read_bytes() for p in (tmp_path / "earlier").iterdir()} == before
    reads.clear()
    write_cache(tmp_path / "others", root, names(5), before=tmp_path / "earlier")
    assert reads == names(5)


def test_the_same_size_and_time_with_other_bytes_is_another_file(root, tmp_path, reads):
    write_cache(tmp_path / "cache", root, names())
    path = root / "0.png"
    state, content = path.stat(), bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    reads.clear()
    write_cache(tmp_path / "cache", root, names())
    assert reads == ["0.png"]


def test_other_code_reads_everything_again(root, tmp_path, reads, monkeypatch):
    write_cache(tmp_path / "cache", root, names())
    reads.clear()
    monkeypatch.setattr(cache, "code_version", lambda module: "other")
    write_cache(tmp_path / "cache", root, names())
    assert reads == names()


def test_no_picture_lies_under_another_name_whoever_was_interrupted(root, tmp_path):
    """One list is begun, another one begun over it, and then the first one finished."""
    folder = tmp_path / "cache"
    interrupted(folder, root, names())
    interrupted(folder, root, names()[::-1], parts=1)
    made = write_cache(folder, root, names())
    assert made.damaged() == []
    for name in names():
        assert (made.rows([name])[:] == published_square(grey(root, name))).all()


def test_another_list_of_names_makes_another_cache(root, tmp_path):
    write_cache(tmp_path / "cache", root, names())
    made = write_cache(tmp_path / "cache", root, names(4)[::-1])
    assert len(made.pictures) == 4
    assert (made.rows(["3.png"])[:] == published_square(grey(root, "3.png"))).all()


def test_damage_on_disk_is_found_and_mended_by_curating_again(root, tmp_path, reads):
    folder = tmp_path / "cache"
    write_cache(folder, root, names())
    data = bytearray((folder / "pictures.npy").read_bytes())
    data[-256 * 256 * 3 + 7] ^= 1  # in the picture before the last two
    (folder / "pictures.npy").write_bytes(data)
    assert ImageCache.read(folder).damaged() == ["5.png"]
    reads.clear()
    assert write_cache(folder, root, names()).damaged() == [] and reads == ["5.png"]
    (folder / "pictures.npy").write_bytes(data[:-1])
    with pytest.raises(ValueError, match="damaged image cache.*curate again"):
        ImageCache.read(folder)
    assert write_cache(folder, root, names()).damaged() == []
    (folder / "pictures.npy").unlink()
    assert write_cache(folder, root, names()).damaged() == []


@pytest.mark.parametrize(
    ("wrong", "message"), [([], "got none"), (["0.png", "0.png"], "'0.png' more than once")]
)
def test_bad_names_are_named(wrong, message, root, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_cache(tmp_path / "cache", root, wrong)
