"""A private copy and a tree to publish."""

import pytest

from offclip.privacy import find_leaks, local_copy
from tests.privacy.made import private_copy


@pytest.fixture(scope="session")
def copy(tmp_path_factory):
    """The local copy of somebody with credentials."""
    return local_copy([private_copy(tmp_path_factory.mktemp("copy"))])


@pytest.fixture
def leaks(copy, tmp_path):
    """Findings in a tree of files, as lines; given by name and content, text or bytes."""

    def check(files, against=copy, **options):
        tree = tmp_path / "site"
        for name, content in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        count, findings = find_leaks([tree], against, **options)
        assert count == len(files)
        return [str(finding).removeprefix(f"{tree}/") for finding in findings]

    return check
