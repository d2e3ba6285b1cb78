"""The README tells the truth: its commands exist, its table is the records'."""

import re
import subprocess
from pathlib import Path

import pytest

from book.results_table import EMPTY, read_records, replace_block, results_table

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


def test_results_table_is_made_from_the_records():
    table = results_table(read_records())
    message = "run `make results-table`: README.md and book/results differ"
    assert replace_block(README, table) == README, message


def test_results_table_of_made_up_records():
    base = {"dataset": "toy", "split": "test", "variant": "offclip", "prompting": "prompted",
            "head": "cross_attention", "unit": "", "interval": None, "n": 10,
            "commit": "0123456789ab"}  # fmt: skip
    rows = [("normal_auc", "a", 0.5), ("normal_auc", "b", 0.9), ("abnormal_auc_pos", "mean", 0.7)]
    records = [
        base | {"metric": m, "detail": d, "value": v + 0.1 * seed, "seed": seed}
        for m, d, v in rows
        for seed in (0, 1)
    ]
    table = results_table(records)
    assert "| `offclip` | 0.550 to 0.950 | 0.750 [0.700, 0.800] | – | – (–) |" in table
    assert "2 seeds" in table and "`012345678`" in table
    assert results_table([]) == EMPTY


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
