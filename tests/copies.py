"""Synthetic copies of the published sets, rendered once for all tests of a session."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from offclip.rehearsal import rehearse

STUDIES = 24
SIZE = 64
LABEL_FILES = (".csv", ".gz", ".txt", ".json", ".xml")
_FOLDER = tempfile.TemporaryDirectory(prefix="offclip-synthetic-")
atexit.register(_FOLDER.cleanup)


@cache
def synthetic_copy(dataset, studies=STUDIES):
    """The copy of a set, rendered when it is first needed; no test changes it."""
    root = Path(_FOLDER.name) / f"{dataset}-{studies}"
    return rehearse(dataset, root, studies=studies, size=SIZE)


def writable_copy(dataset, folder):
    """A copy for a test that changes it; ``folder`` is not there yet."""
    return Path(shutil.copytree(synthetic_copy(dataset), folder))


def copied_labels(dataset, folder):
    """Tables, lists and reports of a copy, without its images."""
    root = synthetic_copy(dataset)
    for path in root.rglob("*"):
        if path.suffix in LABEL_FILES and path.name != "offclip.json":
            place = folder / path.relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    return folder
