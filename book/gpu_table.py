"""The table of what was measured on GPUs, from the records of ``benchmarks/gpu_session.sh``."""

import pandas as pd

EMPTY = "*No GPU has been measured yet.*"
SHOWN = {
    "copy_rate": "copy within the memory",
    "multiplication_rate": "large matrix product",
    "distance": "largest distance from the CPU in double precision",
    "speed_over_peer": "times as fast",
    "memory_over_peer": "share of the memory",
    "crossing": "absorbed attention is faster up to",
    "step": "full training step",
    "share_of_multiplication_rate": "share of the matrix product's rate",
    "largest_batch": "largest batch",
    "pictures_per_second": "images from the cache and from files",
}
"""Metrics in the order of the table, and what they are called there."""


def gpu_table(records: pd.DataFrame) -> str:
    """Markdown: a table for each GPU in the records, with the commit that was measured."""
    measured = records[~records["device"].str.startswith("CPU") & records["metric"].isin(SHOWN)]
    if measured.empty:
        return EMPTY
    return "\n\n".join(_table(device, rows) for device, rows in measured.groupby("device"))


def _table(device: str, records: pd.DataFrame) -> str:
    commits = ", ".join(f"`{commit}`" for commit in sorted(records["commit"].unique()))
    lines = [f"**{device}**, commit {commits}", "", "| Measured | Of | Way | Value |",
             "|---|---|---|---|"]  # fmt: skip
    for metric, name in SHOWN.items():
        rows = records[records["metric"] == metric]
        if metric == "distance":
            rows = rows.nlargest(1, "value")
        lines += [
            f"| {name} | {row['detail']} | {row['variant']} | {row['value']:.3g} {row['unit']} |"
            for _, row in rows.iterrows()
        ]
    return "\n".join(lines)
