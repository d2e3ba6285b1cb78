"""The README tells the truth: its commands exist, its table is the records'."""

import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from book.results_table import EMPTY, PAGES, read_records, replace_block, results_table

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def tracked_files():
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"make ([a-z][a-z-]+)(?=[`\s])", " ".join(re.findall("`[^`]*`", text))))
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, flags=re.M))
    assert named and named <= targets, f"{page} names {sorted(named - targets)}"


def test_ci_runs_the_two_commands_of_the_readme():
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("make")] == ["make test", "make book"]
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    assert "run: make test" in workflow and "run: make book" in workflow
    assert "make test" in README and "make book" in README


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_made_from_the_records(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    message = f"run `make results-table`: {page} and book/results differ"
    assert replace_block(text, PAGES[page](read_records())) == text, message


def test_results_table_of_made_up_records():
    base = {"dataset": "toy", "split": "test", "variant": "offclip", "prompting": "prompted",
            "head": "cross_attention", "setting": None, "unit": "", "n": 10,
            "commit": "0123456789ab"}  # fmt: skip
    rows = [("normal_auc", "a", 0.5), ("normal_auc", "b", 0.9), ("normal_auc", "mean", 0.7)]
    rows += [("normal_auc_free", "free", 0.8), ("pointing", "mean", 0.4)]
    rows += [(f"abnormal_auc_{rule}", "mean", 0.75) for rule in ("pos", "pnc")]
    rows += [("pointing_chance", "mean", 0.1)]
    records = pd.DataFrame(
        base
        | {"metric": m, "detail": d, "value": v, "seed": seed, "low": v - 0.05, "high": v + 0.05}
        | {"config": config}
        for m, d, v in rows
        for seed, config in ((0, "a0"), (1, "a1"), (None, "a0, a1"))
    )
    table = results_table(records)
    interval, pointing = "0.750 [0.700, 0.800]", "0.400 [0.350, 0.450] (0.100)"
    assert f"| `offclip` | 2 | 0.500 to 0.900 | {interval} | {interval} | {pointing} |" in table
    assert "10 test cases" in table and "`012345678`" in table
    assert results_table(records[:0]) == EMPTY


def test_files_the_readme_shows_exist():
    named = re.findall(r"`((?:book|notebooks|data_manifests)/[\w./-]+)`", README)
    built = ("book/_build",)
    missing = [n for n in named if not n.startswith(built) and not (ROOT / n).exists()]
    assert not missing, missing


def test_no_path_of_a_workplace_in_tracked_files():
    pattern = re.compile(r"(?<![\w./])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me/\w+)/\w")
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found = pattern.search(text)
        assert not found, f"{path.relative_to(ROOT)} names {found.group()}…"
