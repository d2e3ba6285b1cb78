"""The benchmark of the chunked losses compares equal things and writes whole records."""

import pytest
import torch
from torch.nn.functional import normalize

from benchmarks.chunked_losses import LOSSES, measure, record
from offclip.evaluation import read_evidence


@pytest.mark.parametrize("loss", LOSSES)
def test_both_ways_give_the_same_value(loss):
    generator = torch.Generator().manual_seed(0)
    images, texts = (normalize(torch.randn(12, 4, generator=generator), dim=1) for _ in range(2))
    arguments = images, texts, torch.tensor(5.0), torch.arange(12) < 5, 5
    plain, chunked = (way(*arguments).item() for way in LOSSES[loss])
    assert chunked == pytest.approx(plain, rel=1e-5)


def test_a_case_is_measured_and_recorded(tmp_path):
    measured = measure("offclip", "chunked", 64, 16)
    assert measured["seconds"] > 0 and measured["mebibytes"] > 10
    case = {"loss": "offclip", "way": "chunked", "size": 64, **measured}
    record(tmp_path / "records.csv", [case], 16, "abc", 0.5)
    table = read_evidence(tmp_path / "records.csv")
    assert list(table["metric"]) == ["loss_cpu_time", "loss_peak_memory"]
    assert set(table["detail"]) == {"chunked, batch 64, 16 rows a chunk"}
    assert table["value"].tolist() == pytest.approx(list(measured.values()), abs=1e-6)
