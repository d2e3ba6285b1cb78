"""Do normal images gather? Alignment, uniformity and silhouette of finished runs, on test.

    python -m benchmarks.cohesion --record book/results/cohesion.json

Image features as the head takes them up (``head.local`` of the pooled vector), drawable cases of
the test split. Nothing is trained; a run that is missing is named.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
import yaml

from offclip.data.curate import curate
from offclip.evaluation import Record, write_evidence
from offclip.evaluation.cohesion import cohesion
from offclip.study import Material, Run, finished_run, load_model, run_config
from offclip.study.material import DATASET
from offclip.study.run import run_folder

VARIANTS = ("infonce@raw", "infonce", "infonce+filter", "offdiag_bce", "offdiag_bce+filter",
            "offdiag_soft", "offdiag_soft+filter", "offclip")  # fmt: skip


def main() -> None:
    """Measure every run and write the evidence."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="runs/data", help="folder of the records")
    parser.add_argument("--out", default="runs", help="folder of the runs")
    parser.add_argument("--head", default="cross_attention")
    parser.add_argument("--variants", nargs="+", default=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--record", required=True, help="JSON file for the evidence")
    options = parser.parse_args()
    settings = yaml.safe_load(Path(__file__).with_name("study.yaml").read_text(encoding="utf-8"))
    material = Material(curate(options.data).records, Path(options.out) / "draws")
    records: list[Record] = []
    for label in options.variants:
        variant, _, prompting = label.partition("@")
        own = {**settings, **({"prompting": prompting} if prompting else {})}
        found = []
        for seed in options.seeds:
            config = run_config(variant, head=options.head, seed=seed, **own)
            run = finished_run(options.out, config, material)
            if run is None:
                folder = run_folder(options.out, config, material)
                parser.error(f"no finished run in {folder}; run the study first")
            found.append((run, measured(run, material)))
        records += _records(found, len(material.cases("test")))
        print(f"{label:20}", {r.metric: round(r.value, 3) for r in records[-3:]}, flush=True)
    print(f"wrote {write_evidence(options.record, records)}")


@torch.no_grad()
def measured(run: Run, material: Material) -> dict[str, float]:
    """Cohesion of the test images of one run."""
    model, _ = load_model(run)
    cases = material.cases("test")
    images = material.images(cases, run.config.model.image_size)
    pooled = torch.cat([model.encode_images(part).pooled for part in images.split(128)])
    features = model.head.local(pooled).numpy().astype(np.float64)
    return cohesion(features, cases["is_normal"].to_numpy(dtype=bool))


def _records(found: list[tuple[Run, dict[str, float]]], n: int) -> list[Record]:
    """Each run by its seed, then the means over the runs."""
    rows = [(run, run.config.train.seed, values) for run, values in found]
    means = {name: float(np.mean([v[name] for _, v in found])) for name in found[0][1]}
    return [
        Record(
            dataset=DATASET, split="test", variant=run.config.name,
            prompting=run.config.prompting, head=run.config.model.head, metric=f"normal_{name}",
            detail="image features", seed=seed, value=value, unit="", interval=None,
            interval_method=None, n=n, config=str(run.about["config"]),
            commit=str(run.about["commit"]), device=str(run.about["device"]), minutes=0.0,
        )
        for run, seed, values in [*rows, (found[0][0], None, means)]
        for name, value in values.items()
    ]  # fmt: skip


if __name__ == "__main__":
    main()
