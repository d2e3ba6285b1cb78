"""Models whose right answer is known, on a rehearsal of every set: 1, one half and 0."""

import pytest

from offclip.data.readers import READERS
from offclip.evaluation.published_protocol import AUC, MACRO
from offclip.study.benchmark import Options
from offclip.study.benchmark.sets import PUBLISHED
from tests.study.benchmark.fakes import evaluated, values

WITH_NORMAL = [name for name in READERS if name != "ms_cxr"]
AUCS = ("normal_auc", "abnormal_auc", "non_disease_auc", AUC)


@pytest.mark.parametrize("dataset", WITH_NORMAL)
@pytest.mark.parametrize(
    ("change", "expected"), [(float, 1.0), (lambda v: 0.0 * v, 0.5), (lambda v: -v, 0.0)],
    ids=["perfect", "constant", "inverted"],
)  # fmt: skip
def test_every_auc_of_a_known_model(dataset, change, expected, tmp_path):
    """Open-I asks some words of two rules of labels, so no model is perfect for both at once."""
    if dataset == "openi":
        parts = [
            evaluated(dataset, tmp_path / side, change=change, published=side == "published",
                      options=Options(protocol=side, min_positives=2, resamples=20))
            for side in ("published", "corrected")
        ]  # fmt: skip
        found = values(parts[0], *AUCS) | values(parts[1], *AUCS)
        by_rule = {k: v for k, v in found.items() if k[1] == "normal_auc_published_rule"}
        assert by_rule and (expected == 0.5 or all(0 < v < 1 for v in by_rule.values()))
        found = {k: v for k, v in found.items() if k not in by_rule}
    else:
        found = values(evaluated(dataset, tmp_path, change=change), *AUCS)
    free = {k: v for k, v in found.items() if k[1] == "normal_auc_free"}
    assert len(free) == 1 + (dataset == "openi")
    for key, value in found.items():
        if key in free and expected != 0.5:  # an abnormal case may have none of the classes asked
            assert abs(value - expected) < 0.5
        else:
            assert value == pytest.approx(expected, abs=1e-12), key
    metrics = {metric for _, metric, _ in found}
    assert {"normal_auc", "abnormal_auc_pos", "abnormal_auc_pnc"} <= metrics
    assert (AUC in metrics) == (dataset in PUBLISHED)
    if dataset in PUBLISHED:
        assert found["test", AUC, MACRO] == pytest.approx(expected, abs=1e-12)
