"""A file of JSON lines that only grows: work of hours or days, which a restart reads."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def as_line(value: Mapping[str, Any]) -> bytes:
    """A value as one line."""
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Where each line begins, and its value.

    What a process that was killed left of a last line is cut off.
    """
    if not path.exists():
        return
    with path.open("rb+") as file:
        start = 0
        for line in iter(file.readline, b""):
            try:
                value = json.loads(line)
            except ValueError:
                value = None
            if value is None or not line.endswith(b"\n"):
                file.truncate(start)
                return
            yield start, value
            start += len(line)
