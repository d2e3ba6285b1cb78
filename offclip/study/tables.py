"""Tables from evidence records, for figures and the book's pages."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
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
KEY = ["label", "split", "metric", "detail"]  # a name, and the number that it stands for
FACTS = ["dataset", "head", "n"]
ROUNDING = 2e-6  # records have six digits


def recorded(
    folder: str | Path, *, head: str = "cross_attention", beside: bool = False
) -> pd.DataFrame:
    """The study's evidence records of one head from the files of ``folder``.

    Args:
        folder: of the CSV files.
        head: of the models.
        beside: also what was run beside the study's variants: filters made worse on purpose, other
            first biases, TIER.

    Raises:
        FileNotFoundError: there are none; the message says where they come from.
        ValueError: one name of the study stands for several studies, see :func:`check_names`.
    """
    table = read_evidence(folder)
    table = table[(table["dataset"] == DATASET) & (table["head"] == head)]
    if not beside:
        table = of_the_study(table)
    if table.empty:
        raise FileNotFoundError(
            f"records: expected evidence of the {head!r} head in CSV files of {str(folder)!r}, "
            "found none; they come with the repository (git checkout -- book/results), "
            "and python -m offclip study makes them anew"
        )
    return table.reset_index(drop=True)


def of_the_study(records: pd.DataFrame) -> pd.DataFrame:
    """Leave out what was trained in addition to the variants of :data:`VARIANT_ORDER`.

    Raises:
        ValueError: one name stands for several studies of one head, see :func:`check_names`.
    """
    without_text = records["prompting"].isna()
    chosen = records[labels(records).isin(VARIANT_ORDER) | without_text]
    for _, part in chosen[chosen["prompting"].notna()].groupby("head"):
        check_names(part)
    other = chosen["detail"].str.extract("^.+? minus (.+?): ")[0].str.replace("@raw", ", raw")
    return chosen[other.isna() | other.isin(VARIANT_ORDER)]


def labels(records: pd.DataFrame) -> pd.Series:
    """Variant names, with their setting behind them, and ``raw`` if trained on raw sentences."""
    raw = records["prompting"].map({"raw": ", raw"}).fillna("")
    return records["variant"] + (", " + records["setting"]).fillna("") + raw


def check_names(records: pd.DataFrame) -> None:
    """Refuse records of several configurations, datasets or populations under one name.

    For each split, metric and detail, a name stands for one value by seed and one mean over the
    seeds, all of them on the same cases. The mean lists the configurations of its runs (a hash,
    the seed included), and the values by seed must have these and no others. A mean that lists a
    single configuration may stand for more runs if it is the mean of their values.

    Args:
        records: of one head, as :func:`offclip.evaluation.read_evidence` gives them.

    Raises:
        ValueError: names what differs.
    """
    named = records.assign(label=labels(records))
    named["twice"] = named.duplicated([*KEY, "seed"])
    grouped = named.groupby(KEY, dropna=False, sort=False)
    several = grouped[FACTS].nunique(dropna=False).gt(1).any(axis=1)
    wrong = several | grouped["twice"].any()
    if not wrong.any():
        wrong = _other_runs(named)
    if wrong.any():
        _refuse(grouped.get_group(wrong.idxmax()))


def _other_runs(named: pd.DataFrame) -> pd.Series:
    """By name: whether the values by seed are of other runs than their mean."""
    over = named["seed"].isna()
    by_seed = named[~over].groupby(KEY, dropna=False)
    both = named[over].set_index(KEY)[["config", "value"]].join(
        by_seed.agg(configs=("config", frozenset), mean=("value", "mean")), how="inner"
    )  # fmt: skip
    listed = both["config"].str.split(", ").map(frozenset)
    is_mean = np.isclose(both["value"], both["mean"], rtol=0, atol=ROUNDING)
    return (listed != both["configs"]) & ((listed.map(len) > 1) | ~is_mean)


def _refuse(records: pd.DataFrame) -> NoReturn:
    """Raise for records that cannot have one name: what they are of, values of a mean aside."""
    first = records.iloc[0]
    of = list(dict.fromkeys(zip(*(records[name] for name in (*FACTS, "config")), strict=True)))
    means = {(*facts, run) for *facts, config in of if ", " in config for run in config.split(", ")}
    got = "; ".join(
        "dataset {}, head {}, n {}, config {}".format(*each) for each in of if each not in means
    )
    raise ValueError(
        f"records: expected one study under the name {first['label']!r} for {first['metric']} "
        f"({first['detail']}, {first['split']}), got {got}; give the other runs a name of their "
        "own (evaluate --name, or a setting behind the variant's name), or leave their file out"
    )


def pooled(records: pd.DataFrame, metric: str, *, split: str = "test") -> pd.DataFrame:
    """Means over seeds of one metric, a row for each name and detail.

    Columns ``label, detail, value, low, high, n, seeds, config``: ``seeds`` counts the records by
    seed that the mean is of (NaN: there are none, as for differences), ``config`` lists its runs.

    Args:
        records: as :func:`offclip.evaluation.read_evidence` gives them.
        metric: name of the metric.
        split: evidence split.

    Raises:
        ValueError: there is no such record, the message names the metrics that are there; or one
            name stands for several studies, see :func:`check_names`.
    """
    named = records[(records["metric"] == metric) & (records["split"] == split)]
    chosen = named[named["seed"].isna()]
    if chosen.empty:
        known = ", ".join(sorted(records["metric"].unique()))
        raise ValueError(
            f"metric: no record over seeds of {metric!r} on {split!r}; there are: {known}"
        )
    check_names(named)
    table = pd.DataFrame(
        {
            "label": labels(chosen).to_numpy(),
            "detail": chosen["detail"].to_numpy(),
            "value": chosen["value"].to_numpy(),
            "low": chosen["low"].to_numpy(),
            "high": chosen["high"].to_numpy(),
            "n": chosen["n"].to_numpy(),
        }
    )
    by_seed = named[named["seed"].notna()]
    seeds = by_seed.groupby([labels(by_seed), by_seed["detail"]])["seed"].nunique()
    table["seeds"] = seeds.reindex(pd.MultiIndex.from_frame(table[["label", "detail"]])).to_numpy()
    table["config"] = chosen["config"].to_numpy()
    rank = {name: place for place, name in enumerate(VARIANT_ORDER)}
    return table.sort_values("label", key=lambda s: s.map(rank), kind="stable", ignore_index=True)


def overview(records: pd.DataFrame, *, split: str = "test") -> pd.DataFrame:
    """One row a variant: lowest and highest normality prompt, abnormal AUC, pointing and chance.

    Raises:
        ValueError: one name stands for several studies.
    """
    tables = {"normal_auc": pooled(records, "normal_auc", split=split)}
    prompts = tables["normal_auc"].query("detail != 'mean'").groupby("label", sort=False)
    columns = {
        "seeds": prompts["seeds"].max(),
        "normal, lowest prompt": prompts["value"].min(),
        "normal, highest prompt": prompts["value"].max(),
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
        table = tables[metric] = pooled(records, metric, split=split)
        table = table if metric == "normal_auc_free" else table[table["detail"] == "mean"]
        columns[name] = table.set_index("label")["value"]
    _check_rows(tables)
    return pd.DataFrame(columns)


def _check_rows(tables: Mapping[str, pd.DataFrame]) -> None:
    """Refuse a row whose columns, tables of :func:`pooled` by metric, are of several studies."""
    rows = pd.concat(tables, names=["metric"]).reset_index("metric")
    rows = rows.drop_duplicates(["label", "config"])
    several = rows[rows["label"].duplicated(keep=False)]
    if len(several):
        name = several["label"].iloc[0]
        each = several[several["label"] == name]
        got = "; ".join(f"{row.metric} of config {row.config}" for row in each.itertuples())
        raise ValueError(
            f"records: expected one study in the row {name!r}, got {got}; give the other runs a "
            "name of their own, or leave their file out"
        )


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
        ValueError: one label stands for several studies.
    """
    columns, tables = {}, {}
    for name, metric in metrics.items():
        tables[metric] = pooled(records, metric).query("detail == 'mean'")
        means = tables[metric].set_index("label")
        columns[name] = [
            "{value:.3f} [{low:.3f}, {high:.3f}]".format(**means.loc[label]) for label in labels
        ]
    _check_rows(tables)
    return pd.DataFrame(columns, index=list(labels))
