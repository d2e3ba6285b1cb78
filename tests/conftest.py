"""Shapes and types of the package are checked while tests run (and cost nothing elsewhere).

Also what tests of several folders share: synthetic copies of the published sets, the curated
reports, and a real browser.
"""

import shutil

import pytest
from jaxtyping import install_import_hook

install_import_hook("offclip", "beartype.beartype")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.fixture(scope="session")
def synthetic_copy():
    """Name of a set to its synthetic copy, rendered once per session; no test changes it."""
    from tests.copies import synthetic_copy  # after the hook

    return synthetic_copy


@pytest.fixture
def writable_copy(tmp_path):
    """Name of a set to a copy that the test may change."""
    from tests.copies import writable_copy

    return lambda dataset: writable_copy(dataset, tmp_path / "root")


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    """The curated real reports; skips where they cannot be had."""
    from offclip.data import SourceUnreachable, curate, fetch  # after the hook

    try:
        path = fetch("openi_reports")
    except SourceUnreachable as error:
        pytest.skip(f"the reports cannot be fetched: {error}")
    return curate(tmp_path_factory.mktemp("curated"), reports=path)


@pytest.fixture(scope="session")
def browser():
    """Chromium of the system, driven by Playwright; skips where it is missing."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: install it (Debian: apt install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        instance = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield instance
        instance.close()
