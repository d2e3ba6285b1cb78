"""A file name at several places below the root: the set's own file, or none."""

import filecmp

import pytest

from offclip.data.readers import READERS
from offclip.data.tables import UNFINISHED, images_below
from tests.data.readers.contract import check_contract

SETS = ("nih_chestxray14", "padchest", "openi", "chestx_det10")


def reading(name, root):
    rows, counts = READERS[name](root)
    check_contract(name, rows, counts)
    return rows, counts


def write(root, files):
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)


def moved(root, image, *places):
    """The image's file at other places instead, each with another byte behind."""
    content = (root / image).read_bytes()
    (root / image).unlink()
    write(root, {place: content + bytes([n]) for n, place in enumerate(places)})


@pytest.mark.parametrize("name", SETS[:2])
def test_a_backup_never_replaces_the_published_file(name, writable_copy):
    root = writable_copy(name)
    before, counts = reading(name, root)
    for image in before["image"][before["reason"] == ""]:
        write(root, {f"a backup/{image}": b"smaller", f"zz/{image}": b"other"})
    after, again = reading(name, root)
    assert after.equals(before) and again == counts


@pytest.mark.parametrize("name", SETS)
def test_files_that_differ_and_of_which_none_is_published_are_not_guessed(name, writable_copy):
    root = writable_copy(name)
    before, counts = reading(name, root)
    chosen = before.index[before["reason"] == ""][0]
    image = before["image"][chosen]
    file = image.rpartition("/")[2]
    moved(root, image, f"a/{file}", f"b/{file}")
    rows, again = reading(name, root)
    changed = rows.index[rows["reason"] != before["reason"]]
    assert list(changed) == [chosen] and rows["reason"][chosen] == "ambiguous"
    assert again == counts | {"ambiguous": 1} or name == "padchest"  # its counts are of rows kept


def test_two_published_places_are_one_too_many(writable_copy):
    root = writable_copy("nih_chestxray14")
    image = READERS["nih_chestxray14"](root)[0]["image"][0]
    write(root, {f"images/{image.rpartition('/')[2]}": b"resized"})
    rows, counts = reading("nih_chestxray14", root)
    assert rows["reason"][0] == "ambiguous" and counts["ambiguous"] == 1


def test_padchest_without_the_column_knows_no_published_place(writable_copy):
    root = writable_copy("padchest")
    (path,) = root.glob("PADCHEST*.csv")
    path.write_text(path.read_text().replace("ImageDir", "Folder", 1))
    rows, _ = reading("padchest", root)
    chosen = rows.index[rows["reason"] == ""][0]
    write(root, {f"backup/{rows['image'][chosen]}": b"smaller"})
    assert reading("padchest", root)[0]["reason"][chosen] == "ambiguous"


def test_same_bytes_are_one_file_and_only_doubled_names_are_compared(tmp_path, monkeypatch):
    write(tmp_path, {"b/1.png": b"one", "a/1.png": b"one", "c/1.png": b"one", "c/2.png": b"two"})
    write(tmp_path, {"a/3.png": b"three", "b/3.png": b"THREE", "own/4.png": b"4", "a/4.png": b"5"})
    compared, compare = [], filecmp.cmp

    def counted(first, second, shallow=True):
        compared.append(first.name)
        return compare(first, second, shallow)

    monkeypatch.setattr(filecmp, "cmp", counted)
    places, ambiguous = images_below(tmp_path, (".png",), lambda path: path.startswith("own/"))
    assert places == {
        "1.png": "a/1.png", "2.png": "c/2.png", "3.png": "a/3.png", "4.png": "own/4.png",
    }  # fmt: skip
    assert ambiguous == {"3.png"} and sorted(set(compared)) == ["1.png", "3.png"]


def test_a_link_that_leads_nowhere_is_another_file(tmp_path):
    write(tmp_path, {"a/1.png": b"one"})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.png").symlink_to(tmp_path / "gone.png")
    assert images_below(tmp_path, (".png",))[1] == {"1.png"}


def test_what_an_unpacking_left_unfinished_is_no_image(tmp_path):
    write(tmp_path, {f"a{UNFINISHED}/1.png": b"on", "b/1.png": b"one", f"c{UNFINISHED}/2.png": b""})
    assert images_below(tmp_path, (".png",)) == ({"1.png": "b/1.png"}, set())
