"""Tables from evidence records, for figures and the book's pages."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from offclip.evaluation import read_evidence
from offclip.study.material import DATASET

VARIANT_ORDER = [
    "infonce, raw",
    "infonce",
    "infonce+filter",
    "offdiag_bce",
    "offdiag_bce+filter",
    "offdiag_soft",
    "offdiag_soft+filter",
    "offclip",
]


def recorded(
    folder: str | Path, *, head: str = "cross_attention", beside: bool = False
) -> pd.DataFrame:
    """The study's evidence records of one head from the JSON files of ``folder``.

    Args:
        folder: of the JSON files.
        head: of the models.
        beside: also what was run beside the study's variants: filters made worse on purpose, other
            first biases, TIER.

    Raises:
        FileNotFoundError: there are none; the message says where they come from.
    """
    table = read_evidence(*sorted(Path(folder).glob("*.json")))
    table = table[(table["dataset"] == DATASET) & (table["head"] == head)]
    if not beside:
        table = of_the_study(table)
    if table.empty:
        raise FileNotFoundError(
            f"records: expected evidence of the {head!r} head in JSON files of {str(folder)!r}, "
            "found none; they come with the repository (git checkout -- book/results), "
            "and python -m offclip study makes them anew"
        )
    return table.reset_index(drop=True)


def of_the_study(records: pd.DataFrame) -> pd.DataFrame:
    """Leave out what was trained beside the variants of :data:`VARIANT_ORDER`."""
    known = labels(records).isin(VARIANT_ORDER) | records["prompting"].isna()
    return records[known & ~records["detail"].str.contains("filter errors", regex=False)]


def labels(records: pd.DataFrame) -> pd.Series:
    """Variant names, with ``, raw`` behind those trained on raw sentences."""
    return records["variant"] + records["prompting"].map({"raw": ", raw", "prompted": ""})


def pooled(records: pd.DataFrame, metric: str, *, split: str = "test") -> pd.DataFrame:
    """Records over seeds of one metric: columns ``label, detail, value, low, high, n``.

    Args:
        records: as :func:`offclip.evaluation.read_evidence` gives them.
        metric: name of the metric.
        split: evidence split.

    Raises:
        ValueError: there is no such record; the message names the metrics that are there.
    """
    chosen = records[
        (records["metric"] == metric) & (records["split"] == split) & records["seed"].isna()
    ]
    if chosen.empty:
        known = ", ".join(sorted(records["metric"].unique()))
        raise ValueError(
            f"metric: no record over seeds of {metric!r} on {split!r}; there are: {known}"
        )
    bounds = [pair if isinstance(pair, list) else (None, None) for pair in chosen["interval"]]
    table = pd.DataFrame(
        {
            "label": labels(chosen).to_numpy(),
            "detail": chosen["detail"].to_numpy(),
            "value": chosen["value"].to_numpy(),
            "low": [low for low, _ in bounds],
            "high": [high for _, high in bounds],
            "n": chosen["n"].to_numpy(),
        }
    )
    rank = {name: place for place, name in enumerate(VARIANT_ORDER)}
    return table.sort_values("label", key=lambda s: s.map(rank), kind="stable", ignore_index=True)


def overview(records: pd.DataFrame, *, split: str = "test") -> pd.DataFrame:
    """One row a variant: lowest and highest normality prompt, abnormal AUC, pointing and chance."""
    normal = pooled(records, "normal_auc", split=split)
    normal = normal[normal["detail"] != "mean"].groupby("label", sort=False)["value"]
    here = records[(records["split"] == split) & records["seed"].notna()]
    columns = {
        "seeds": here["seed"].groupby(labels(here)).nunique().reindex(normal.min().index),
        "normal, lowest prompt": normal.min(),
        "normal, highest prompt": normal.max(),
    }
    for name, metric in (
        ("normal, free", "normal_auc_free"),
        ("abnormal, POS", "abnormal_auc_pos"),
        ("abnormal, PNC", "abnormal_auc_pnc"),
        ("pointing", "pointing"),
        ("chance", "pointing_chance"),
    ):
        if not ((records["metric"] == metric) & (records["split"] == split)).any():
            continue  # a cosine head does not point, and only the test split's boxes are asked
        table = pooled(records, metric, split=split)
        table = table if metric == "normal_auc_free" else table[table["detail"] == "mean"]
        columns[name] = table.set_index("label")["value"]
    return pd.DataFrame(columns)


def spelled(
    records: pd.DataFrame, labels: Sequence[str], metrics: Mapping[str, str]
) -> pd.DataFrame:
    """Means over the seeds with their intervals, as text: a row for each label, in this order.

    Args:
        records: as :func:`recorded` gives them.
        labels: of the rows.
        metrics: heading of a column to the metric whose mean over prompts or classes stands there.

    Raises:
        KeyError: a label has no record of one of the metrics.
    """
    columns = {}
    for name, metric in metrics.items():
        means = pooled(records, metric).query("detail == 'mean'").set_index("label")
        columns[name] = [
            "{value:.3f} [{low:.3f}, {high:.3f}]".format(**means.loc[label]) for label in labels
        ]
    return pd.DataFrame(columns, index=list(labels))
