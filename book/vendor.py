"""Bring the one MathJax file that the pages need; it is too large for git and is never edited.

The same bytes come from a Python package, from the npm package or from a file the user names. The
checksum decides. Run: ``python -m book.vendor``.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from offclip.files import atomic_path

BOOK = Path(__file__).resolve().parent
TARGET = BOOK / "vendor" / "mathjax" / "tex-svg.js"
SHA256 = "d4295dc33744836935c1399feece5159577b34c5c8ffb9f1c6324cd82e03a882"
PIP_PACKAGE = "sphinx-mathjax-offline==0.0.2"  # carries MathJax 3.2.2 (Apache-2.0)
NPM_PACKAGE = "mathjax@3.2.2"


def fetch_mathjax(target: Path = TARGET) -> Path:
    """Put MathJax's ``tex-svg.js`` at ``target`` unless the right bytes are there; return it.

    Raises:
        RuntimeError: no source gave the file; the message lists every way and what failed.
    """
    if target.exists() and _digest(target.read_bytes()) == SHA256:
        return target
    faults = []
    for name, read in (("OFFCLIP_MATHJAX", _named), ("pip", _from_pip), ("npm", _from_npm)):
        try:
            content = read()
            if _digest(content) != SHA256:
                raise ValueError(f"expected sha256 {SHA256}, got {_digest(content)}")
        except (OSError, ValueError, StopIteration, subprocess.SubprocessError) as error:
            faults.append(f"  {name}: {str(error).strip() or type(error).__name__}")
            continue
        with atomic_path(target) as temporary:
            temporary.write_bytes(content)
        return target
    raise RuntimeError(
        "the book needs MathJax 3.2.2 (es5/tex-svg.js), and no way to it worked:\n"
        + "\n".join(faults)
        + f"\nWith a network: pip (package {PIP_PACKAGE}) or npm (package {NPM_PACKAGE})."
        "\nWithout: OFFCLIP_MATHJAX=/path/to/tex-svg.js make book"
    )


def _named() -> bytes:
    if not (path := os.environ.get("OFFCLIP_MATHJAX")):
        raise ValueError("not set")
    return Path(path).read_bytes()


def _from_pip() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        _run([*command, "--only-binary=:all:", "--dest", folder, PIP_PACKAGE])
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            name = next(n for n in wheel.namelist() if n.endswith("/mathjax/tex-svg.js"))
            return wheel.read(name)


def _from_npm() -> bytes:
    if shutil.which("npm") is None:
        raise ValueError("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        _run(["npm", "pack", "--silent", "--pack-destination", folder, NPM_PACKAGE])
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            member = archive.extractfile("package/es5/tex-svg.js")
            if member is None:
                raise ValueError("the package holds no es5/tex-svg.js")
            return member.read()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise OSError((done.stderr.strip() or "failed").splitlines()[-1])


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    print(fetch_mathjax())
