"""Fetch all files of an open set into one folder, which ``check`` and ``curate`` take as root.

Imports downloading, unpacking and manifests; pooch is imported where digests are made.
"""

import json
from collections.abc import Callable
from pathlib import Path

from offclip.data.download import Patience, download
from offclip.data.manifests import Download, Manifest
from offclip.data.unpack import ENDINGS, is_filled, unpack
from offclip.files import write_json
from offclip.folders import Mark, claim

FETCHED = "fetched files"
"""Purpose of the folder, in its mark; see ``offclip.folders``."""
PAUSE = 2.0
"""Seconds between two files, so that no server is asked without a break."""


def fetch_set(
    manifest: Manifest,
    root: str | Path,
    *,
    report: Callable[[str], None] = print,
    patience: Patience | None = None,
) -> Path:
    """Download the files of ``manifest.downloads`` one after the other, unpack archives.

    Restartable: whole files are verified and stay, a part is continued, a finished folder is not
    unpacked again, and an archive that was removed after it was unpacked is not fetched again.
    Without a published digest, that of the first download is noted in ``<file>.json``, and a later
    run compares with it.

    Args:
        manifest: of an open set.
        root: folder of the set, new or empty or filled by an earlier call.
        report: takes lines about the progress.
        patience: with the servers.

    Returns:
        ``root``.

    Raises:
        ValueError: another digest than the published or noted one; an archive that is damaged or
            not safe to unpack.
        ConnectionError: a server failed; run again to go on.
        OSError: the disk is full.
    """
    root, patience = Path(root), patience or Patience()
    claim(root, Mark(FETCHED, manifest.name, contents=_contents(root, manifest)))
    for number, each in enumerate(manifest.downloads):
        target, folder = root / each.file, _folder(root, each)
        if folder is not None and is_filled(folder) and not target.exists():
            report(f"{each.file}: unpacked before, the archive is gone; not fetched again")
            continue
        _get(each, target, PAUSE if number else 0.0, report, patience)
        if folder is not None and not is_filled(folder):
            report(f"{each.file}: unpacking")
            _unpack(each, target, folder)
    return root


def _contents(root: Path, manifest: Manifest) -> tuple[str, ...]:
    """What fetching leaves: the files, notes and parts of them, and what was unpacked."""
    files = [each.file for each in manifest.downloads]
    folders = [folder for each in manifest.downloads if (folder := _folder(root, each))]
    names = [folder.relative_to(root).as_posix() for folder in folders]
    unpacked = [f"{name}{end}/**" for name in names for end in ("", ".unpacking")]
    return (*files, *(f"{name}.*" for name in files), *unpacked)


def _folder(root: Path, each: Download) -> Path | None:
    """Where an archive goes; None for a file that stays as it is."""
    if not each.unpack:
        return None
    return root / each.file.removesuffix(next(filter(each.file.endswith, ENDINGS), ""))


def _get(
    each: Download,
    target: Path,
    pause: float,
    report: Callable[[str], None],
    patience: Patience,
) -> None:
    """Download one file; note the digest of one that has none published."""
    import pooch

    def before() -> None:
        patience.sleep(pause)
        size = f"{each.bytes / 1e9:.3f} GB" if each.bytes else "size not published"
        report(f"{each.file}: fetching from {each.url} ({size})")

    digest = each.digest or _noted(target)
    download(each.url, target, digest=digest, size=each.bytes, before=before, patience=patience)
    if digest:
        return
    got = pooch.file_hash(str(target))
    report(f"{each.file}: no published checksum: unverified; sha256 of what came: {got}")
    note = {"url": each.url, "bytes": target.stat().st_size, "sha256": got, "published": False}
    write_json(_note(target), note)


def _unpack(each: Download, target: Path, folder: Path) -> None:
    try:
        unpack(target, folder)
    except ValueError:
        if not each.digest:  # nobody vouches for it: the next run fetches it anew
            target.unlink()
            _note(target).unlink(missing_ok=True)
        raise


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.json")


def _noted(target: Path) -> str:
    try:
        return f"sha256:{json.loads(_note(target).read_text(encoding='utf-8'))['sha256']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
