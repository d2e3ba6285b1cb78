"""One file over HTTP, whatever happens to the connection, and the unpacking of archives."""

import hashlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from unittest.mock import MagicMock

import numpy as np
import pytest

from offclip.data import download as module
from offclip.data.download import download, unpack
from tests.data.web import Reply, Web

BYTES = 300_000
CONTENT = np.random.default_rng(0).bytes(BYTES)
FILES = {"images/00000001_000.png": b"first" * 5000, "images/more/2.png": b"second", "a.txt": b""}


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Web()
    server.files["set.tgz"] = CONTENT
    yield server
    server.close()


@pytest.fixture
def waits(monkeypatch):
    """Seconds that were waited, without waiting."""
    seconds = []
    monkeypatch.setattr(time, "sleep", seconds.append)
    return seconds


def digest(data, algorithm="sha256"):
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_whole(web, tmp_path, waits, capfd):
    target = tmp_path / "deep" / "set.tgz"
    assert download(web.url("set.tgz"), target) == target
    assert target.read_bytes() == CONTENT and left(target.parent) == ["set.tgz"]
    (_, headers), *more = web.asked
    assert not more and not waits
    assert headers["User-Agent"].startswith("offclip/") and headers["Accept-Encoding"] == "identity"
    out, err = capfd.readouterr()
    assert err == "" and out.startswith("fetching http://127")  # the bar is for terminals


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_file_that_is_there_is_verified_and_not_fetched_again(algorithm, web, tmp_path):
    known = digest(CONTENT, algorithm)
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", digest=known)
    assert download(web.url("set.tgz"), target, digest=known) == target and len(web.asked) == 1
    target.write_bytes(CONTENT[:-1])
    assert download(web.url("set.tgz"), target, digest=known).read_bytes() == CONTENT
    assert len(web.asked) == 2


def test_a_broken_connection_is_continued(web, tmp_path, waits):
    web.replies.extend(Reply(cut=cut) for cut in (100_000, 50_000, 0, 0, 0, 20_000, 0))
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", size=BYTES)
    assert target.read_bytes() == CONTENT and left(tmp_path) == ["set.tgz"]
    assert web.starts() == [0, 100_000, *[150_000] * 4, 170_000, 170_000]
    assert waits == [1, 1, 2, 4, 8, 1, 2]


def test_it_gives_up_and_a_later_call_continues(web, tmp_path, waits):
    web.replies.extend([Reply(cut=90_000)] + [Reply(cut=0)] * 5)
    target = tmp_path / "set.tgz"
    with pytest.raises(ConnectionError, match="90000 bytes are kept: run again to continue"):
        download(web.url("set.tgz"), target)
    assert left(tmp_path) == ["set.tgz.part"]
    assert download(web.url("set.tgz"), target).read_bytes() == CONTENT
    assert web.starts()[-1] == 90_000 and left(tmp_path) == ["set.tgz"]


