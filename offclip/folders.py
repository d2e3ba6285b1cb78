"""Folders of ours: a mark says what a folder is, and nothing else is written into or replaced.

A command takes a folder that is new or empty, or one with its own mark: the same purpose, dataset
and settings. Results that replace older ones are made next to them and take their place when they
are whole; what fails, or is killed, changes nothing. What has no mark, and what the mark does not
list, is never removed or overwritten.

The mark is ``offclip.json``. Work that is not finished, results that are about to take their place
and a lock are ours as well (``.offclip.new``, ``.offclip.ready``, ``.offclip.lock``). Whoever reads
results calls :func:`read_mark` or :func:`settled` first. Every part that leaves a folder imports
this; it imports ``offclip.marks`` and ``offclip.files``.
"""

import dataclasses
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

from filelock import FileLock, Timeout

from offclip.files import remove_parts
from offclip.marks import MARK, Mark, as_read, read_file, write_file

WORK = ".offclip.new"
"""Results on their way; they stay when a resumable command is stopped."""
_READY, _LOCK = ".offclip.ready", ".offclip.lock"
_HIDDEN = (WORK, _READY, _LOCK)
_SHOWN = 3  # names of a message


def read_mark(folder: str | Path) -> Mark | None:
    """The mark of a folder; None where there is none.

    Results that were whole when their process died take their place first.
    """
    folder = Path(folder)
    _settle(folder)
    return read_file(folder / MARK)


def settled(folder: str | Path) -> Path:
    """The folder, its results in their place; for whoever reads a folder that may be of ours."""
    _settle(Path(folder))
    return Path(folder)


def expect(folder: str | Path, purpose: str) -> Mark:
    """The mark of a folder of this purpose.

    Raises:
        ValueError: it has none, or that of another purpose, or its results are not finished.
    """
    folder = Path(folder)
    mark = read_mark(folder)
    if mark is not None and mark.purpose == purpose:
        return mark
    work = read_file(folder / WORK / MARK)
    if mark is None and work is not None:
        got = f"unfinished {work.title}; run the command that was stopped again"
    else:
        got = mark.title if mark else _held(folder) or "nothing there"
    raise ValueError(f"{folder}: expected {purpose} with a mark of offclip ({MARK}), got {got}")


def check(folder: str | Path, mark: Mark, *, force: bool | None = None) -> Mark | None:
    """The mark of a folder, finished or not, that may hold what ``mark`` says; None for a free one.

    Args:
        folder: new, empty or of ours.
        mark: what is to be written; what it leaves open is not compared.
        force: whether another dataset and other settings are taken too; None: the command has no
            such option.

    Raises:
        ValueError: the folder holds something else; names both, and the way out.
    """
    folder = Path(folder)
    if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
        raise ValueError(
            f"{folder}: expected a folder for {mark.purpose}, got a file, or a link to nothing"
        )
    found, state = read_mark(folder), ""
    if found is None:
        found, state = read_file(folder / WORK / MARK), "unfinished "
    if found is None:
        if held := _held(folder):
            raise ValueError(
                f"{folder}: expected a new or empty folder for {mark.title}, got one without a "
                f"mark of offclip that holds {held}; give another folder"
            )
        return None
    if found.purpose != mark.purpose:
        raise ValueError(
            f"{folder}: expected a folder for {mark.title}, got {found.title}; give another folder"
        )
    if not force and (differences := found.differences(mark)):
        raise ValueError(
            f"{folder}: expected {mark.title}, got {state}{found.title}: "
            f"{'; '.join(differences)}; give another folder"
            + (", or --force to replace what offclip made there" if force is False else "")
        )
    return found


def claim(folder: str | Path, mark: Mark) -> None:
    """Make a folder ours that is new or empty; accept one that has this mark already.

    For folders that grow, such as a training run's. The settings have to be the same.

    Raises:
        ValueError: the folder holds something else; names both, and the way out.
        OSError: it cannot be written.
    """
    folder = Path(folder)
    if check(folder, mark) is None:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / MARK, mark)


