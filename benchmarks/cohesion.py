"""Do normal images gather? Alignment, uniformity and silhouette of finished runs, on test.

    python -m benchmarks.cohesion --record book/results/cohesion.csv

Image features as the head takes them up (``head.local`` of the pooled vector), drawable cases of
the test split. Nothing is trained; a run that is missing is named.
"""

from dataclasses import replace

import numpy as np
import torch

from benchmarks._common import material_of, run_of_record, study_parser
from offclip.evaluation import Record, write_evidence
from offclip.evaluation.cohesion import cohesion
from offclip.evaluation.scoring import image_batches
from offclip.study import Material, Run, load_model
from offclip.study.material import DATASET
from offclip.study.measured import run_info
from offclip.study.pooling import check_once

VARIANTS = ("infonce@raw", "infonce", "infonce+filter", "offdiag_bce", "offdiag_bce+filter",
            "offdiag_soft", "offdiag_soft+filter", "offclip")  # fmt: skip


def main() -> None:
    """Measure every run and write the evidence."""
    parser = study_parser(__doc__, trains=False)
    parser.add_argument("--head", default="cross_attention")
    parser.add_argument("--variants", nargs="+", default=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    check_once("--seeds", options.seeds)
    material = material_of(options)
    records: list[Record] = []
    for label in options.variants:
        runs = [
            run_of_record(label, seed, options.head, options.out, material)
            for seed in options.seeds
        ]
        found = [(run, measured(run, material)) for run in runs]
        records += _records(found, len(material.cases("test")))
        print(f"{label:20}", {r.metric: round(r.value, 3) for r in records[-3:]}, flush=True)
    print(f"wrote {write_evidence(options.record, records)}")


@torch.no_grad()
def measured(run: Run, material: Material) -> dict[str, float]:
    """Cohesion of the test images of one run."""
    model = load_model(run)
    cases = material.cases("test")
    pictures = material.pictures(cases, model.picture_size).draw(0)
    parts = image_batches(model, pictures, 128)
    pooled = torch.cat([model.encode_images(images).pooled for images in parts])
    features = model.head.local(pooled).numpy().astype(np.float64)
    return cohesion(features, cases["is_normal"].to_numpy(dtype=bool))


def _records(found: list[tuple[Run, dict[str, float]]], n: int) -> list[Record]:
    """Each run by its seed, then the means over the runs, which name all of them."""
    runs = [run for run, _ in found]
    rows = [(run_info([run], DATASET), values) for run, values in found]
    means = {name: float(np.mean([v[name] for _, v in found])) for name in found[0][1]}
    pooled = run_info(runs, DATASET, pooled=True)
    return [
        replace(info, minutes=0.0).record("test", f"normal_{name}", "image features", value, n)
        for info, values in [*rows, (pooled, means)]
        for name, value in values.items()
    ]


if __name__ == "__main__":
    main()
