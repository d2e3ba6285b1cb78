"""The table of GPUs: nothing where none was measured, and no number of a CPU."""

import pandas as pd

from book.gpu_table import EMPTY, gpu_table

ROW = {"device": "Card 9000", "commit": "0123456789", "variant": "ours", "unit": "×"}


def test_each_gpu_has_a_table_and_no_cpu_is_in_it():
    records = pd.DataFrame(
        [
            ROW | {"metric": "speed_over_peer", "detail": "head", "value": 1.4142},
            ROW | {"metric": "distance", "detail": "small", "value": 1e-7},
            ROW | {"metric": "distance", "detail": "large", "value": 2e-7},
            ROW | {"metric": "normal_auc", "detail": "no finding", "value": 0.9},
            ROW | {"metric": "step", "detail": "on a CPU", "value": 8.0, "device": "CPU x86_64"},
            ROW | {"metric": "step", "detail": "N = 64", "value": 0.1, "device": "Card 10"},
        ]
    )
    table = gpu_table(records)
    assert "**Card 9000**, commit `0123456789`" in table and "**Card 10**" in table
    assert "| times as fast | head | ours | 1.41 × |" in table
    assert "large" in table and "small" not in table
    assert "0.9" not in table.replace("9000", "") and "on a CPU" not in table
    assert gpu_table(records[records["device"] == "CPU x86_64"]) == EMPTY
