"""Evaluation: zero-shot scores, metrics with intervals, grounding, evidence records."""

from offclip.evaluation.bootstrap import (
    Interval,
    bootstrap_auc,
    bootstrap_weights,
    percentile_interval,
    resampled_over_seeds,
)
from offclip.evaluation.evidence import (
    check_record,
    evidence_table,
    read_evidence,
    write_evidence,
)
from offclip.evaluation.maps import attention_maps
from offclip.evaluation.metrics import auc
from offclip.evaluation.pointing import (
    Pointing,
    measure_pointing,
    place_prior,
    point,
    pointing_game,
)
from offclip.evaluation.protocol import (
    Protocol,
    clusters_of,
    measure,
    measure_normality,
    questions,
    validation_metrics,
)
from offclip.evaluation.records import Record, RunInfo, commit_of_code, device_name
from offclip.evaluation.scoring import class_scores, score_table
from offclip.keys import config_hash

__all__ = [
    "Interval",
    "Pointing",
    "Protocol",
    "Record",
    "RunInfo",
    "attention_maps",
    "auc",
    "bootstrap_auc",
    "bootstrap_weights",
    "check_record",
    "class_scores",
    "clusters_of",
    "commit_of_code",
    "config_hash",
    "device_name",
    "evidence_table",
    "measure",
    "measure_normality",
    "measure_pointing",
    "percentile_interval",
    "place_prior",
    "point",
    "pointing_game",
    "questions",
    "read_evidence",
    "resampled_over_seeds",
    "score_table",
    "validation_metrics",
    "write_evidence",
]
