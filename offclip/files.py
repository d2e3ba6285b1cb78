"""Atomic writes: a file is either whole under its final name, or absent."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` if the block succeeds.

    The file's content reaches the disk (``fsync``) before the rename. When the block raises, or
    the disk is full, the temporary file is removed and ``path`` is left as it was.

    Raises:
        OSError: the write failed; the message names the final path and the remedy.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"could not write {path}: {error.strerror or error}; "
            "nothing was left behind. Free some space or choose another folder, then run again",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_parts(folder: str | Path) -> None:
    """Remove what a killed process left of :func:`atomic_path` in ``folder``."""
    for path in Path(folder).glob(".*.part"):
        path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: str | Path, text: str) -> Path:
    """Write ``text`` (UTF-8) to ``path`` atomically; return the path."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def write_json(path: str | Path, value: Any) -> Path:
    """Write ``value`` as indented JSON to ``path`` atomically; NaN and infinities are refused."""
    return write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def check_target(
    path: str | Path, *, force: bool = False, ours: Callable[[Path], bool] = lambda path: False
) -> None:
    """Refuse a file to write before the work begins that it is for.

    Args:
        path: of the file.
        force: an existing file may be replaced.
        ours: whether an existing file is one that may always be replaced.

    Raises:
        ValueError: something else is there.
        OSError: nothing can be written there.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path}: expected a name for a file, got a folder")
    if path.exists() and not force and not ours(path):
        raise ValueError(
            f"{path}: expected a new file, got one that offclip would overwrite; give another "
            "name, or --force where the command has it"
        )
    parent = next(each for each in path.absolute().parents if each.exists())
    try:
        tempfile.TemporaryFile(dir=parent).close()
    except OSError as error:
        raise OSError(
            error.errno, f"{path}: cannot be written: {error.strerror}; give another name"
        ) from error


def check_folder(path: str | Path, name: str, what: str) -> Path:
    """The folder at ``path``.

    Args:
        path: of the folder.
        name: of the option, for the message.
        what: what the folder should be, for the message.

    Raises:
        FileNotFoundError: nothing is there.
        NotADirectoryError: a file is there.
    """
    path = Path(path)
    if path.is_dir():
        return path
    if path.exists():
        raise NotADirectoryError(f"{name}: expected {what}, got a file, {path}; unpack an archive")
    raise FileNotFoundError(f"{name}: expected {what}, got nothing at {path}")


def path_inside(root: Path, name: str) -> Path | None:
    """The file that ``name`` leads to below ``root``, links followed; None where it leads out."""
    path = (root / name).resolve()
    return path if path.is_relative_to(root.resolve()) else None
