"""Keys of kept work: a kept result is used for the same input, configuration and code only.

Every part that keeps results imports this; it imports ``offclip.files``.
"""

import ast
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from offclip.files import path_inside

WHOLE = 1 << 16
"""Bytes up to which a file is read whole for its fingerprint."""
BLOCK, SAMPLES = 4096, 3
"""Bytes of one sample of a larger file, and how many are taken from its first to its last byte."""
_PACKAGE = Path(__file__).parent
_STARTED = time.time()


def config_hash(config: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that name a configuration."""
    text = json.dumps(config, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_fingerprint(path: str | Path) -> str:
    """Size, time of change and sampled bytes of a file, as hexadecimal digits.

    A file of up to ``WHOLE`` bytes is read whole. In a larger one a change that keeps size, time
    and every sample goes unnoticed: a second call over an archive of many gigabytes costs a few
    small reads a file.

    Returns:
        "" where there is no plain file, or it cannot be read.
    """
    path = Path(path)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            return ""
        digest = hashlib.sha256(f"{state.st_size} {state.st_mtime_ns}".encode())
        with path.open("rb", buffering=0) as file:
            if state.st_size <= WHOLE:
                digest.update(file.read())
            else:
                last = state.st_size - BLOCK
                for number in range(SAMPLES):
                    file.seek(last * number // (SAMPLES - 1))
                    digest.update(file.read(BLOCK))
    except (OSError, ValueError):  # the second: a name that no file can have
        return ""
    return digest.hexdigest()[:16]


def fingerprint_inside(root: Path, name: str) -> str:
    """Fingerprint of a file below ``root``; "" also where the name leads out of it."""
    try:
        path = path_inside(root, name)
    except (OSError, ValueError, RuntimeError):  # the last: links in a circle
        return ""
    return "" if path is None else file_fingerprint(path)


def tree_fingerprint(path: str | Path, *, only: Callable[[str], bool] | None = None) -> str:
    """Fingerprint of a file, or of the files below a folder and their names.

    Args:
        path: of the file or folder.
        only: whether a file of a folder counts, by its path below it; default: all do.

    Returns:
        "" where there is neither.
    """
    path = Path(path)
    if not path.is_dir():
        return file_fingerprint(path)
    names = sorted(each.relative_to(path).as_posix() for each in path.rglob("*") if each.is_file())
    chosen = [name for name in names if only is None or only(name)]
    return config_hash({name: file_fingerprint(path / name) for name in chosen})


@cache
def code_version(module: str) -> str:
    """Version of the code of a module and of all modules of the package that it imports.

    Twelve hexadecimal digits of their syntax trees, and of the word lists next to them
    (``data/*.txt``). Docstrings, comments and layout of code do not count: they change no result.
    What is imported by those modules counts as well, and what is imported in the body of a
    function. Where a source was edited after this process began, it may run the code of before:
    the version is then this process's alone, and nothing is kept for others.

    Args:
        module: full name, such as ``offclip.study.run``.

    Raises:
        ValueError: the package has no such module.
    """
    if _source(module) is None:
        raise ValueError(f"module: expected the full name of a module of offclip, got {module!r}")
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source(name)
        if name in found or path is None:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.stat().st_mtime > _STARTED:
            found["edited meanwhile"] = f"{os.getpid()} {_STARTED}"
        waiting += _imports(tree)
        _drop_docstrings(tree)
        found[name] = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
        for words in path.parent.glob("data/*.txt"):
            found[words.name] = hashlib.sha256(words.read_bytes()).hexdigest()
    return config_hash(found)


def _source(module: str) -> Path | None:
    """The file of a module; None if the package has none of this name."""
    first, *rest = module.split(".")
    if first != _PACKAGE.name:
        return None
    path = _PACKAGE.joinpath(*rest)
    options = (path.with_suffix(".py"), path / "__init__.py") if rest else (path / "__init__.py",)
    return next((each for each in options if each.is_file()), None)


def _imports(tree: ast.Module) -> Iterator[str]:
    """Names that may be modules; the package imports by full names only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _drop_docstrings(tree: ast.Module) -> None:
    """Remove strings that stand alone: docstrings, also those of attributes."""
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                kept = [each for each in block if not _is_text(each)]
                setattr(node, name, kept)


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
