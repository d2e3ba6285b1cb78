"""A private copy and a tree to publish."""

import pytest

from offclip.disclosure import find_faults, local_copy
from tests.disclosure.made import private_copy


@pytest.fixture(scope="session")
def copy(tmp_path_factory):
    """The local copy of somebody with credentials."""
    return local_copy([private_copy(tmp_path_factory.mktemp("copy"))])


@pytest.fixture
def found(copy, tmp_path):
    """Faults of a tree of files: name to content, text or bytes."""

    def check(files, against=copy, **options):
        tree = tmp_path / "site"
        for name, content in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return [str(fault) for fault in find_faults([tree], against, **options).faults]

    return check
