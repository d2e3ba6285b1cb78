"""Manifests are strict; fetching tries sources in order and verifies what it gets."""

import errno
import hashlib
import shutil
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from datetime import date

import pytest
import yaml

from offclip.data import SourceUnreachable, fetch, load_manifest
from offclip.data.manifests import Manifest, Source, parse_manifest
from offclip.data.openi import content_digest
from offclip.folders import MARK
from offclip.phantom import FINDINGS
from offclip.text import TextPermission
from tests.data.synthetic import pack, reports
from tests.data.web import Reply, Web

module = sys.modules["offclip.data.fetch"]


def test_prompts_cover_exactly_the_drawable_classes():
    manifest = load_manifest("openi_phantom")
    assert set(manifest.prompts) == set(FINDINGS)
    assert all(phrase == phrase.lower() and phrase for phrase in manifest.prompts.values())
    assert len(set(manifest.prompts.values())) == len(manifest.prompts)
    assert len(manifest.normal_prompts) >= 6
    assert all(prompt.startswith("there is ") for prompt in manifest.normal_prompts)
    assert sum(manifest.split.fractions.values()) == pytest.approx(1)


def test_sources_of_the_reports():
    manifest = load_manifest("openi_reports")
    assert [source.kind for source in manifest.sources] == ["pip", "url", "local"]
    assert len(manifest.sha256) == len(manifest.content_sha256) == 64


