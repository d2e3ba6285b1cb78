"""Variants and settings against a baseline, as a YAML file lists them: train, measure, record.

    python -m benchmarks.compare benchmarks/comparisons/tier.yaml --jobs 2 \\
        --record book/results/tier.csv

``book/results/NAME.csv`` is made from ``benchmarks/comparisons/NAME.yaml``. A file has ``seeds``,
``head``, ``splits``, ``metrics`` (default: all) and one of

- ``runs``: a list of ``variants`` with the ``settings`` that differ from those of record
  (benchmarks/study.yaml), and their ``baseline`` (``variant`` and ``settings``). Recorded are every
  run, the means over the seeds, and the paired differences to the baseline, whose own records come
  from the study unless it is listed as well. A ``name`` stands in the records' column ``setting``;
  by default what is set stands there. With ``as_study: true`` the records are those of
  ``offclip study``: also all cases, DeLong's p, and the baseline minus each.
- ``search``: ``settings`` to try for each variant in addition to those of record, measured on
  validation; those of ``frontier`` are measured as well, but may not be chosen.
- ``chosen_by``: the best setting of each variant in a ``search`` by its ``record``, the mean of its
  metrics, against the ``baseline`` variant at its own best setting.

Finished runs are not repeated; about 3 minutes a run on one core.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from benchmarks._common import material_of, settings_of_record, sizes_changed, study_parser
from offclip.data.tables import nearest
from offclip.evaluation import Record, check_record, read_evidence, write_evidence
from offclip.study import RunConfig, run_config, study_records, sweep
from offclip.study.evidence import differences, over_seeds, run_records
from offclip.study.measured import Measured, measure_run

Settings = Mapping[str, Any]
Measure = Callable[["Trained", str], list[Measured]]
METRICS = ("normal_auc", "abnormal_auc_pos")  # that a search records and chooses by
_SHAPES = ("runs", "search", "chosen_by")


@dataclass(frozen=True)
class Trained:
    """A variant and what differs from the settings of record."""

    variant: str
    settings: Settings = dataclasses.field(default_factory=dict)

    def config(self, head: str, seed: int) -> RunConfig:
        """The configuration of one of its runs."""
        own = {**settings_of_record(), **self.settings}
        return run_config(self.variant, head=head, seed=seed, **own)

    def name(self, config: RunConfig) -> str:
        """The variant and what differs from the default, sizes of the model included."""
        return ", ".join(filter(None, [config.name, sizes_changed(self.settings)]))


@dataclass(frozen=True)
class Entry:
    """What is recorded, and what it is compared with; ``name`` is its setting in the records."""

    trained: Trained
    baseline: Trained | None = None
    name: str | None = None


@dataclass(frozen=True)
class Comparison:
    """A file of comparisons; its keys are those of the module's docstring."""

    entries: Sequence[Entry]
    seeds: Sequence[int] = (0, 1, 2)
    head: str = "cross_attention"
    splits: Sequence[str] = ("validation", "test")
    metrics: Sequence[str] = ()
    as_study: bool = False
    is_search: bool = False

    def configs(self, trained: Trained) -> list[RunConfig]:
        """The configurations of its runs, one per seed."""
        return [trained.config(self.head, seed) for seed in self.seeds]


def read_comparison(path: str | Path) -> Comparison:
    """Read a file of comparisons.

    Raises:
        ValueError: an unknown key, or not exactly one of ``runs``, ``search``, ``chosen_by``.
    """
    path = Path(path)
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    own = {field.name for field in dataclasses.fields(Comparison)} - {"entries", "is_search"}
    _check_keys(path, given, {*own, *_SHAPES})
    shapes = [name for name in _SHAPES if name in given]
    if len(shapes) != 1:
        raise ValueError(f"{path}: expected one of {', '.join(_SHAPES)}, got {shapes or 'none'}")
    (shape,) = shapes
    content = given.pop(shape)
    if shape == "search":
        _check_keys(path, content, {"settings", "frontier"})
        tried = [*_candidates(content), *_listed(content.get("frontier", {}))]
        given = {"splits": ["validation"], "metrics": METRICS, **given}
        return Comparison([Entry(each) for each in tried], is_search=True, **given)
    if shape == "chosen_by":
        _check_keys(path, content, {"search", "record", "baseline"})
        return Comparison(_chosen_entries(path.parent, **content), **given)
    return Comparison([entry for part in content for entry in _entries(path, part)], **given)


def _check_keys(path: Path, given: Any, known: set[str]) -> None:
    if not isinstance(given, dict):
        raise ValueError(f"{path}: expected key: value lines, got {type(given).__name__}")
    for name in given:
        if name not in known:
            raise ValueError(f"{path}: unknown key {name!r}{nearest(name, known)}")


def _entries(path: Path, part: dict[str, Any]) -> list[Entry]:
    """The entries of one part of ``runs``."""
    _check_keys(path, part, {"name", "variants", "settings", "baseline"})
    baseline = None
    if "baseline" in part:
        _check_keys(path, part["baseline"], {"variant", "settings"})
        baseline = Trained(**part["baseline"])
    return [
        Entry(Trained(variant, part.get("settings", {})), baseline, part.get("name"))
        for variant in part["variants"]
    ]