def test_a_silent_server_gets_another_request(web, tmp_path, waits, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUTS", (5.0, 0.3))
    web.replies.append(Reply(stall=70_000))
    target = download(web.url("set.tgz"), tmp_path / "set.tgz")
    assert target.read_bytes() == CONTENT and web.starts() == [0, module.CHUNK]


INTERRUPTED = """
import sys
from offclip.data.download import download
download(sys.argv[1], sys.argv[2])
"""


def test_a_killed_process_is_continued_by_another_one(web, tmp_path):
    web.replies.append(Reply(stall=120_000))
    target, part = tmp_path / "set.tgz", tmp_path / "set.tgz.part"
    command = [sys.executable, "-c", INTERRUPTED, web.url("set.tgz"), str(target)]
    with subprocess.Popen(command, env={**os.environ, "NO_PROXY": "127.0.0.1"}) as process:
        assert web.stalled.wait(60)
        while not part.exists() or part.stat().st_size == 0:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    had = part.stat().st_size
    assert not target.exists()
    assert download(web.url("set.tgz"), target).read_bytes() == CONTENT
    assert 0 < had == web.starts()[-1]


def test_a_part_that_is_whole_needs_no_server(tmp_path):
    (tmp_path / "set.tgz.part").write_bytes(CONTENT)
    target = download("http://127.0.0.1:9/x", tmp_path / "set.tgz", size=BYTES)
    assert target.read_bytes() == CONTENT


def test_without_ranges_it_begins_again(web, tmp_path, waits):
    web.replies.append(Reply(cut=100_000))
    web.always = Reply(ranges=False)
    target = download(web.url("set.tgz"), tmp_path / "set.tgz")
    assert target.read_bytes() == CONTENT and web.starts() == [0, 100_000]


def test_a_file_that_became_shorter_is_fetched_from_its_beginning(web, tmp_path, waits):
    web.replies.extend([Reply(cut=100_000), Reply(status=416)])
    target = download(web.url("set.tgz"), tmp_path / "set.tgz")
    assert target.read_bytes() == CONTENT and web.starts() == [0, 100_000, 0]


def test_a_part_of_another_file_fails_the_checksum_once(web, tmp_path):
    (tmp_path / "set.tgz.part").write_bytes(b"of something else")
    with pytest.raises(ValueError, match=r"set\.tgz: checksum mismatch .*Run again") as caught:
        download(web.url("set.tgz"), tmp_path / "set.tgz", digest=digest(CONTENT))
    assert digest(CONTENT) in str(caught.value) and left(tmp_path) == []
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", digest=digest(CONTENT))
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 410, 500])
def test_a_refusal_is_named(status, web, tmp_path, waits):
    web.always = Reply(status=status)
    with pytest.raises(ConnectionError, match=f"HTTP {status}.*see how_to_get"):
        download(web.url("set.tgz"), tmp_path / "set.tgz")
    assert len(web.asked) == (1 + module.ATTEMPTS if status == 500 else 1)
    assert left(tmp_path) == []


def test_a_busy_server_gets_the_pause_that_it_names(web, tmp_path, waits):
    web.replies.append(Reply(status=503, headers={"Retry-After": "7"}))
    download(web.url("set.tgz"), tmp_path / "set.tgz")
    assert waits == [7] and len(web.asked) == 2


def test_a_redirect_keeps_the_range(web, tmp_path, waits):
    elsewhere = Reply(status=302, headers={"Location": web.url("set.tgz")}, body=b"")
    web.replies.extend([elsewhere, Reply(cut=100_000), elsewhere])
    target = download(web.url("static/a1b2.gz"), tmp_path / "set.tgz")
    assert target.read_bytes() == CONTENT
    assert web.starts() == [0, 0, 100_000, 100_000]


def test_no_connection_at_all_fails_at_once(tmp_path, waits):
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:9.*refused"):
        download("http://127.0.0.1:9/set.tgz", tmp_path / "set.tgz")
    assert not waits and left(tmp_path) == []


def test_an_archive_is_not_unzipped_on_the_way(web, tmp_path):
    web.always = Reply(headers={"Content-Encoding": "gzip"})
    target = download(web.url("set.tgz"), tmp_path / "set.tgz")
    assert target.read_bytes() == CONTENT


def test_another_size_is_refused_before_the_file_comes(web, tmp_path):
    with pytest.raises(ConnectionError, match="expected 299999 bytes, the server offers 300000"):
        download(web.url("set.tgz"), tmp_path / "set.tgz", size=BYTES - 1)
    assert left(tmp_path) == []


def test_a_full_disk_is_noticed_before_the_file_comes(web, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, BYTES - 1))
    with pytest.raises(OSError, match="could not write .*free some space"):
        download(web.url("set.tgz"), tmp_path / "set.tgz")


