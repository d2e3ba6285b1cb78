"""``python -m offclip leaks``: exit code, what it prints, and clear errors."""

import pytest

from offclip.__main__ import main
from tests.privacy.made import SENTENCES, STUDIES


def test_clean_files_and_findings(copy, tmp_path, capsys):
    folder, page = str(copy.private[0]), tmp_path / "page.md"
    page.write_text("Nothing.")
    assert main(["leaks", str(tmp_path), "--records", folder]) == 0
    assert capsys.readouterr().out == (
        "1 files, 12 restricted records: nothing found; numbers and images are not checked\n"
    )
    page.write_text(f"A page.\n\n{SENTENCES[0]}\n{STUDIES[0]}")
    assert main(["leaks", str(tmp_path), "--records", folder]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        f"{page}: line 3: passage of a restricted report",
        f"{page}: line 4: identifier of a restricted record",
    ]
    assert "1 of 1 files, 12 restricted records: must not be published" in shown.err
    (tmp_path / "open.txt").write_text(SENTENCES[0])
    page.write_text(SENTENCES[0])
    known = ["--open", str(tmp_path / "open.txt")]
    assert main(["leaks", str(page), "--records", folder, *known]) == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("tree", "expected a file or folder to check, got none at "),
        ("records", "expected records.parquet in "),
        ("open", "expected a file or folder to check, got none at "),
    ],
)
def test_bad_input_is_named(copy, tmp_path, capsys, wrong, message):
    gone = str(tmp_path / "gone")
    words = {"tree": str(tmp_path), "records": str(copy.private[0]), "open": str(tmp_path)}
    words[wrong] = gone
    command = ["leaks", words["tree"], "--records", words["records"], "--open", words["open"]]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert message in error and gone in error
