"""The mark of a folder of ours: what it is, of which dataset and settings, and which files.

``offclip.folders`` writes folders by their marks.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from offclip import __version__
from offclip.files import write_json

MARK = "offclip.json"


@dataclass(frozen=True)
class Mark:
    """What a folder of ours is.

    Attributes:
        purpose: such as ``curated records``; folders of another purpose are never touched.
        dataset: name of its manifest, or "".
        settings: what decides the content, by name; values that JSON has.
        contents: what in the folder is ours: paths below it; ``*`` stands for a part of a name, and
            ``**`` at the end for all that is below.
    """

    purpose: str
    dataset: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    contents: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The mark in a few words."""
        settings = ", ".join(f"{name} {value!r}" for name, value in self.settings.items())
        name = f"{self.purpose} of {self.dataset}" if self.dataset else self.purpose
        return f"{name} ({settings})" if settings else name

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(self.contents)

    @cached_property
    def _patterns(self) -> list[list[str]]:
        return [each.split("/") for each in self.contents if "*" in each]

    def owns(self, path: str) -> bool:
        """Whether a file below the folder is ours, by its path there."""
        parts = path.split("/")
        return path in self._names or any(_fits(parts, pattern) for pattern in self._patterns)

    def differences(self, wanted: "Mark") -> list[str]:
        """In what the folder is not as wanted; what ``wanted`` leaves open is not compared."""
        pairs: dict[str, tuple[Any, Any]] = {}
        if wanted.dataset:
            pairs["dataset"] = (self.dataset, wanted.dataset)
        pairs |= {name: (self.settings.get(name), new) for name, new in wanted.settings.items()}
        return [f"{name} {old!r}, now {new!r}" for name, (old, new) in pairs.items() if old != new]


def _fits(parts: list[str], pattern: list[str]) -> bool:
    if pattern[-1] == "**":
        pattern = [*pattern[:-1], *["*"] * (1 + max(0, len(parts) - len(pattern)))]
    return len(parts) == len(pattern) and all(map(fnmatchcase, parts, pattern))


def write_file(path: Path, mark: Mark) -> None:
    """Write a mark to a file."""
    write_json(path, _dump(mark))


def _dump(mark: Mark) -> dict[str, Any]:
    return {"written_by": f"offclip {__version__}", **dataclasses.asdict(mark)}


def as_read(mark: Mark) -> Mark:
    """The mark as it is read again."""
    return _parsed(json.loads(json.dumps(_dump(mark))))


def read_file(path: Path) -> Mark | None:
    """The mark in a file; None where there is none, or something else.

    Raises:
        OSError: a file is there, and cannot be read.
    """
    try:
        return _parsed(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _parsed(found: dict[str, Any]) -> Mark:
    if not str(found["written_by"]).startswith("offclip "):
        raise ValueError("written by somebody else")
    settings, contents = dict(found["settings"]), tuple(map(str, found["contents"]))
    return Mark(str(found["purpose"]), str(found["dataset"]), settings, contents)
