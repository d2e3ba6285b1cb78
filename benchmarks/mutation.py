"""Mutation testing of ``offclip.losses``: does a test fail for each small fault put into the code?

Run: ``make check-long``, or ``python -m benchmarks.mutation [--record book/results/mutation.csv]``
with mutmut installed. It works on a copy in ``runs/mutation`` and goes on where it was stopped;
delete that folder to start anew. Exit code 1 if fewer than 95 % of the mutants are caught, or if
one that survives is not explained in ``mutation_survivors.yaml``. About five minutes on two
idle cores.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import yaml

from offclip.evaluation import Record, RunInfo, config_hash, write_evidence

ROOT = Path(__file__).resolve().parents[1]
COPY = ROOT / "runs" / "mutation"
SURVIVORS = Path(__file__).with_name("mutation_survivors.yaml")
NEEDED = ["offclip", "tests/losses", "tests/__init__.py", "tests/conftest.py", "tests/paths.py"]
LEAST_SCORE = 0.95
KILLED, SURVIVED, TIMED_OUT = (1, 3), 0, (24, 36, 152, 255)  # mutmut's exit codes
CONFIG = """[tool.mutmut]
source_paths = ["offclip/losses"]
also_copy = ["offclip", "tests"]
pytest_add_cli_args_test_selection = ["tests/losses"]
"""


def copy_code() -> None:
    """Bring the copy up to date; results of functions that did not change are kept."""
    for name in NEEDED:
        source, target = ROOT / name, COPY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    (COPY / "pyproject.toml").write_text(CONFIG, encoding="utf-8")


def run_mutmut(children: int, names: list[str]) -> None:
    """Test every mutant that has no result yet, and those in ``names`` again."""
    golden = os.environ.get("OFFCLIP_GOLDEN", str(ROOT.parent / "shared" / "golden"))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OFFCLIP_GOLDEN": golden}
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(children), *names]
    subprocess.run(command, cwd=COPY, env=environment, check=True)


def results() -> dict[str, int | None]:
    """mutmut's exit code of each mutant: 0 survived, None was not tested."""
    found: dict[str, int | None] = {}
    for path in sorted((COPY / "mutants" / "offclip" / "losses").glob("*.meta")):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def change(mutant: str) -> str:
    """The lines that a mutant takes away and puts in."""
    command = [sys.executable, "-m", "mutmut", "show", mutant]
    shown = subprocess.run(command, cwd=COPY, capture_output=True, text=True, check=True).stdout
    lines = [line for line in shown.splitlines() if line[:1] in "+-" and line[:3] not in _HEADS]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in lines if line)


_HEADS = ("+++", "---")


def records(counts: Counter[str], minutes: float) -> list[Record]:
    """The counts and the score as evidence records."""
    total = sum(counts.values())
    values = {
        "mutants": total,
        "mutants_killed": counts["killed"],
        "mutants_timed_out": counts["timed out"],
        "mutants_survived": counts["survived"],
        "mutation_score": (counts["killed"] + counts["timed out"]) / total,
    }
    run = RunInfo(
        dataset="offclip.losses",
        variant="mutmut",
        config=config_hash({"mutmut": CONFIG}),
        minutes=minutes,
    )
    return [
        run.record("none", metric, "tests/losses", float(value), total)
        for metric, value in values.items()
    ]


def kind(code: int | None) -> str:
    """What an exit code of mutmut means."""
    if code == SURVIVED:
        return "survived"
    if code in KILLED:
        return "killed"
    return "timed out" if code in TIMED_OUT or (code is not None and code < 0) else "not tested"


def main() -> int:
    """Run, print what survived and why, write the records; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--children", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--again", action="store_true", help="test survivors of the last run again")
    options = parser.parse_args()
    start = time.monotonic()
    copy_code()
    again = [m for m, code in results().items() if code == SURVIVED] if options.again else []
    run_mutmut(options.children, again)
    found = results()
    counts = Counter(kind(code) for code in found.values())
    score = (counts["killed"] + counts["timed out"]) / sum(counts.values())
    explained = {each["change"].strip() for each in yaml.safe_load(SURVIVORS.read_text("utf-8"))}
    missing = 0
    for mutant in (m for m, code in found.items() if code == SURVIVED):
        lines = change(mutant)
        if lines not in explained:
            missing += 1
            print(f"\nnot explained: {mutant}\n{lines}")
    print(f"\n{dict(counts)}: {score:.1%} of {len(found)} caught, {missing} not explained")
    if options.record:
        minutes = (time.monotonic() - start) / 60
        write_evidence(options.record, records(counts, minutes))
    return int(score < LEAST_SCORE or missing > 0)


if __name__ == "__main__":
    sys.exit(main())
