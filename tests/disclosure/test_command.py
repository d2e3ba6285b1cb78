"""``python -m offclip leaks``: exit code, what it prints, and clear errors."""

import argparse

import pytest

from offclip.cli import leaks
from tests.disclosure.made import SENTENCES, STUDIES


def run(*arguments):
    """The command."""
    parser = argparse.ArgumentParser()
    leaks.add(parser.add_subparsers())
    options = parser.parse_args(["leaks", *map(str, arguments)])
    options.call(options)


def test_clean_files_and_faults(copy, tmp_path, capsys):
    folder = copy.private[0]
    (tmp_path / "page.md").write_text("Nothing.")
    run(tmp_path, "--records", folder)
    assert capsys.readouterr().out == "1 files, 12 restricted records: nothing found\n"
    (tmp_path / "page.md").write_text(f"{SENTENCES[0]} {STUDIES[0]}")
    with pytest.raises(ValueError, match="1 of 1 files, 12 restricted records: must not be publ"):
        run(tmp_path, "--records", folder)
    shown = capsys.readouterr().out
    assert shown.splitlines() == [
        f"{tmp_path.name}/page.md: 1 identifiers of restricted records",
        f"{tmp_path.name}/page.md: 1 passages of restricted reports",
    ]
    (tmp_path / "open.txt").write_text(SENTENCES[0])
    (tmp_path / "page.md").write_text(SENTENCES[0])
    run(tmp_path / "page.md", "--records", folder, "--open", tmp_path / "open.txt")


def test_bad_input_is_named(copy, tmp_path):
    with pytest.raises(FileNotFoundError, match="file or folder to check, got none at .*gone"):
        run(tmp_path / "gone", "--records", copy.private[0])
    with pytest.raises(FileNotFoundError, match="expected records.parquet in .*got none"):
        run(tmp_path, "--records", tmp_path)
