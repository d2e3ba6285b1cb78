"""What the benchmarks that train runs of the study have in common."""

import argparse
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from offclip.data.curate import curate
from offclip.models import ModelConfig
from offclip.study import Material, Run, finished_run, run_config
from offclip.study.run import run_folder

SIZES = {field.name for field in fields(ModelConfig)} - {"head", "score_bias"}


def study_parser(doc: str | None, *, trains: bool = True) -> argparse.ArgumentParser:
    """Options for data, runs and the record, and for processes if it trains."""
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--data", default="runs/data", help="folder of the records")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs")
    if trains:
        parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--record", required=True, help="CSV file for the evidence")
    return parser


def settings_of_record() -> dict[str, Any]:
    """Overrides of :func:`offclip.study.run_config` for the numbers of record."""
    path = Path(__file__).with_name("study.yaml")
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def settings_given(given: list[str], parser: argparse.ArgumentParser) -> dict[str, Any]:
    """``name=value`` of the command line as settings; the values are read as YAML."""
    if wrong := [each for each in given if "=" not in each]:
        parser.error(f"--set: expected NAME=VALUE, got {wrong[0]!r}")
    parts = [each.partition("=") for each in given]
    return {name: yaml.safe_load(value) for name, _, value in parts}


def sizes_changed(changed: Mapping[str, Any]) -> str:
    """The changed sizes of a model, which a configuration's setting leaves out, or ""."""
    return ", ".join(f"{name} {value}" for name, value in changed.items() if name in SIZES)


def material_of(options: argparse.Namespace) -> Material:
    """The curated records, and where rendered draws are kept."""
    return Material(curate(options.data).records, options.out / "draws")


def run_of_record(
    label: str, seed: int, head: str, out: Path, material: Material, **changed: Any
) -> Run:
    """A finished run of the study by its label, ``infonce`` or ``infonce@raw``.

    Settings of record, but for those that are ``changed``.

    Raises:
        SystemExit: it is not finished; the message names its folder.
    """
    variant, _, prompting = label.partition("@")
    own = {**settings_of_record(), **changed, **({"prompting": prompting} if prompting else {})}
    config = run_config(variant, head=head, seed=seed, **own)
    run = finished_run(out, config, material)
    if run is None:
        folder = run_folder(out, config, material)
        raise SystemExit(f"no finished run in {folder}; run the study first")
    return run
