"""The ledger: each claim of the paper beside what the evidence records say, and who made them."""

import pandas as pd

from offclip.study import overview, pooled
from offclip.study.tables import of_the_study

STUDY = "`offclip study`"
REAL = "`benchmarks.real_images`"
HEADER = "| The paper says | Measured here | Verdict | Where, and by which command |"


def ledger_table(records: pd.DataFrame) -> str:
    """Markdown table of claims; the verdicts follow from the intervals, by :func:`verdict`.

    Raises:
        ValueError: one name stands for several studies.
    """
    study = of_the_study(records)
    study = study[study["head"] == "cross_attention"]
    settings = records["setting"].fillna("")
    real = records[settings.str.split(", ").str[-1] == "equalised"]
    tuned = records[(records["variant"] == "offclip") & settings.str.match("tuned: ")]
    rows = [*_on_phantoms(study, tuned), *(_on_radiographs(real) if len(real) else [])]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([HEADER, "|---|---|---|---|", *lines])


def verdict(row: pd.Series) -> str:
    """What a difference says of a claim that it is above 0."""
    if row["low"] > 0:
        return "agrees"
    return "disagrees" if row["high"] < 0 else "not seen"


def _on_phantoms(study: pd.DataFrame, tuned: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    table = overview(study)
    lowest = table["normal, lowest prompt"]
    raw, prompted = (lowest[label] < 0.5 for label in ("infonce, raw", "infonce"))
    words = {True: "agrees", False: "disagrees"}
    chance = _mean(study, "offclip", "pointing_chance")
    return [
        (
            "Models trained with InfoNCE invert normality: CARZero at most 0.39 on VinDr-CXR "
            "(from the abstract's +0.61).",
            f"Raw sentences: normality AUC {_range(table, 'infonce, raw')} over the prompts. "
            f"Prompted: {_range(table, 'infonce')}.",
            f"{words[raw]} for raw sentences, {words[prompted]} for prompts",
            f"[1](notebooks/01_why_normal), {STUDY}",
        ),
        (
            "OFF-CLIP repairs it: normal AUC +0.61 over CARZero on VinDr-CXR.",
            f"`offclip`: {_range(table, 'offclip')} over the prompts. Mean over the prompts "
            f"{_difference(study, 'normal_auc', 'infonce@raw')} against raw `infonce`, "
            f"{_difference(study, 'normal_auc', 'infonce')} against prompted `infonce`.",
            _both(study, "normal_auc", ("infonce@raw", "infonce")) + "; VinDr-CXR not tested",
            f"[8](notebooks/08_ablation), {STUDY}",
        ),
        (
            "It is more confident that normal is normal.",
            "Margin between normal and abnormal cases, in units of their spread: "
            f"{_difference(study, 'normal_margin', 'infonce')} against prompted `infonce`, "
            f"{_difference(study, 'normal_margin', 'infonce+filter')} against `infonce+filter`.",
            _each(study, "normal_margin"),
            f"[9](notebooks/09_zero_shot), {STUDY}",
        ),
        (
            "Abnormal classification does not suffer.",
            f"Mean abnormal AUC (POS) {_difference(study, 'abnormal_auc_pos', 'infonce')}, (PNC) "
            f"{_difference(study, 'abnormal_auc_pnc', 'infonce')} against prompted `infonce`; "
            f"(POS) {_difference(study, 'abnormal_auc_pos', 'infonce+filter')} against "
            "`infonce+filter`.",
            _each(study, "abnormal_auc_pos"),
            f"[9](notebooks/09_zero_shot), {STUDY}",
        ),
        (
            "The off-diagonal loss is needed beside the filter.",
            "Against `infonce+filter`: mean normality AUC "
            f"{_difference(study, 'normal_auc', 'infonce+filter')}, mean abnormal AUC (POS) "
            f"{_difference(study, 'abnormal_auc_pos', 'infonce+filter')}. Each at its best setting "
            f"on validation: {_signed(_row(tuned, 'normal_auc', 'infonce+filter'))}, "
            f"{_signed(_row(tuned, 'abnormal_auc_pos', 'infonce+filter'))}.",
            f"{verdict(_row(study, 'normal_auc', 'infonce+filter'))}; "
            f"{verdict(_row(tuned, 'normal_auc', 'infonce+filter'))} at its best setting",
            f"[8](notebooks/08_ablation), {STUDY}, `benchmarks.compare`",
        ),
        (
            "Anomalies are localised better.",
            f"Pointing {_mean(study, 'infonce')} for `infonce`, "
            f"{_mean(study, 'infonce+filter')} for `infonce+filter`, "
            f"{_mean(study, 'offclip')} for `offclip`; chance {chance}, a pointer that knows "
            f"places and no image {_prior(study)}. `offclip` minus "
            f"`infonce` {_difference(study, 'pointing', 'infonce')}, minus `infonce+filter` "
            f"{_difference(study, 'pointing', 'infonce+filter')}.",
            _each(study, "pointing"),
            f"[10](notebooks/10_grounding), {STUDY}",
        ),
    ]


def _on_radiographs(real: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    def row(name: str, other: str, metric: str) -> pd.Series:
        return _only(real, f"{metric}_difference", f"{name} minus {other}: mean", "cross-fitted")

    def both(metric: str) -> tuple[str, str]:
        told, said = [], []
        for other in ("infonce", "infonce+filter"):
            found = row("offclip, from phantoms", f"{other}, from phantoms", metric)
            told.append(f"{_signed(found)} against `{other}`")
            said.append(f"{verdict(found)} against `{other}`")
        return ", ".join(told), "; ".join(said)

    normal, on_normal = both("normal_auc")
    abnormal, on_abnormal = both("abnormal_auc_pos")
    where = f"[11](notebooks/11_real_images), {REAL}"
    return [
        (
            "The same on real radiographs: normality.",
            "710 of NIH's with equal histograms and borrowed text, from phantom weights: mean over "
            f"the prompts {normal}.",
            on_normal,
            where,
        ),
        (
            "The same on real radiographs: abnormal classes.",
            f"Mean abnormal AUC (POS) {abnormal}.",
            on_abnormal,
            where,
        ),
    ]


def _only(records: pd.DataFrame, metric: str, detail: str, split: str = "test") -> pd.Series:
    """The one mean over seeds with this detail."""
    rows = pooled(records, metric, split=split).query("detail == @detail")
    if len(rows) != 1:
        found = ", ".join(map(repr, rows["label"])) or "none"
        raise ValueError(f"records: expected one {metric} of {detail!r} on {split}, got {found}")
    return rows.iloc[0]


def _both(records: pd.DataFrame, metric: str, others: tuple[str, ...]) -> str:
    said = {verdict(_row(records, metric, other)) for other in others}
    return said.pop() if len(said) == 1 else "agrees in part"


def _each(records: pd.DataFrame, metric: str) -> str:
    others = ("infonce", "infonce+filter")
    said = [f"{verdict(_row(records, metric, other))} against `{other}`" for other in others]
    return "; ".join(said)


def _range(table: pd.DataFrame, label: str) -> str:
    low, high = (table.loc[label, f"normal, {end} prompt"] for end in ("lowest", "highest"))
    return f"{low:.3f} to {high:.3f}"


def _row(records: pd.DataFrame, metric: str, other: str) -> pd.Series:
    return _only(records, f"{metric}_difference", f"offclip minus {other}: mean")


def _difference(records: pd.DataFrame, metric: str, other: str) -> str:
    return _signed(_row(records, metric, other))


def _mean(records: pd.DataFrame, label: str, metric: str = "pointing") -> str:
    table = pooled(records, metric).query("detail == 'mean'").set_index("label")
    return f"{table.loc[label, 'value']:.3f}"


def _prior(records: pd.DataFrame) -> str:
    blind = records[(records["variant"] == "no model") & records["setting"].isna()]
    return f"{_only(blind, 'pointing_by_map', 'prior: mean')['value']:.3f}"


def _signed(row: pd.Series) -> str:
    return "{value:+.3f} [{low:+.3f}, {high:+.3f}]".format(**row)