def _candidates(search: dict[str, Any]) -> list[Trained]:
    """What may be chosen: for each variant the settings of record, then those that are listed."""
    return _listed({variant: [{}, *each] for variant, each in search["settings"].items()})


def _listed(settings: Mapping[str, Sequence[Settings]]) -> list[Trained]:
    return [Trained(variant, own) for variant, each in settings.items() for own in each]


def spelled(settings: Settings) -> str:
    """Settings as the records of a search name them."""
    return ", ".join(f"{key} {value}" for key, value in settings.items()) or "of record"


def _chosen_entries(folder: Path, search: str, record: str, baseline: str) -> list[Entry]:
    text = (folder / search).read_text(encoding="utf-8")
    best = chosen(_candidates(yaml.safe_load(text)["search"]), folder / record)
    return [
        Entry(each, best[baseline], f"tuned: {spelled(each.settings)}") for each in best.values()
    ]


def chosen(candidates: Sequence[Trained], record: Path) -> dict[str, Trained]:
    """The candidate of each variant with the best mean of the metrics in the record of a search.

    Raises:
        ValueError: a candidate has no record; run the search first.
    """
    table = read_evidence(record)
    means = table.groupby(["variant", "detail"])["value"].mean().to_dict()
    best: dict[str, tuple[float, Trained]] = {}
    for each in candidates:
        key = (each.variant, spelled(each.settings))
        if key not in means:
            raise ValueError(
                f"search: expected a record of {key[0]!r} with {key[1]!r} in {record}, got none; "
                "run the search first"
            )
        if each.variant not in best or means[key] > best[each.variant][0]:
            best[each.variant] = means[key], each
    return {variant: each for variant, (_, each) in best.items()}


def compare(comparison: Comparison, measure: Measure) -> list[Record]:
    """Records of every entry by split: its runs, their means, the differences to its baseline.

    Args:
        comparison: what is compared.
        measure: the measured runs of a variant on a split, one per seed.
    """
    records = []
    for split in comparison.splits:
        for entry in comparison.entries:
            ours = measure(entry.trained, split)
            name = entry.trained.name(ours[0].run.config)
            setting = entry.name or name.partition(", ")[2] or None
            single = [record for one in ours for record in run_records(one)]
            own = [*single, *over_seeds(ours, single)]
            if entry.baseline and entry.baseline != entry.trained:
                theirs = measure(entry.baseline, split)
                names = (name, theirs[0].run.config.name)
                if entry.name:
                    names = (entry.trained.variant, entry.baseline.variant)
                own += differences(ours, theirs, names)
            records += [replace(record, setting=setting) for record in own]
    wanted = comparison.metrics
    return [r for r in records if not wanted or r.metric.removesuffix("_difference") in wanted]


def searched(comparison: Comparison, measure: Measure) -> list[Record]:
    """Records of a search: the means of the metrics, each under the settings that were tried."""
    records = []
    for split in comparison.splits:
        for entry in comparison.entries:
            own = [record for one in measure(entry.trained, split) for record in run_records(one)]
            tried = spelled(entry.trained.settings)
            records += [
                replace(record, metric=f"{record.metric}_search", detail=tried, setting=None)
                for record in own
                if record.metric in comparison.metrics and record.detail == "mean"
            ]
    return records


def main() -> None:
    """Run what is missing and write the evidence."""
    parser = study_parser(__doc__)
    parser.add_argument("comparison", type=Path, help="YAML file")
    options = parser.parse_args()
    comparison = read_comparison(options.comparison)
    check_record(options.record)
    material = material_of(options)
    every = [t for e in comparison.entries for t in (e.trained, e.baseline) if t is not None]
    configs = list(dict.fromkeys(config for each in every for config in comparison.configs(each)))
    finished = sweep(configs, material, options.out, jobs=options.jobs, report=print)
    runs = dict(zip(configs, finished, strict=True))
    measured = cache(lambda config, split: measure_run(runs[config], material, split))

    def measure(trained: Trained, split: str) -> list[Measured]:
        return [measured(config, split) for config in comparison.configs(trained)]

    if comparison.as_study:
        grouped = {
            configs[0].name: [runs[config] for config in configs]
            for configs in map(comparison.configs, every)
        }
        changed = {comparison.configs(entry.trained)[0].name for entry in comparison.entries}
        records = [r for r in study_records(grouped, material) if _names(r) & changed]
    else:
        records = (searched if comparison.is_search else compare)(comparison, measure)
    for r in records:
        if r.metric.startswith(METRICS) and (comparison.is_search or r.detail.endswith("mean")):
            print(f"{r.variant}, {r.setting}, {r.split}: {r.metric} ({r.detail}) {r.value:.3f}")
    print(f"wrote {write_evidence(options.record, records)}")


def _names(record: Record) -> set[str]:
    """The names of what a record is of, and of what it is compared with."""
    own = f"{record.variant}, {record.setting}" if record.setting else record.variant
    return {own, record.detail.partition(" minus ")[2].rpartition(": ")[0]}


if __name__ == "__main__":
    main()
