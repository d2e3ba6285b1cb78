"""The tables of the README and of the ledger, made from the evidence records and never typed.

Run ``python -m book.results_table`` to write them between the marks of each page; a test compares.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from book.execute import ROOT
from offclip.evaluation import read_evidence
from offclip.files import write_text
from offclip.study import overview, pooled
from offclip.study.tables import of_the_study

START, END = "<!-- results:start -->", "<!-- results:end -->"
EMPTY = "*No evidence records yet.*"
HEADER = (
    "| Trained with | Seeds | Normality AUC, lowest and highest of the prompts | Abnormal AUC, POS "
    "| Abnormal AUC, PNC | Pointing (chance) |\n|---|---|---|---|---|---|"
)


def read_records(folder: Path = ROOT / "book" / "results") -> pd.DataFrame:
    """The records of the study's variants in ``folder``, file by file in name order."""
    return of_the_study(read_evidence(*sorted(folder.glob("*.json"))))


def results_table(records: pd.DataFrame) -> str:
    """Markdown table: cross-attention head, drawable cases of the test split, means over seeds."""
    chosen = records[(records["head"] == "cross_attention") & (records["split"] == "test")]
    if chosen.empty:
        return EMPTY
    table = overview(chosen)
    pos, pnc, pointing = (
        pooled(chosen, metric).query("detail == 'mean'").set_index("label")
        for metric in ("abnormal_auc_pos", "abnormal_auc_pnc", "pointing")
    )
    rows = [
        f"| `{name}` | {row['seeds']:.0f} "
        f"| {row['normal, lowest prompt']:.3f} to {row['normal, highest prompt']:.3f} "
        f"| {_interval(pos.loc[name])} | {_interval(pnc.loc[name])} "
        f"| {_interval(pointing.loc[name])} ({row['chance']:.3f}) |"
        for name, row in table.iterrows()
    ]
    first = chosen[(chosen["metric"] == "normal_auc") & chosen["seed"].notna()].iloc[0]
    note = (
        f"`{first['dataset']}`, {first['n']} test cases: "
        "mean over seeds, in brackets its 95 % bootstrap interval over images and seeds. "
        f"Commit `{first['commit'][:9]}`."
    )
    return "\n".join([HEADER, *rows, "", note])


def ledger_table(records: pd.DataFrame) -> str:
    """Markdown table of claims: what the paper says, what was measured here, where to read it."""
    chosen = records[records["head"] == "cross_attention"]
    if chosen.empty:
        return EMPTY
    rows = [
        (
            "Models trained with InfoNCE invert normality: CARZero at most 0.39 on VinDr-CXR "
            "(from the abstract's +0.61).",
            f"Raw sentences: normality AUC {_range(chosen, 'infonce, raw')} over the prompts. "
            f"Prompted: {_range(chosen, 'infonce')}.",
            "[1](notebooks/01_why_normal)",
        ),
        (
            "OFF-CLIP repairs it: normal AUC +0.61 over CARZero on VinDr-CXR.",
            f"`offclip`: {_range(chosen, 'offclip')} over the prompts. Mean over the prompts "
            f"{_difference(chosen, 'normal_auc', 'infonce@raw')} against raw `infonce`, "
            f"{_difference(chosen, 'normal_auc', 'infonce')} against prompted `infonce`.",
            "[8](notebooks/08_ablation)",
        ),
        (
            "Abnormal classification does not suffer.",
            f"Mean abnormal AUC (POS) {_difference(chosen, 'abnormal_auc_pos', 'infonce')}, (PNC) "
            f"{_difference(chosen, 'abnormal_auc_pnc', 'infonce')} against prompted `infonce`.",
            "[9](notebooks/09_zero_shot)",
        ),
        (
            "The off-diagonal loss is needed beside the filter.",
            "Against `infonce+filter`: mean normality AUC "
            f"{_difference(chosen, 'normal_auc', 'infonce+filter')}, mean abnormal AUC (POS) "
            f"{_difference(chosen, 'abnormal_auc_pos', 'infonce+filter')}.",
            "[8](notebooks/08_ablation)",
        ),
        (
            "Anomalies are localised better.",
            f"Pointing {_pointing(chosen, 'infonce')} for `infonce`, "
            f"{_pointing(chosen, 'infonce+filter')} for `infonce+filter`, "
            f"{_pointing(chosen, 'offclip')} for `offclip`; chance "
            f"{_pointing(chosen, 'offclip', 'pointing_chance')}. `offclip` minus `infonce` "
            f"{_difference(chosen, 'pointing', 'infonce')}, minus `infonce+filter` "
            f"{_difference(chosen, 'pointing', 'infonce+filter')}.",
            "[10](notebooks/10_grounding)",
        ),
    ]
    lines = [f"| {claim} | {measured} | {where} |" for claim, measured, where in rows]
    return "\n".join(["| The paper says | Measured here | Chapter |", "|---|---|---|", *lines])