@contextmanager
def claimed(folder: str | Path, mark: Mark) -> Iterator[None]:
    """A claimed folder in which no other process is at work.

    Raises:
        ValueError: as :func:`claim`; or another process is at work in it.
    """
    claim(folder, mark)
    with _locked(Path(folder)):
        yield


@contextmanager
def replaced(
    folder: str | Path,
    mark: Mark,
    *,
    force: bool = False,
    resume: bool = False,
    wait: bool = False,
) -> Iterator[Path]:
    """Yield an empty folder for new results; they take their place when the block succeeds.

    From the moment that they are whole (one rename) they are the results: a process that dies while
    they are moved leaves them to whoever opens the folder next, who finishes the step.

    What the mark of ``folder`` lists, and the new results do not have, is removed then; everything
    else stays. A block that raises, or is killed, leaves ``folder`` as it was.

    Args:
        folder: of the results.
        mark: its ``contents`` are what the block may make; the files that it made are noted.
        force: also take the place of results of the same purpose with another dataset or other
            settings.
        resume: work that was stopped stays and is yielded again to the same mark.
        wait: for another process that is at work in the folder.

    Raises:
        ValueError: the folder holds something else, or what is not ours has the name of a result;
            another process is at work in it, and ``wait`` is False.
        OSError: it cannot be written.
    """
    folder = Path(folder)
    check(folder, mark, force=force)
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(folder, wait=wait):
            check(folder, mark, force=force)
            before = read_file(folder / MARK)
            _refuse_strangers(folder, mark.contents, before)
            work = folder / WORK
            if not (resume and read_file(work / MARK) == as_read(mark)):
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir()
                write_file(work / MARK, mark)
            remove_parts(work)
            try:
                yield work
                files = {p.relative_to(work).as_posix() for p in work.rglob("*") if _is_file(p)}
                made = tuple(sorted(files - {MARK}))
                _refuse_strangers(folder, made, before)
            except BaseException:
                if not resume or [each.name for each in work.iterdir()] == [MARK]:
                    shutil.rmtree(work, ignore_errors=True)
                raise
            write_file(work / MARK, dataclasses.replace(mark, contents=made))
            shutil.rmtree(folder / _READY, ignore_errors=True)  # empty folders, all is moved
            work.rename(folder / _READY)
            _settle(folder)
    finally:
        if new:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def marked(folder: str | Path) -> list[tuple[Path, Mark]]:
    """Folders of ours at and below a folder, the deepest first, with their marks.

    One that has no finished results has the mark of the unfinished ones.
    """
    found = {path.parent for path in Path(folder).rglob(MARK)}
    found = {each.parent if each.name in _HIDDEN else each for each in found}
    marks = [(each, _any_mark(each)) for each in sorted(found, reverse=True)]
    return [(each, mark) for each, mark in marks if mark is not None]


def _any_mark(folder: Path) -> Mark | None:
    mark, work = read_mark(folder), read_file(folder / WORK / MARK)
    if mark is None and work is not None:
        return dataclasses.replace(work, purpose=f"unfinished {work.purpose}", contents=())
    return mark


def foreign(folder: str | Path, mark: Mark) -> list[str]:
    """Files in a folder of ours that are not ours, by their paths; those of deeper marks aside."""
    folder = Path(folder)
    names = (path.relative_to(folder).as_posix() for path in _own_files(folder))
    return sorted(name for name in names if not _is_ours(name, mark))


