"""Keys change with what they name, and with nothing else."""

import os
import shutil
from pathlib import Path

import pytest

from offclip import keys
from offclip.keys import (
    BLOCK,
    WHOLE,
    code_version,
    file_fingerprint,
    fingerprint_inside,
    tree_fingerprint,
)

uncached = code_version.__wrapped__
PACKAGE = Path(__file__).resolve().parents[1] / "offclip"


@pytest.mark.parametrize("size", [10, WHOLE, 50 * BLOCK])
def test_a_fingerprint_sees_size_time_and_bytes(tmp_path, size):
    path = tmp_path / "a"
    path.write_bytes(bytes(size))
    state, first = path.stat(), file_fingerprint(path)
    assert first == file_fingerprint(path) != ""
    for place in (0, size // 2 if size <= WHOLE else BLOCK // 2, size - 1):
        content = bytearray(size)
        content[place] = 1
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert file_fingerprint(path) != first
    path.write_bytes(bytes(size))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert file_fingerprint(path) == first
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    assert file_fingerprint(path) != first


def test_what_is_no_file_has_no_fingerprint(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "loop").symlink_to(tmp_path / "root" / "loop")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "secret")
    (tmp_path / "secret").write_text("x")
    for path in (tmp_path, tmp_path / "gone", tmp_path / "pipe", tmp_path / ("n" * 999), "a\0b"):
        assert file_fingerprint(path) == ""
    for name in ("loop", "link", "../secret"):
        assert fingerprint_inside(tmp_path / "root", name) == ""


def test_a_tree_is_its_names_and_files(tmp_path):
    (tmp_path / "t" / "deep").mkdir(parents=True)
    (tmp_path / "t" / "a").write_text("1")
    (tmp_path / "t" / "deep" / "b").write_text("2")
    first = tree_fingerprint(tmp_path / "t")
    assert tree_fingerprint(tmp_path / "t", only=lambda name: name != "c") == first
    (tmp_path / "t" / "c").write_text("3")
    assert tree_fingerprint(tmp_path / "t") != first
    assert tree_fingerprint(tmp_path / "t", only=lambda name: name != "c") == first
    (tmp_path / "t" / "c").unlink()
    (tmp_path / "t" / "a").rename(tmp_path / "t" / "d")
    assert tree_fingerprint(tmp_path / "t") != first
    assert tree_fingerprint(tmp_path / "gone") == ""


def test_a_version_follows_imports_and_ignores_comments(tmp_path, monkeypatch):
    package = tmp_path / "offclip"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    modules = ("offclip.study.run", "offclip.data.cache", "offclip.data.texts")
    before = [code_version(each) for each in modules]
    monkeypatch.setattr(keys, "_PACKAGE", package)
    assert len(set(before)) == 3 and before == [uncached(each) for each in modules]

    def changed(name, old, new):
        path = package / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        os.utime(path, (0, 0))  # edited before this process began
        after = [uncached(each) for each in modules]
        path.write_text(text)
        os.utime(path, (0, 0))
        return [a != b for a, b in zip(after, before, strict=True)]

    comment = "\n# a comment\n\n\n"
    assert changed("losses/cross_entropy.py", "\nimport torch", comment + "import torch") == [
        False, False, False,
    ]  # fmt: skip
    loss = (package / "losses" / "cross_entropy.py").read_text()
    assert changed("losses/cross_entropy.py", loss[:40], '"""Another docstring' + loss[3:40]) == [
        False, False, False,
    ]  # fmt: skip
    assert changed("losses/cross_entropy.py", " / 2", " / 3") == [True, False, False]
    assert changed("imaging/resize.py", "CROP = 256", "CROP = 255") == [True, True, False]
    os.utime(package / "text" / "prompts.py")  # now: whoever imported it may run other code
    assert [uncached(each) != old for each, old in zip(modules, before, strict=True)] == [
        True, False, True,
    ]  # fmt: skip
    os.utime(package / "text" / "prompts.py", (0, 0))
    assert changed("text/prompts.py", "\nimport", "\nONE = 1\nimport") == [True, False, True]
    assert changed("text/data/finding_nouns.txt", " mass ", " ") == [True, False, True]


def test_only_modules_of_the_package_have_a_version():
    for name in ("numpy", "offclip.nothing", "", "os.path"):
        with pytest.raises(ValueError, match="module: expected the full name of a module"):
            code_version(name)
