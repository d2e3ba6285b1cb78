"""Shapes and types of the package are checked while tests run (and cost nothing elsewhere)."""

import time

import pytest
from jaxtyping import install_import_hook

install_import_hook("offclip", "beartype.beartype")


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """The curated real reports and the seconds that took; skips where they cannot be had."""
    from offclip.data import SourceUnreachable, curate, fetch  # after the hook

    try:
        path = fetch("openi_reports")
    except SourceUnreachable as error:
        pytest.skip(f"the reports cannot be fetched: {error}")
    out = tmp_path_factory.mktemp("curated")
    start = time.monotonic()
    return curate(out, reports=path), time.monotonic() - start
