"""Evidence records of a model on a published set, and both protocols side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from offclip.evaluation import Record, RunInfo, percentile_interval
from offclip.evaluation.published_protocol import ACCURACY, AUC, MACRO, POOLED, PublishedNumbers
from offclip.study.benchmark.measures import Measures

FIRST_PROMPT = "there is no finding"


@dataclass(frozen=True)
class ModelName:
    """How evidence names a model.

    Attributes:
        variant: of the study, or the name of a checkpoint.
        prompting: ``raw`` or ``prompted``; None: not known.
        seed: of its run; None: not known.
    """

    variant: str
    prompting: str | None = None
    seed: int | None = None


def corrected_records(origin: RunInfo, split: str, measures: Measures) -> list[Record]:
    """A record for each answer; with an interval where it was resampled."""
    records = []
    for key, (value, resampled) in measures.answers.items():
        interval, method = None, f"bootstrap over patients, {len(resampled)} resamples"
        finite = resampled[np.isfinite(resampled)]  # a resample may lack positives, or negatives
        if len(finite):
            bounds = percentile_interval(value, finite)
            interval = (bounds.low, bounds.high)
        records.append(
            origin.record(
                split, *key, value, measures.counts[key], interval=interval, method=method
            )
        )
    return records


def published_records(
    origin: RunInfo, numbers: PublishedNumbers, n: int, variant: str = ""
) -> list[Record]:
    """A record for each published number; the protocol has no intervals.

    Args:
        origin: of the evaluation.
        numbers: of the published protocol.
        n: images.
        variant: if the images were not those that the corrected protocol took.
    """
    origin = replace(origin, variant=variant or origin.variant)
    return [origin.record("test", *key, value, n) for key, value in numbers.values.items()]


def side_by_side(
    records: Sequence[Record], normal: str = "", *, missing: int = 0, unknown: int = 0
) -> pd.DataFrame:
    """Columns ``published`` and ``corrected``, a row for each question that one of them answers.

    Args:
        records: of one evaluation.
        normal: the class that says normal in the published protocol, or "".
        missing: test images without scores; a row of the table if there are any.
        unknown: prompts without scores, likewise.
    """
    main = [each for each in records if each.split == "test"]
    value = {(each.metric, each.detail): each.value for each in main}
    count = {each.metric: each.n for each in reversed(main) if each.detail != "mean"}
    prompts = [v for (m, d), v in value.items() if m == "normal_auc" and d != "mean"]
    empty = float("nan")
    units = [count[m] for m in ("normal_auc", "normal_auc_free", "pointing") if m in count]
    rows: Mapping[str, tuple[float, float]] = {
        "images | studies": (count.get(AUC, empty), units[0] if units else empty),
        "test images without scores": (missing or empty, missing or empty),
        "prompts with an unknown word": (unknown or empty, unknown or empty),
        "normal: “there is no finding”": (
            value.get((AUC, normal), empty), value.get(("normal_auc", FIRST_PROMPT), empty),
        ),
        "normal: worst prompt": (empty, min(prompts, default=empty)),
        "normal: mean of the prompts": (empty, value.get(("normal_auc", "mean"), empty)),
        "normal: minus the finding scores": (
            empty, next((v for (m, _), v in value.items() if m == "normal_auc_free"), empty),
        ),
        "classes in the mean": (_classes(main, AUC), _classes(main, "abnormal_auc_pos")),
        "mean AUC (published: normal among them)": (
            value.get((AUC, MACRO), empty), value.get(("abnormal_auc_pos", "mean"), empty),
        ),
        "mean AUC, minus “there is no X”": (
            empty, value.get(("abnormal_auc_pnc", "mean"), empty),
        ),
        "mean accuracy | balanced, of normality": (
            value.get((ACCURACY, MACRO), empty),
            value.get(("normal_balanced_accuracy", "mean"), empty),
        ),
        "pooled AUC": (value.get((POOLED[0], "all classes"), empty), empty),
        "pointing": (empty, value.get(("pointing", "mean"), empty)),
        "pointing of a blind guess": (empty, value.get(("pointing_chance", "mean"), empty)),
    }  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["published", "corrected"])
    return table[table.notna().any(axis=1)]


def _classes(records: Sequence[Record], metric: str) -> float:
    named = [r for r in records if r.metric == metric and not r.detail.startswith((MACRO, "mean"))]
    return float(len(named)) if named else float("nan")