def test_unknown_names_give_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'openi_phantom'"):
        load_manifest("openi_phantm")
    with pytest.raises(ValueError, match="expected one of"):
        load_manifest("../secrets")
    good = {
        "name": "a",
        "title": "t",
        "access": "open",
        "licence": "l",
        "licence_url": "u",
        "citation": "c",
    }
    assert parse_manifest(good).name == "a"
    with pytest.raises(ValueError, match="did you mean 'licence'"):
        parse_manifest(good | {"license": "x"})
    with pytest.raises(ValueError, match=r"sources.0.locaton: .*did you mean 'location'"):
        parse_manifest(good | {"sources": [{"kind": "url", "locaton": "x"}]})
    with pytest.raises(ValueError, match="access"):
        parse_manifest(good | {"access": "secret"})
    with pytest.raises(ValueError, match=r"sources.0.kind: Input should be 'pip', .*; got 'ftp'"):
        parse_manifest(good | {"sources": [{"kind": "ftp", "location": "x"}]})
    with pytest.raises(ValueError, match="^here: title: missing; add this key$"):
        parse_manifest({"name": "a"}, where="here")
    with pytest.raises(ValueError, match="images: Input should be a valid integer.*; got 'many'"):
        parse_manifest(good | {"images": "many"})
    with pytest.raises(ValueError, match="a plain file name and an http"):
        parse_manifest(good | {"downloads": [{"file": "../a", "url": "http://a"}]})
    with pytest.raises(ValueError, match="should be a dictionary"):
        parse_manifest(["name"])


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An archive of ours, a manifest that names it, and a pip that hands out a wheel of it."""
    archive = pack(tmp_path / "right.tgz", reports(6))
    wheel = tmp_path / "pack-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.write(archive, "pack/r.tgz")
    manifest = Manifest(
        name="ours",
        title="Our reports",
        access="open",
        licence="",
        licence_url="",
        citation="",
        file="r.tgz",
        sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
        content_sha256=content_digest(archive),
        sources=(
            Source("pip", "pack==1.0", "pack/r.tgz"),
            Source("url", "http://127.0.0.1:9/r.tgz"),
            Source("local", "OFFCLIP_TEST_REPORTS"),
        ),
    )

    def download(command, **_options):
        shutil.copy(wheel, command[command.index("-d") + 1])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.delenv("OFFCLIP_TEST_REPORTS", raising=False)
    monkeypatch.setattr(module, "load_manifest", lambda name: manifest)
    monkeypatch.setattr(module.subprocess, "run", download)
    return tmp_path, archive, wheel


def refuse(command, **_options):
    return subprocess.CompletedProcess(command, 1, "", "ERROR: no index")


def test_pip_then_cache(world, monkeypatch, capsys):
    folder, archive, _wheel = world
    path = fetch("ours", cache=folder / "cache")
    assert path.read_bytes() == archive.read_bytes()
    assert capsys.readouterr().out.count("\n") == 1
    monkeypatch.setattr(module.subprocess, "run", refuse)
    assert fetch("ours", cache=folder / "cache") == path


def kept(folder):
    """What lies in a folder of the cache, its mark aside."""
    return sorted(each.name for each in folder.iterdir() if each.name != MARK)


def test_a_damaged_file_of_somebody_else_is_not_replaced(world):
    folder, _archive, _wheel = world
    path = folder / "cache" / "ours" / "r.tgz"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(ValueError, match="without a mark of offclip that holds r.tgz"):
        fetch("ours", cache=folder / "cache")
    assert path.read_bytes() == b"mine" and kept(path.parent) == ["r.tgz"]


def test_a_damaged_cache_is_replaced(world):
    folder, archive, _wheel = world
    path = fetch("ours", cache=folder / "cache")
    path.write_bytes(path.read_bytes()[:100])
    assert fetch("ours", cache=folder / "cache").read_bytes() == archive.read_bytes()
    assert kept(path.parent) == ["r.tgz"]


def test_local_paths(world, monkeypatch):
    folder, archive, _wheel = world
    assert fetch("ours", local=archive) == archive
    repacked = pack(folder / "repacked.tgz", reports(6), "elsewhere")
    monkeypatch.setenv("OFFCLIP_TEST_REPORTS", str(repacked))
    assert fetch("ours") == repacked
    other = pack(folder / "other.tgz", reports(5))
    with pytest.raises(ValueError, match=r"other\.tgz: checksum mismatch, expected .* got .*fetch"):
        fetch("ours", local=other)
    archive.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(ValueError, match=r"right\.tgz.*cut short.*fetch it again"):
        fetch("ours", local=archive)
    with pytest.raises(ValueError, match=r"absent\.tgz.*check the path"):
        fetch("ours", local=folder / "absent.tgz")
    assert archive.exists() and other.exists()


def test_no_source_says_all_three_ways(world, monkeypatch):
    folder, _archive, _wheel = world
    monkeypatch.setattr(module.subprocess, "run", refuse)
    with pytest.raises(SourceUnreachable, match=r"no index[\s\S]*127\.0\.0\.1") as caught:
        fetch("ours", cache=folder / "cache")
    for way in ("pip download --no-deps pack==1.0", "http://127", "OFFCLIP_TEST_REPORTS", "local="):
        assert way in str(caught.value)
    assert not kept(folder / "cache" / "ours")


def test_the_address_goes_on_where_it_was(world, monkeypatch):
    folder, archive, _wheel = world
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(module.subprocess, "run", refuse)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    web = Web()
    try:
        web.files["r.tgz"] = archive.read_bytes()
        source = Source(kind="url", location=web.url("r.tgz"))
        manifest = replace(module.load_manifest("ours"), sources=(source,))
        monkeypatch.setattr(module, "load_manifest", lambda _: manifest)
        web.replies.extend([Reply(cut=500), *[Reply(cut=0)] * 5])
        with pytest.raises(SourceUnreachable, match="500 bytes are kept: run again to continue"):
            fetch("ours", cache=folder / "cache")
        path = fetch("ours", cache=folder / "cache")
        assert path.read_bytes() == archive.read_bytes() and web.starts()[-1] == 500
        assert kept(path.parent) == ["r.tgz"]
    finally:
        web.close()


def test_time_limit_counts_as_unreachable(world, monkeypatch):
    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(module.subprocess, "run", hang)
    with pytest.raises(SourceUnreachable, match="timed out"):
        fetch("ours", cache=world[0] / "cache")


def test_a_wrong_download_is_not_kept(world):
    folder, _archive, wheel = world
    other = pack(folder / "other.tgz", reports(5))
    with zipfile.ZipFile(wheel, "w") as packed:
        packed.write(other, "pack/r.tgz")
    with pytest.raises(ValueError, match="checksum mismatch"):
        fetch("ours", cache=folder / "cache")
    assert not list((folder / "cache").glob("**/*.tgz"))


def test_full_disk(world, monkeypatch):
    folder, _archive, _wheel = world

    def full(_source, _target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="Free some space"):
        fetch("ours", cache=folder / "cache")
    assert not kept(folder / "cache" / "ours")


MINIMAL = dict.fromkeys(("name", "title", "licence", "licence_url", "citation"), "x")
MINIMAL["access"] = "credentialed"
SIGNED = {"hosts": ["llm.hospital.example"], "signed_by": "A. Person"}


def test_a_signed_statement_is_read_from_yaml():
    text = yaml.safe_dump({**MINIMAL, "text_may_go_to": {**SIGNED, "date": date(2026, 1, 31)}})
    found = parse_manifest(yaml.safe_load(text)).text_may_go_to
    assert found == TextPermission(("llm.hospital.example",), "A. Person", date(2026, 1, 31))
    assert parse_manifest(MINIMAL).text_may_go_to is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"date": None}, "date: Input should be a valid date"),
        ({"date": "soon"}, "date: Input should be a valid date"),
        ({"hosts": "llm.hospital.example"}, "hosts: Input should be a valid list"),
        ({"hosts": ["*"]}, "text_may_go_to: hosts: expected plain"),
        ({"signed_by": ""}, "signed_by: expected a person"),
        ({"host": []}, "did you mean 'hosts'"),
    ],
)
def test_an_unsigned_statement_is_refused(change, message):
    signed = {**SIGNED, "date": date(2026, 1, 31), **change}
    with pytest.raises(ValueError, match=message):
        parse_manifest({**MINIMAL, "text_may_go_to": signed})