def remove(folder: str | Path) -> None:
    """Remove what the mark of a folder lists, unfinished work and the mark; all else stays.

    Folders below it with a mark of their own stay as well.

    Raises:
        ValueError: it has no mark, or another process is at work in it.
    """
    folder = Path(folder)
    mark = _any_mark(folder)
    if mark is None:
        raise ValueError(f"{folder}: expected a folder with a mark of offclip, got none")
    with _locked(folder):
        for path in _own_files(folder):
            if _is_ours(path.relative_to(folder).as_posix(), mark) and path.name != _LOCK:
                path.unlink()
                _remove_empty(folder, path.parent)
        shutil.rmtree(folder / WORK, ignore_errors=True)
    with suppress(OSError):  # it holds something
        folder.rmdir()


def _own_files(folder: Path) -> list[Path]:
    """Files and links below a folder, without those of folders with a mark of their own."""
    inner = [path.parent for path in folder.rglob(MARK)]
    inner = [each for each in inner if each != folder and each.name not in _HIDDEN]
    files = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    return [path for path in files if not any(path.is_relative_to(each) for each in inner)]


def _is_ours(name: str, mark: Mark) -> bool:
    first = name.split("/")[0]
    return name == MARK or _is_hidden(first) or mark.owns(name)


def _is_hidden(name: str) -> bool:
    """Whether it is a lock, unfinished work, or what is left of a mark that was being written."""
    return name in _HIDDEN or fnmatchcase(name, f".{MARK}.*.part")


def separate(out: str | Path, name: str, **inputs: str | Path) -> None:
    """Refuse an output folder that is an input, or lies inside of one.

    Args:
        out: folder that will be written.
        name: of the option, for the message.
        inputs: folders that are read, by the name of their option.

    Raises:
        ValueError: names both.
    """
    for each, path in inputs.items():
        if Path(out).resolve().is_relative_to(Path(path).resolve()):
            raise ValueError(
                f"{name}: expected a folder outside of {each}, got {out}, which is inside of "
                f"{path}; nothing is written into what is read"
            )


def _refuse_strangers(folder: Path, names: Iterable[str], before: Mark | None) -> None:
    """Refuse to overwrite a file that is not ours, and to write through a link."""
    for name in names:
        path = folder / name
        ours = before is not None and before.owns(name)
        parents = [each for each in path.parents if folder in each.parents]
        if (
            (os.path.lexists(path) and not ours)
            or (path.is_dir() and not path.is_symlink())
            or any(each.is_symlink() or each.is_file() for each in parents)
        ):
            raise ValueError(
                f"{path}: a result has this name, and what is there is not a file that offclip "
                "made; move it, or give another folder"
            )


@contextmanager
def _locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the folder; the lock goes with the process, however it ends."""
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(blocking=wait)
    except Timeout as error:
        raise ValueError(
            f"{folder}: another process is at work here; wait for it, or give another folder"
        ) from error
    try:
        yield
    finally:
        (folder / _LOCK).unlink(missing_ok=True)
        lock.release()


def _settle(folder: Path) -> None:
    """Move whole results to their place; whatever was moved before is there already.

    Raises:
        OSError: the results cannot be read or moved; they stay where they are.
    """
    ready = folder / _READY
    new = read_file(ready / MARK)
    if new is None:
        return
    before = read_file(folder / MARK)
    for name in set(before.contents) - set(new.contents) if before else ():
        (folder / name).unlink(missing_ok=True)
        _remove_empty(folder, (folder / name).parent)
    for name in (*new.contents, MARK):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # moved before, or by another process
            (ready / name).replace(folder / name)
    for path in sorted(ready.rglob("*"), reverse=True):
        with suppress(OSError):
            path.rmdir()
    with suppress(OSError):
        ready.rmdir()


def _remove_empty(root: Path, folder: Path) -> None:
    while folder != root and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def _is_file(path: Path) -> bool:
    return path.is_file() or path.is_symlink()


def _held(folder: Path) -> str:
    """Some names of what is in a folder; "" for none. Folders without any file do not count."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    names = [each.name for each in found if _is_file(each) or any(map(_is_file, each.rglob("*")))]
    names = [name for name in names if not _is_hidden(name)]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
