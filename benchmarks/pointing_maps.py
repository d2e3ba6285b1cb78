"""Which map points best: attention, gradient, or each patch alone?

    python -m benchmarks.pointing_maps --record book/results/pointing_maps.json

Plays the pointing game of the study with each kind of map on finished runs (nothing is trained; a
run that is missing is named). Validation chooses the kind of a variant, test reports all of them;
both are recorded. Kinds: see ``offclip.evaluation.attention_maps``. Without attention, the cosine
head has two.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks._common import material_of, run_of_record, study_parser
from offclip.evaluation import (
    Interval,
    Record,
    bootstrap_pointing,
    percentile_interval,
    resampled_over_seeds,
    stratified_weights,
    write_evidence,
)
from offclip.study import Material, load_model
from offclip.study.evidence import OVER_SEEDS, RESAMPLES
from offclip.study.material import DATASET, protocol
from offclip.study.run import Run, point

KINDS = {"cross_attention": ("attention", "gradient", "patch"), "cosine": ("gradient", "patch")}
VARIANTS = ("infonce@raw", "infonce", "infonce+filter", "offdiag_bce", "offdiag_bce+filter",
            "offdiag_soft", "offdiag_soft+filter", "offclip")  # fmt: skip


def main() -> None:
    """Point with every run and write the evidence."""
    parser = study_parser(__doc__, trains=False)
    parser.add_argument("--head", default="cross_attention", choices=sorted(KINDS))
    parser.add_argument("--variants", nargs="+", default=VARIANTS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    options = parser.parse_args()
    material = material_of(options)
    records: list[Record] = []
    for label in options.variants:
        runs = [
            run_of_record(label, seed, options.head, options.out, material)
            for seed in options.seeds
        ]
        for split in ("validation", "test"):
            for kind in KINDS[options.head]:
                records += point_records(runs, material, split, kind)
                last = records[-1]
                print(
                    f"{label:20} {split:10} {kind:9} {last.value:.3f} {last.interval}", flush=True
                )
    print(f"wrote {write_evidence(options.record, records)}")


def point_records(runs: Sequence[Run], material: Material, split: str, kind: str) -> list[Record]:
    """The mean over classes of each run, then over the runs with images and seeds resampled."""
    asked, cases = protocol(), material.cases(split)
    weights = stratified_weights(cases["is_normal"].to_numpy(), resamples=RESAMPLES, seed=0)
    answers, counts = [], []
    for run in runs:
        size = run.config.model.image_size
        hits = point(*load_model(run), material, asked, size, split=split, kind=kind)
        ids, least = list(cases["study_id"]), asked.min_positives
        found = bootstrap_pointing(hits, ids, weights, least=least)
        answers.append(found["mean"])
        counts.append(int(hits["label"].isin(list(found)).sum()))

    def record(run: Run, value: float, interval: Interval, *, pooled: bool) -> Record:
        abouts = [each.about for each in (runs if pooled else [run])]
        return Record(
            dataset=DATASET, split=split, variant=run.config.name,
            prompting=run.config.prompting, head=run.config.model.head,
            metric="pointing_by_map", detail=f"{kind}: mean",
            seed=None if pooled else run.config.train.seed, value=value, unit="",
            interval=(interval.low, interval.high),
            interval_method=OVER_SEEDS if pooled else OVER_SEEDS.replace(" and seeds", ""),
            n=counts[0], config=", ".join(dict.fromkeys(str(a["config"]) for a in abouts)),
            commit=", ".join(dict.fromkeys(str(a["commit"]) for a in abouts)),
            device=str(run.about["device"]), minutes=0.0,
        )  # fmt: skip

    each = [
        record(run, value, percentile_interval(value, drawn), pooled=False)
        for run, (value, drawn) in zip(runs, answers, strict=True)
    ]
    mean = float(np.mean([value for value, _ in answers]))
    drawn = resampled_over_seeds(np.stack([resampled for _, resampled in answers]))
    return [*each, record(runs[0], mean, percentile_interval(mean, drawn), pooled=True)]


if __name__ == "__main__":
    main()
