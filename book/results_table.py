"""The tables of the README and of the ledger, made from the evidence records and never typed.

Run ``python -m book.results_table`` to write them between the marks of each page; a test compares.
"""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from book.execute import ROOT
from book.gpu_table import gpu_table
from book.ledger_table import ledger_table
from offclip.evaluation import read_evidence
from offclip.files import write_text
from offclip.study import overview, pooled
from offclip.study.tables import of_the_study

START, END = "<!-- results:start -->", "<!-- results:end -->"
INTERVAL = "{value:.3f} [{low:.3f}, {high:.3f}]"
EMPTY = "*No evidence records yet.*"
HEADER = (
    "| Trained with | Seeds | Normality AUC, lowest and highest of the prompts | Abnormal AUC, POS "
    "| Abnormal AUC, PNC | Pointing (chance) |\n|---|---|---|---|---|---|"
)


def read_records(folder: Path = ROOT / "book" / "results") -> pd.DataFrame:
    """All evidence records of ``folder``, file by file in name order."""
    return read_evidence(folder)


def results_table(records: pd.DataFrame) -> str:
    """Markdown table: cross-attention head, drawable cases of the test split, means over seeds.

    Raises:
        ValueError: one name stands for several studies, or rows are of several populations.
    """
    chosen = of_the_study(records)
    chosen = chosen[(chosen["head"] == "cross_attention") & (chosen["split"] == "test")]
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
        f"| {INTERVAL.format(**pos.loc[name])} | {INTERVAL.format(**pnc.loc[name])} "
        f"| {INTERVAL.format(**pointing.loc[name])} ({row['chance']:.3f}) |"
        for name, row in table.iterrows()
    ]
    shown = chosen[(chosen["metric"] == "normal_auc") & chosen["seed"].notna()]
    commits = shown["commit"].str[:9].unique()
    note = (
        f"{_population(shown)} test cases: "
        "mean over seeds, in brackets its 95 % bootstrap interval over images and seeds. "
        f"Commit `{'`, `'.join(commits)}`."
    )
    return "\n".join([HEADER, *rows, "", note])


def _population(records: pd.DataFrame) -> str:
    """The dataset and the number of cases that all rows of a table share."""
    known = records[["dataset", "n"]].drop_duplicates()
    if len(known) > 1:
        got = "; ".join(f"{dataset}, {n}" for dataset, n in known.itertuples(index=False))
        raise ValueError(
            f"records: expected one dataset and number of cases in all rows, got {got}; "
            "leave the other file out"
        )
    dataset, n = known.iloc[0]
    return f"`{dataset}`, {n}"


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
    "book/gpu.md": gpu_table,
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
    records = of_the_study(records)
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
