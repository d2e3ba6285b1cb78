"""A file is whole or absent."""

import errno
import json

import pytest

from offclip.files import atomic_path, write_json, write_text


def test_writes_and_replaces(tmp_path):
    path = write_json(tmp_path / "deep" / "a.json", {"x": 1})
    assert json.loads(write_text(path, '{"x": 2}').read_text()) == {"x": 2}
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_text(tmp_path / "a.txt", "old")
    with pytest.raises(KeyboardInterrupt), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_names_the_file_and_the_remedy(tmp_path):
    with (
        pytest.raises(OSError, match=r"a.txt: No space left.*Free some space"),
        atomic_path(tmp_path / "a.txt"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


def test_not_a_number_is_no_json(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert not list(tmp_path.iterdir())