def _range(records: pd.DataFrame, label: str) -> str:
    row = overview(records).loc[label]
    return f"{row['normal, lowest prompt']:.3f} to {row['normal, highest prompt']:.3f}"


def _difference(records: pd.DataFrame, metric: str, other: str) -> str:
    table = pooled(records, f"{metric}_difference").set_index("detail")
    return _interval(table.loc[f"offclip minus {other}: mean"], signed=True)


def _pointing(records: pd.DataFrame, label: str, metric: str = "pointing") -> str:
    table = pooled(records, metric).query("detail == 'mean'").set_index("label")
    return f"{table.loc[label, 'value']:.3f}"


def _interval(row: pd.Series, *, signed: bool = False) -> str:
    form = "{:+.3f} [{:+.3f}, {:+.3f}]" if signed else "{:.3f} [{:.3f}, {:.3f}]"
    return form.format(row["value"], row["low"], row["high"])


def memory_table(records: pd.DataFrame) -> str:
    """Markdown table: CPU time and peak memory of the losses at once and in chunks, by batch."""
    chosen = records[records["metric"].isin(("loss_cpu_time", "loss_peak_memory"))]
    if chosen.empty:
        return EMPTY
    chosen = chosen.assign(way=chosen["detail"].str.split(",").str[0])
    table = chosen.set_index(["variant", "n", "way", "metric"])["value"].unstack(["way", "metric"])
    rows = [
        f"| `{name}` | {n:,} | {_cost(table.loc[(name, n), 'plain'])} "
        f"| {_cost(table.loc[(name, n), 'chunked'])} |"
        for name, n in table.index
        if n >= 4096
    ]
    first = chosen.iloc[0]
    header = "| Loss | Batch | At once | In chunks |\n|---|---|---|---|"
    note = (
        "CPU time and peak memory of one loss with its gradient, cosine head, random features. "
        f"{first['device']}, commit `{first['commit'][:9]}`."
    )
    return "\n".join([header, *rows, "", note])


def _cost(cell: pd.Series) -> str:
    if cell.isna().all():
        return "not tried"
    return f"{cell['loss_cpu_time']:.1f} s, {cell['loss_peak_memory'] / 1024:.2f} GiB"


PAGES: dict[str, Callable[[pd.DataFrame], str]] = {
    "README.md": results_table,
    "book/ledger.md": ledger_table,
    "book/adopt.md": memory_table,
}


def replace_block(text: str, table: str) -> str:
    """``text`` with ``table`` between the marks.

    Raises:
        ValueError: a mark is missing.
    """
    if START not in text or END not in text:
        raise ValueError(f"expected the marks {START} and {END}")
    before, after = text.split(START)[0], text.split(END)[1]
    return f"{before}{START}\n{table}\n{END}{after}"


def draw_headline(
    records: pd.DataFrame, path: Path = ROOT / "book" / "figures" / "headline.png"
) -> None:
    """The README's figure: every normality prompt of every variant, a dot each."""
    from offclip.plotting import prompt_strip, use_style

    use_style()
    table = pooled(records[records["head"] == "cross_attention"], "normal_auc")
    ax = prompt_strip(table[table["detail"] != "mean"])
    path.parent.mkdir(exist_ok=True)
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(path, dpi=140, bbox_inches="tight", metadata={"Software": None})


def main() -> None:
    """Write each table into its page, and draw the README's figure."""
    records = read_records()
    draw_headline(records)
    for name, table in PAGES.items():
        page = ROOT / name
        write_text(page, replace_block(page.read_text(encoding="utf-8"), table(records)))
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
