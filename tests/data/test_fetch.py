"""All files of an open set from a server to a folder that check and curate take."""

import gzip
import hashlib
import io
import sys
import tarfile
import time
import zipfile

import pytest
from PIL import Image

from offclip.cli import fetch as command
from offclip.data import fetch, load_manifest
from offclip.data.manifests import Download, parse_manifest
from offclip.data.readers import READERS
from offclip.folders import MARK
from tests.commands import run_command
from tests.data.label_files import label_file
from tests.data.synthetic import pack, report_xml
from tests.data.web import Reply, Web

module = sys.modules["offclip.data.fetch"]
STUDIES = 12


@pytest.fixture
def web(monkeypatch, tmp_path):
    """Open-I's two archives, from our own words and pictures, and a zip without a checksum."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Web()
    texts = {
        f"{n}.xml": report_xml(n, findings="Clear.", majors=("normal",)) for n in range(STUDIES)
    }
    pack(tmp_path / "reports.tgz", texts, "ecgen-radiology")
    server.files["reports"] = (tmp_path / "reports.tgz").read_bytes()
    pictures = {f"CXR{n}_1.png": picture(n) for n in range(STUDIES)} | {"Thumbs.db": b"windows"}
    server.files["images"] = tarred(pictures)
    server.files["more"] = zipped({"test_data/36204.png": picture(9)})
    yield server
    server.close()


def picture(number):
    with io.BytesIO() as file:
        Image.new("RGB", (40 + number, 50), (number, number, number)).save(file, "PNG")
        return file.getvalue()


def tarred(files):
    with io.BytesIO() as packed:
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return packed.getvalue()


def zipped(files):
    with io.BytesIO() as packed:
        with zipfile.ZipFile(packed, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return packed.getvalue()


def manifest_of(downloads):
    facts = dict.fromkeys(("title", "licence", "licence_url", "citation"), "x")
    made = parse_manifest({"name": "openi", "access": "open-no-derivatives", **facts})
    return type(made)(**{**vars(made), "downloads": downloads})


@pytest.fixture
def downloads(web):
    images, reports = web.files["images"], web.files["reports"]
    known = {"md5": hashlib.md5(images).hexdigest(), "bytes": len(images)}
    digest = hashlib.sha256(reports).hexdigest()
    return (
        Download(file="NLMCXR_reports.tgz", url=web.url("reports"), sha256=digest),
        Download(file="NLMCXR_png.tgz", url=web.url("images"), **known, unpack=True),
        Download(file="more.zip", url=web.url("more"), unpack=True),
    )


@pytest.fixture
def run(downloads, tmp_path, monkeypatch, capsys):
    """Fetch into one folder; returns it and the lines that were printed."""
    monkeypatch.setattr(time, "sleep", lambda _: None)

    def again(chosen=None):
        monkeypatch.setattr(module, "load_manifest", lambda _: manifest_of(chosen or downloads))
        root = fetch("openi", cache=tmp_path / "cache")
        return root, capsys.readouterr().out.splitlines()

    return again


def names(root):
    found = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    return [name for name in found if name != MARK]


def test_from_the_server_to_the_reader(web, run):
    root, lines = run()
    assert len(web.asked) == 3
    rows, counts = READERS["openi"](root)
    assert counts["reports"] == counts["images"] == STUDIES
    assert all((root / image).is_file() for image in rows["image"])
    assert (root / "more" / "test_data" / "36204.png").read_bytes() == picture(9)
    assert not [name for name in names(root) if ".part" in name or "unpacking" in name]
    digest = hashlib.sha256(web.files["more"]).hexdigest()
    assert [line for line in lines if "sha256" in line] == [
        f"more.zip: no published checksum: unverified; its sha256 is {digest}"
    ]


def test_a_second_run_requests_nothing(web, run):
    root, _ = run()
    before, requests = names(root), len(web.asked)
    (root / "NLMCXR_png.tgz").unlink()  # unpacked, so no longer needed
    _, lines = run()
    assert len(web.asked) == requests
    assert names(root) == [name for name in before if name != "NLMCXR_png.tgz"]
    assert lines == ["NLMCXR_png.tgz: unpacked before, the archive is gone; not fetched again"]


def test_an_empty_folder_made_by_hand_is_filled(web, run, tmp_path):
    run()
    for path in (tmp_path / "cache" / "openi" / "more").rglob("*.png"):
        path.unlink()
    (tmp_path / "cache" / "openi" / "more" / "test_data").rmdir()
    root, lines = run()
    assert lines == ["more.zip: unpacking"] and len(web.asked) == 3
    assert (root / "more" / "test_data" / "36204.png").is_file()


def test_what_failed_is_continued(web, run, tmp_path):
    web.replies.extend([Reply(), Reply(cut=100), *[Reply(cut=0)] * 5])
    with pytest.raises(ConnectionError, match="100 bytes are kept: run again to continue"):
        run()
    root = tmp_path / "cache" / "openi"
    assert {"NLMCXR_reports.tgz", "NLMCXR_png.tgz.part"} == set(names(root))
    web.replies.clear()
    run()
    assert [name for name, _ in web.asked].count("reports") == 1
    assert web.starts()[-2] == 100


def test_a_damaged_copy_is_fetched_again(web, run):
    root, _ = run()
    good = (root / "NLMCXR_reports.tgz").read_bytes()
    (root / "NLMCXR_reports.tgz").write_bytes(good[:-1])
    run()
    assert (root / "NLMCXR_reports.tgz").read_bytes() == good


@pytest.mark.parametrize("wrong", [b"<html>", {"../../x.png": b"x"}], ids=["page", "traversal"])
def test_an_archive_without_checksum_that_cannot_be_unpacked_is_removed(wrong, web, run):
    good = web.files["more"]
    web.files["more"] = wrong if isinstance(wrong, bytes) else zipped(wrong)
    with pytest.raises(ValueError, match="damaged or unsafe"):
        run()
    web.files["more"] = good
    root, _ = run()
    assert (root / "more" / "test_data" / "36204.png").is_file()


def test_a_published_digest_that_differs(web, run, tmp_path):
    wrong = Download(file="a.tgz", url=web.url("images"), md5="0" * 32, unpack=True)
    with pytest.raises(ValueError, match=r"a\.tgz: checksum mismatch .*expected md5:000.* but got"):
        run((wrong,))
    assert names(tmp_path / "cache" / "openi") == []


def test_the_command_says_what_comes_next(downloads, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(module, "load_manifest", lambda _: manifest_of(downloads))
    assert not run_command(command.add, "fetch", "openi", "--cache", str(tmp_path / "cache"))
    *_, path, check, curate = capsys.readouterr().out.splitlines()
    assert path == str(tmp_path / "cache" / "openi") and (tmp_path / "cache" / "openi").is_dir()
    assert check.endswith(f"python -m offclip check openi --root {path}")
    assert f"python -m offclip curate openi --root {path}" in curate
    with pytest.raises(ValueError, match="local: expected none"):
        fetch("openi", local=path)


@pytest.mark.parametrize("name", ["mimic_cxr", "vindr_cxr", "chexpert", "padchest", "ms_cxr"])
def test_sets_that_ask_to_sign_are_never_fetched(name):
    with pytest.raises(ValueError, match="never fetched here") as caught:
        fetch(name)
    manifest = load_manifest(name)
    assert manifest.how_to_get.splitlines()[0] in str(caught.value)
    assert manifest.licence_url in str(caught.value)
    assert f"python -m offclip check {name} --root FOLDER" in str(caught.value)


@pytest.mark.parametrize("name", ["openi", "nih_chestxray14", "chestx_det10"])
def test_downloads_of_the_shipped_manifests(name):
    downloads = load_manifest(name).downloads
    assert len({each.file for each in downloads}) == len({each.url for each in downloads})
    for each in downloads:
        assert each.unpack or each.digest
        assert len(each.sha256) in (0, 64) and len(each.md5) in (0, 32)
        assert each.url.startswith("https://") or not each.digest
    unknown = [each.file for each in downloads if not each.digest or not each.bytes]
    assert unknown == (["train_data.zip", "test_data.zip"] if name == "chestx_det10" else [])


@pytest.mark.parametrize("name", ["Data_Entry_2017_v2020.csv", "BBox_List_2017.csv"])
def test_digests_agree_with_another_copy_of_the_real_tables(name, tmp_path):
    """That copy calls one column "Patient Gender"; NIH's own file says "Patient Sex"."""
    downloads = {each.file: each for each in load_manifest("nih_chestxray14").downloads}
    packed = label_file(f"{name}.gz", tmp_path)
    content = gzip.decompress(packed.read_bytes()).replace(b"Patient Gender", b"Patient Sex", 1)
    assert len(content) == downloads[name].bytes
    assert hashlib.sha256(content).hexdigest() == downloads[name].sha256


def test_both_manifests_of_the_reports_agree():
    (reports, _) = load_manifest("openi").downloads
    other = load_manifest("openi_reports")
    assert (reports.file, reports.sha256) == (other.file, other.sha256)
    assert reports.url in [source.location for source in other.sources]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"file": "../a", "url": "https://x"}, "plain file name"),
        ({"file": "a", "url": "file:///etc/passwd"}, "http"),
        ({"file": "a", "url": "https://x", "size": 3}, "did you mean"),
    ],
)
def test_wrong_downloads_are_named(wrong, message):
    facts = dict.fromkeys(("title", "licence", "licence_url", "citation"), "x")
    with pytest.raises(ValueError, match=f"downloads.*{message}"):
        parse_manifest({"name": "a", "access": "open", **facts, "downloads": [wrong]})
