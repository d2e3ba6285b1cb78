"""The README's table of results, made from the evidence records and never typed.

Run ``python -m book.results_table`` to write it between the marks in README.md; a test compares.
"""

import json
import statistics
from pathlib import Path
from typing import Any

from book.execute import ROOT
from offclip.files import write_text

START, END = "<!-- results:start -->", "<!-- results:end -->"
EMPTY = "*No evidence records yet.*"
VARIANTS = ("infonce", "infonce+filter", "offdiag_bce", "offdiag_bce+filter", "offdiag_soft",
            "offdiag_soft+filter", "offclip")  # fmt: skip
HEADER = (
    "| Trained with | Normality AUC, lowest and highest of the prompts | Abnormal AUC, POS "
    "| Abnormal AUC, PNC | Pointing (chance) |\n|---|---|---|---|---|"
)
Record = dict[str, Any]


def read_records(folder: Path = ROOT / "book" / "results") -> list[Record]:
    """All records of ``folder``, file by file in name order."""
    files = sorted(folder.glob("*.json"))
    return [record for file in files for record in json.loads(file.read_text(encoding="utf-8"))]


def results_table(records: list[Record]) -> str:
    """Markdown table: cross-attention head, prompted text, drawable cases of the test split."""
    chosen = [
        r
        for r in records
        if (r["split"], r["head"], r["prompting"]) == ("test", "cross_attention", "prompted")
    ]
    rows = [_row(name, [r for r in chosen if r["variant"] == name]) for name in VARIANTS]
    rows = [row for row in rows if row]
    if not rows:
        return EMPTY
    example = next(r for r in chosen if r["metric"] == "normal_auc")
    seeds = {r["seed"] for r in chosen if r["metric"] == "normal_auc"} - {None}
    note = (
        f"`{example['dataset']}`, {example['n']} test cases, {len(seeds)} seeds: the mean; "
        "in brackets its 95 % interval where recorded, else the range over seeds. "
        f"Commit `{example['commit'][:9]}`."
    )
    return "\n".join([HEADER, *rows, "", note])


def _row(variant: str, records: list[Record]) -> str:
    prompts = sorted({r["detail"] for r in records if r["metric"] == "normal_auc"})
    if not prompts:
        return ""
    cells = [
        _over_seeds(r for r in records if r["metric"] == "normal_auc" and r["detail"] == p)
        for p in prompts
    ]
    lowest, highest = min(cells), max(cells)
    pointing, chance = _mean_of(records, "pointing"), _mean_of(records, "pointing_chance")
    return (
        f"| `{variant}` | {lowest[0]:.3f} to {highest[0]:.3f} "
        f"| {_show(_mean_of(records, 'abnormal_auc_pos'))} "
        f"| {_show(_mean_of(records, 'abnormal_auc_pnc'))} "
        f"| {_show(pointing)} ({_show(chance, plain=True)}) |"
    )


def _mean_of(records: list[Record], metric: str) -> tuple[float, float, float] | None:
    chosen = [r for r in records if r["metric"] == metric and r["detail"] == "mean"]
    return _over_seeds(chosen) if chosen else None


def _over_seeds(records: Any) -> tuple[float, float, float]:
    """(value, low, high): the record over seeds where there is one, else mean and range."""
    records = list(records)
    if pooled := [r for r in records if r["seed"] is None]:
        value = pooled[0]["value"]
        low, high = pooled[0]["interval"] or (value, value)
        return value, low, high
    values = [r["value"] for r in records]
    return statistics.fmean(values), min(values), max(values)


def _show(cell: tuple[float, float, float] | None, plain: bool = False) -> str:
    if cell is None:
        return "–"
    value, low, high = cell
    return f"{value:.3f}" if plain else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def replace_block(text: str, table: str) -> str:
    """``text`` with ``table`` between the marks.

    Raises:
        ValueError: a mark is missing.
    """
    if START not in text or END not in text:
        raise ValueError(f"README.md: expected the marks {START} and {END}")
    before, after = text.split(START)[0], text.split(END)[1]
    return f"{before}{START}\n{table}\n{END}{after}"


def main() -> None:
    """Write the table into README.md."""
    readme = ROOT / "README.md"
    table = results_table(read_records())
    write_text(readme, replace_block(readme.read_text(encoding="utf-8"), table))
    print(table)


if __name__ == "__main__":
    main()
