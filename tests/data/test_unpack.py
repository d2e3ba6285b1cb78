"""Archives of others: what is unpacked, and every kind that is refused with nothing left behind."""

import gzip
import io
import shutil
import stat
import tarfile
import zipfile

import numpy as np
import pytest

from offclip.data import unpack as module
from offclip.data.unpack import unpack

FILES = {"images/00000001_000.png": b"first" * 5000, "images/more/2.png": b"second", "a.txt": b""}


def tar(path, members):
    """Members: (name, content) or a TarInfo."""
    with tarfile.open(path, "w:gz") as archive:
        for each in members:
            if isinstance(each, tarfile.TarInfo):
                archive.addfile(each)
                continue
            member = tarfile.TarInfo(each[0])
            member.size = len(each[1])
            archive.addfile(member, io.BytesIO(each[1]))
    return path


def zipped(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def special(kind, target=""):
    member = tarfile.TarInfo("images/odd.png")
    member.type, member.linkname = kind, target
    return member


def found(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refused(path, message):
    folder = path.parent / "out"
    with pytest.raises(ValueError, match=message):
        unpack(path, folder)
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name]


@pytest.mark.parametrize("name", ["set.tgz", "set.tar.gz", "set.zip"])
def test_whole_and_only_once(name, tmp_path):
    make = zipped if name.endswith("zip") else tar
    archive = make(tmp_path / name, [("./" + each, data) for each, data in FILES.items()])
    folder = tmp_path / "deep" / "set"
    assert unpack(archive, folder) == folder and found(folder) == FILES
    (folder / "a.txt").write_text("mine")
    assert found(unpack(archive, folder))["a.txt"] == b"mine"
    assert [each.name for each in folder.parent.iterdir()] == ["set"]


def test_folders_of_the_archive_are_made(tmp_path):
    folder = tarfile.TarInfo("empty/")
    folder.type = tarfile.DIRTYPE
    assert (unpack(tar(tmp_path / "a.tgz", [folder]), tmp_path / "a") / "empty").is_dir()
    assert (unpack(zipped(tmp_path / "b.zip", [("e/", b"")]), tmp_path / "b") / "e").is_dir()


def test_what_a_killed_run_left_is_replaced(tmp_path):
    begun = tmp_path / "out.unpacking"
    begun.mkdir()
    (begun / "half.png").write_bytes(b"half")
    archive = tar(tmp_path / "set.tgz", FILES.items())
    assert found(unpack(archive, tmp_path / "out")) == FILES and not begun.exists()


@pytest.mark.parametrize("name", ["../x.png", "images/../../x.png", "/tmp/x.png", "a\\..\\x.png",
                                  "C:x.png"])  # fmt: skip
@pytest.mark.parametrize("make", [tar, zipped])
def test_names_that_lead_out(make, name, tmp_path):
    ending = "zip" if make is zipped else "tgz"
    refused(make(tmp_path / f"set.{ending}", [("good.png", b"x"), (name, b"x")]), "leads out")


@pytest.mark.parametrize(
    "member",
    [
        special(tarfile.SYMTYPE, "/etc/passwd"),
        special(tarfile.SYMTYPE, "good.png"),
        special(tarfile.LNKTYPE, "../../x"),
        special(tarfile.CHRTYPE),
        special(tarfile.FIFOTYPE),
    ],
    ids=["link out", "link in", "hard link", "device", "pipe"],
)
def test_members_that_are_no_files(member, tmp_path):
    refused(tar(tmp_path / "set.tgz", [("good.png", b"x"), member]), "odd.png' is a link, a device")


def test_zip_members_that_are_no_files(tmp_path):
    link = zipfile.ZipInfo("odd.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(zipped(tmp_path / "set.zip", [(link, "/etc/passwd")]), "odd.png' is a link")
    data = bytearray(zipped(tmp_path / "set.zip", [("odd.png", b"x")]).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the directory says that it is encrypted
    (tmp_path / "set.zip").write_bytes(data)
    refused(tmp_path / "set.zip", "odd.png' is .* encrypted")


@pytest.mark.parametrize("second", ["a.png", "./a.png", "a.png/b.png"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("make", [tar, zipped])
def test_names_that_come_twice(make, second, tmp_path):
    ending = "zip" if make is zipped else "tgz"
    refused(make(tmp_path / f"set.{ending}", [("a.png", b"x"), (second, b"y")]), "in it twice")


@pytest.mark.parametrize("name", ["set.tgz", "set.zip"])
def test_damage(name, tmp_path):
    make, noise = (zipped if name == "set.zip" else tar), np.random.default_rng(0)
    content = [(f"{n}.png", noise.bytes(20_000)) for n in range(4)]
    whole = make(tmp_path / name, content).read_bytes()
    damaged = [whole[:cut] for cut in (0, 1, 40, len(whole) // 2, len(whole) - 30, len(whole) - 4)]
    for place in noise.integers(30_000, 70_000, 8):
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        damaged.append(bytes(flipped))
    for data in [*damaged, b"<html>Not Found</html>"]:
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, "damaged one .*fetch it again")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2], ids=["lzma", "bzip2"])
def test_damage_under_other_methods(method, tmp_path):
    noise = np.random.default_rng(0)
    archive = zipped(tmp_path / "set.zip", [("a.png", noise.bytes(20_000))], method)
    whole = archive.read_bytes()
    assert unpack(archive, tmp_path / "out").is_dir()
    shutil.rmtree(tmp_path / "out")
    for place in (50, 60, *noise.integers(100, 19_000, 8)):
        archive.write_bytes(whole[:place] + bytes(20) + whole[place + 20 :])
        refused(archive, "damaged one .*fetch it again")


def test_a_method_that_nobody_knows_is_damage(tmp_path):
    archive = zipped(tmp_path / "set.zip", [("a.png", b"x")])
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 10] = 77
    archive.write_bytes(data)
    refused(archive, "damaged one .*compression method")


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()
    assert found(unpack(tar(tmp_path / "set.tgz", FILES.items()), tmp_path / "out")) == FILES


def test_bombs(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 100_000)
    refused(tar(tmp_path / "set.tgz", [("a.png", bytes(5_000_000))]), "at most .* made to fill")
    (tmp_path / "set.tgz").unlink()
    refused(zipped(tmp_path / "set.zip", [("a.png", bytes(5_000_000))]), "at most .* made to fill")
    monkeypatch.setattr(module, "MEMBER_LIMIT", 10)
    members = [(f"{number}.png", b"") for number in range(11)]
    refused(zipped(tmp_path / "set.zip", members), "at most 10 files")


def test_a_header_that_would_fill_the_memory(tmp_path):
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 200_000_000
    with gzip.open(tmp_path / "set.tgz", "wb", 1) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(200):
            file.write(bytes(1_000_000))
    refused(tmp_path / "set.tgz", "damaged one .a header of 200000000 bytes")


def test_a_full_disk(tmp_path, monkeypatch):
    archive = tar(tmp_path / "set.tgz", FILES.items())

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module.shutil, "copyfileobj", full)
        with pytest.raises(OSError, match="could not write .*out: No space left.*run again"):
            unpack(archive, tmp_path / "out")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(OSError, match="could not write"):
        unpack(archive, tmp_path / "out")
    assert [each.name for each in tmp_path.iterdir()] == ["set.tgz"]


def test_another_ending(tmp_path):
    (tmp_path / "set.rar").write_bytes(b"Rar!")
    refused(tmp_path / "set.rar", "expected one of .tar.gz, .tgz, .zip")