def test_a_disk_that_fills_up_keeps_what_came(web, tmp_path, monkeypatch):
    full = MagicMock()
    full.__enter__.return_value.write.side_effect = OSError(28, "No space left on device")
    full.__exit__.return_value = None
    opened = module.Path.open

    def open_or_full(path, mode="r", *more, **options):
        return full if mode == "wb" else opened(path, mode, *more, **options)

    with monkeypatch.context() as patched:
        patched.setattr(module.Path, "open", open_or_full)
        with pytest.raises(OSError, match="could not write .*part: No space left.*run again"):
            download(web.url("set.tgz"), tmp_path / "set.tgz")
    assert download(web.url("set.tgz"), tmp_path / "set.tgz").exists()


def tarred(path, members):
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


def zipped(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def files_of(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refused(path):
    with pytest.raises(ValueError, match="damaged or unsafe one .*; delete it and fetch it again"):
        unpack(path, path.parent / "out")
    assert left(path.parent) == [path.name]


@pytest.mark.parametrize("name", ["set.tgz", "set.tar.gz", "set.zip"])
def test_unpacked_whole(name, tmp_path):
    make = zipped if name.endswith("zip") else tarred
    archive = make(tmp_path / name, [("./" + each, data) for each, data in FILES.items()])
    folder = tmp_path / "deep" / "set"
    (tmp_path / "deep" / "set.unpacking").mkdir(parents=True)  # by a process that was killed
    (tmp_path / "deep" / "set.unpacking" / "half.png").touch()
    folder.mkdir()
    assert unpack(archive, folder) == folder and files_of(folder) == FILES
    assert left(folder.parent) == ["set"]


@pytest.mark.parametrize("name", ["../x.png", "images/../../x.png", "/{folder}/x.png"])
@pytest.mark.parametrize("make", [tarred, zipped])
def test_nothing_is_written_outside_of_the_folder(make, name, tmp_path):
    (tmp_path / "archive").mkdir()
    ending = "zip" if make is zipped else "tgz"
    name = name.format(folder=tmp_path)
    archive = make(tmp_path / "archive" / f"set.{ending}", [(name, b"x")])
    try:
        unpack(archive, tmp_path / "archive" / "out")
    except ValueError as error:
        assert "unsafe" in str(error)
        assert left(tmp_path / "archive") == [archive.name]
    assert left(tmp_path) == ["archive"]
    assert set(left(tmp_path / "archive")) <= {archive.name, "out"}


@pytest.mark.parametrize(
    ("kind", "target"),
    [(tarfile.SYMTYPE, "/etc/passwd"), (tarfile.LNKTYPE, "../../x"), (tarfile.CHRTYPE, "")],
    ids=["link out", "hard link", "device"],
)
def test_links_out_of_the_folder_and_devices_are_refused(kind, target, tmp_path):
    member = tarfile.TarInfo("images/odd.png")
    member.type, member.linkname = kind, target
    refused(tarred(tmp_path / "set.tgz", [("good.png", b"x"), member]))


@pytest.mark.parametrize("name", ["set.tgz", "set.zip"])
def test_damage_leaves_nothing_behind(name, tmp_path):
    make, noise = (zipped if name == "set.zip" else tarred), np.random.default_rng(0)
    content = [(f"{n}.png", noise.bytes(20_000)) for n in range(4)]
    whole = make(tmp_path / name, content).read_bytes()
    for data in [whole[:0], whole[:40], whole[: len(whole) // 2], b"<html>Not Found</html>"]:
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name)


def test_an_empty_archive_and_another_ending_are_refused(tmp_path):
    refused(zipped(tmp_path / "set.zip", []))
    (tmp_path / "set.zip").unlink()
    (tmp_path / "set.rar").write_bytes(b"Rar!")
    refused(tmp_path / "set.rar")


def test_a_full_disk_while_unpacking(tmp_path, monkeypatch):
    archive = tarred(tmp_path / "set.tgz", FILES.items())

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module.shutil, "unpack_archive", full)
        with pytest.raises(OSError, match="could not write .*out: No space left.*run again"):
            unpack(archive, tmp_path / "out")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 0))
    with pytest.raises(OSError, match="could not write"):
        unpack(archive, tmp_path / "out")
    assert left(tmp_path) == ["set.tgz"]
