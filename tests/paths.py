"""Where reference values and real data lie, outside the project; tests skip where they do not."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared"


def golden(name: str) -> Path:
    """Path of a reference file in ``$OFFCLIP_GOLDEN`` (default ``../shared/golden``), or skip."""
    return _found(Path(os.environ.get("OFFCLIP_GOLDEN", _BESIDE / "golden")) / name)


def real_data(name: str) -> Path:
    """Path of a data folder in ``$OFFCLIP_TEST_DATA`` (default ``../shared/data``), or skip."""
    return _found(Path(os.environ.get("OFFCLIP_TEST_DATA", _BESIDE / "data")) / name)


def cases(name: str) -> Path:
    """Path of a folder of inputs in ``$OFFCLIP_CASES`` (default ``../shared/cases``), or skip."""
    return _found(Path(os.environ.get("OFFCLIP_CASES", _BESIDE / "cases")) / name)


def _found(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"{path} is absent: set OFFCLIP_{{GOLDEN,TEST_DATA,CASES}} to run this test")
    return path
