"""One file over HTTP: every way in which a server fails, and that what is kept is right."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from unittest.mock import MagicMock

import numpy as np
import pytest
import requests

from offclip.data import download as module
from offclip.data.download import Patience, download
from tests.data.web import Reply, Web

BYTES = 300_000


@pytest.fixture
def web(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Web()
    server.files["set.tgz"] = content(0)
    yield server
    server.close()


@pytest.fixture
def waits():
    return []


@pytest.fixture
def patience(waits):
    return Patience(tries=4, timeouts=(5.0, 5.0), sleep=waits.append)


def content(seed):
    return np.random.default_rng(seed).bytes(BYTES)


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def left(folder):
    return sorted(path.name for path in folder.iterdir())


def test_whole(web, tmp_path, patience, waits, capfd):
    target = tmp_path / "deep" / "set.tgz"
    assert download(web.url("set.tgz"), target, patience=patience) == target
    assert target.read_bytes() == content(0) and left(target.parent) == ["set.tgz"]
    (_, headers), *more = web.asked
    assert not more and not waits
    assert headers["User-Agent"].startswith("offclip/") and headers["Accept-Encoding"] == "identity"
    assert capfd.readouterr().err == ""  # the bar is for terminals


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_what_is_there_is_verified_and_not_asked_for_again(algorithm, web, tmp_path, patience):
    begun = []
    known = f"{algorithm}:{hashlib.new(algorithm, content(0)).hexdigest()}"
    options = {"digest": known, "before": lambda: begun.append(1), "patience": patience}
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", **options)
    assert download(web.url("set.tgz"), target, **options) == target
    assert len(web.asked) == len(begun) == 1
    target.write_bytes(content(0)[:-1])
    assert download(web.url("set.tgz"), target, **options).read_bytes() == content(0)
    assert len(web.asked) == len(begun) == 2


@pytest.mark.parametrize("length", [True, False], ids=["length", "no length"])
def test_cut_connections_go_on_where_they_were(length, web, tmp_path, patience, waits):
    web.replies.extend(Reply(cut=cut, length=length) for cut in (100_000, 50_000, 0))
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", size=BYTES, patience=patience)
    assert target.read_bytes() == content(0) and left(tmp_path) == ["set.tgz"]
    assert web.starts() == [0, 100_000, 150_000, 150_000]
    assert all("If-Range" in headers for _, headers in web.asked[1:])
    assert waits == [2, 4, 8]


def test_a_try_that_brings_much_is_no_failure(web, tmp_path, patience, waits, monkeypatch):
    monkeypatch.setattr(module, "PROGRESS", 10_000)
    web.replies.extend([Reply(cut=20_000)] * 12)
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert target.read_bytes() == content(0) and len(web.asked) == 13
    assert waits == [2] * 12


def test_it_gives_up_and_a_later_call_goes_on(web, tmp_path, patience):
    web.replies.extend([Reply(cut=90_000)] + [Reply(cut=0)] * 3)
    target = tmp_path / "set.tgz"
    with pytest.raises(ConnectionError, match="cut after 90000 of 300000 bytes, what came is kept"):
        download(web.url("set.tgz"), target, patience=patience)
    assert left(tmp_path) == ["set.tgz.part", "set.tgz.part.json"]
    assert download(web.url("set.tgz"), target, patience=patience).read_bytes() == content(0)
    assert web.starts()[-1] == 90_000 and left(tmp_path) == ["set.tgz"]


def test_a_silent_server_is_left_and_asked_again(web, tmp_path, waits):
    web.replies.append(Reply(stall=70_000))
    patience = Patience(timeouts=(5.0, 0.3), sleep=waits.append)
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert target.read_bytes() == content(0) and web.starts() == [0, module.CHUNK]


INTERRUPTED = """
import sys
from offclip.data.download import download
download(sys.argv[1], sys.argv[2])
"""


def test_a_killed_process_and_another_one(web, tmp_path, patience):
    web.replies.append(Reply(stall=120_000))
    target = tmp_path / "set.tgz"
    command = [sys.executable, "-c", INTERRUPTED, web.url("set.tgz"), str(target)]
    with subprocess.Popen(command, env={**os.environ, "NO_PROXY": "127.0.0.1"}) as process:
        assert web.stalled.wait(60)
        part = tmp_path / "set.tgz.part"
        while not part.exists() or part.stat().st_size == 0:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    had = part.stat().st_size
    assert not target.exists()
    assert download(web.url("set.tgz"), target, patience=patience).read_bytes() == content(0)
    assert 0 < had == web.starts()[-1]


def test_all_came_but_the_process_died_before_the_end(web, tmp_path, patience):
    target, part = tmp_path / "set.tgz", tmp_path / "set.tgz.part"
    web.replies.extend([Reply(cut=BYTES - 1)] + [Reply(cut=0)] * 3)
    with pytest.raises(ConnectionError):
        download(web.url("set.tgz"), target, patience=patience)
    part.write_bytes(content(0))
    asked = len(web.asked)
    assert download(web.url("set.tgz"), target, patience=patience).read_bytes() == content(0)
    assert len(web.asked) == asked


@pytest.mark.parametrize("note", ["", "{", "[]", "{}", '{"url": "http://elsewhere/set.tgz"}'])
def test_a_part_of_unknown_origin_is_not_continued(note, web, tmp_path, patience):
    (tmp_path / "set.tgz.part").write_bytes(b"of something else")
    (tmp_path / "set.tgz.part.json").write_text(note.replace("http://elsewhere", web.url("")[:-1]))
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert target.read_bytes() == content(0) and web.starts() == [0]


def test_without_ranges_it_begins_anew(web, tmp_path, patience):
    web.replies.append(Reply(cut=100_000))
    web.always = Reply(ranges=False)
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert target.read_bytes() == content(0) and web.starts() == [0, 100_000]


@pytest.mark.parametrize("honest", [True, False], ids=["If-Range", "no If-Range"])
def test_a_file_that_changed_meanwhile_is_not_mixed(honest, web, tmp_path, waits):
    changed = content(1)

    def change(_seconds):
        waits.append(_seconds)
        web.files["set.tgz"] = changed

    web.replies.append(Reply(cut=100_000))
    web.always = Reply(if_range=honest)
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", patience=Patience(sleep=change))
    assert target.read_bytes() == changed
    assert len(waits) == (1 if honest else 2)


def test_a_file_that_became_shorter(web, tmp_path, patience):
    web.replies.extend([Reply(cut=100_000), Reply(status=416)])
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert target.read_bytes() == content(0) and web.starts() == [0, 100_000, 0]


def test_without_marks_only_a_digest_allows_to_go_on(web, tmp_path, patience):
    web.always = Reply(marks=())
    web.replies.append(Reply(cut=100_000, marks=()))
    download(web.url("set.tgz"), tmp_path / "a.tgz", patience=patience)
    assert web.starts() == [0, 0]
    web.replies.append(Reply(cut=100_000, marks=()))
    known = digest(content(0))
    download(web.url("set.tgz"), tmp_path / "b.tgz", digest=known, patience=patience)
    assert web.starts() == [0, 0, 0, 100_000]


def test_a_weak_mark_is_not_asked_with(web, tmp_path, patience):
    web.replies.append(Reply(cut=9, marks=("Last-Modified",), headers={"ETag": 'W/"x"'}))
    web.always = Reply(marks=("Last-Modified",), headers={"ETag": 'W/"x"'})
    download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert web.asked[1][1]["If-Range"].endswith("GMT") and web.starts() == [0, 9]


def test_another_digest_is_named_and_nothing_is_kept(web, tmp_path, patience):
    known = digest(content(1))
    with pytest.raises(ValueError, match=r"set\.tgz: checksum mismatch .*Run again") as caught:
        download(web.url("set.tgz"), tmp_path / "set.tgz", digest=known, patience=patience)
    assert known in str(caught.value) and digest(content(0)).removeprefix("sha256:") in str(
        caught.value
    )
    assert left(tmp_path) == []


@pytest.mark.parametrize("status", [403, 404, 410, 500])
def test_a_refusal(status, web, tmp_path, patience, waits):
    web.always = Reply(status=status)
    with pytest.raises(ConnectionError, match=f"HTTP {status}"):
        download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert len(web.asked) == (4 if status == 500 else 1)
    assert waits == ([2, 4, 8] if status == 500 else []) and left(tmp_path) == []


def test_a_busy_server_is_waited_for_as_it_asks(web, tmp_path, patience, waits):
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    for plea in ("7", date, "soon"):
        web.replies.append(Reply(status=503, headers={"Retry-After": plea}))
    download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert waits[0] == 7 and 60 < waits[1] < 91 and waits[2] == 8
    web.replies.append(Reply(status=429, headers={"Retry-After": "86400"}))
    with pytest.raises(ConnectionError, match="429 .*asks to wait 86400 s; run again then"):
        download(web.url("set.tgz"), tmp_path / "again.tgz", patience=patience)


def test_a_redirect_keeps_the_range(web, tmp_path, patience):
    elsewhere = Reply(status=302, headers={"Location": web.url("set.tgz")}, body=b"")
    web.replies.extend([elsewhere, Reply(cut=100_000), elsewhere])
    target = download(web.url("static/a1b2.gz"), tmp_path / "set.tgz", patience=patience)
    assert target.read_bytes() == content(0)
    assert web.starts() == [0, 0, 100_000, 100_000]


def test_nobody_answers(tmp_path, patience, waits):
    with pytest.raises(ConnectionError, match="127.0.0.1:9.*no answer"):
        download("http://127.0.0.1:9/set.tgz", tmp_path / "set.tgz", patience=patience)
    assert not waits and left(tmp_path) == []


def test_an_archive_is_not_unzipped_on_the_way(web, tmp_path, patience):
    web.always = Reply(headers={"Content-Encoding": "gzip"})
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert target.read_bytes() == content(0)


def test_another_size_is_refused_before_it_is_read(web, tmp_path, patience):
    with pytest.raises(ConnectionError, match="expected 299999 bytes, the server offers 300000"):
        download(web.url("set.tgz"), tmp_path / "set.tgz", size=BYTES - 1, patience=patience)
    web.always = Reply(length=False, stall=BYTES)  # it is left before it falls silent
    brief = Patience(tries=1, timeouts=(5.0, 0.5))
    with pytest.raises(ConnectionError, match="expected 150000 bytes, got more; not kept"):
        download(web.url("set.tgz"), tmp_path / "set.tgz", size=BYTES // 2, patience=brief)
    web.always = Reply()
    assert left(tmp_path) == ["set.tgz.part.json"]
    assert download(
        web.url("set.tgz"), tmp_path / "set.tgz", size=BYTES, patience=patience
    ).exists()


def test_a_full_disk_is_seen_beforehand(web, tmp_path, patience, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, BYTES - 1))
    with pytest.raises(OSError, match="could not write .*Free|could not write .*free some space"):
        download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)


def test_a_disk_that_fills_up_keeps_what_came(web, tmp_path, patience, monkeypatch):
    full = MagicMock()
    full.__enter__.return_value.write.side_effect = OSError(28, "No space left on device")
    full.__exit__.return_value = None
    opened = module.Path.open

    def open_or_full(path, mode="r", *more, **options):
        return full if mode == "ab" else opened(path, mode, *more, **options)

    with monkeypatch.context() as patched:
        patched.setattr(module.Path, "open", open_or_full)
        with pytest.raises(OSError, match="could not write .*part: No space left.*run again"):
            download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience).exists()


def test_a_library_that_does_not_see_the_cut(web, tmp_path, patience, monkeypatch):
    get = requests.get

    def trusting(*arguments, **options):
        reply = get(*arguments, **options)
        reply.raw.enforce_content_length = False
        return reply

    monkeypatch.setattr(requests, "get", trusting)
    web.replies.append(Reply(cut=100_000))
    target = download(web.url("set.tgz"), tmp_path / "set.tgz", patience=patience)
    assert target.read_bytes() == content(0) and web.starts() == [0, 100_000]


def test_a_file_that_became_shorter_and_has_no_length_ends(web, tmp_path, patience, monkeypatch):
    monkeypatch.setattr(module, "PROGRESS", 10_000)
    web.replies.extend([Reply(length=False), Reply(status=416)] * 9)
    with pytest.raises(ConnectionError, match="cut after 300000 of 300001 bytes"):
        download(web.url("set.tgz"), tmp_path / "set.tgz", size=BYTES + 1, patience=patience)
    assert len(web.asked) == 5


def test_an_address_that_is_none(tmp_path, patience):
    with pytest.raises(ConnectionError, match="No host|Invalid URL"):
        download("http://", tmp_path / "set.tgz", patience=patience)
