"""Evaluation: zero-shot scores, metrics with intervals, grounding, evidence records."""

from offclip.evaluation.evidence import (
    check_record,
    evidence_table,
    read_evidence,
    write_evidence,
)
from offclip.evaluation.grounding import bootstrap_pointing, place_prior, pointing_game
from offclip.evaluation.maps import attention_maps
from offclip.evaluation.metrics import (
    Interval,
    auc,
    bootstrap_auc,
    percentile_interval,
    resampled_over_seeds,
    stratified_weights,
)
from offclip.evaluation.protocol import (
    Protocol,
    measure,
    measure_normality,
    questions,
    validation_metrics,
)
from offclip.evaluation.records import Record, RunInfo, commit_of_code, device_name
from offclip.evaluation.zero_shot import class_scores, score_table
from offclip.keys import config_hash

__all__ = [
    "Interval",
    "Protocol",
    "Record",
    "RunInfo",
    "attention_maps",
    "auc",
    "bootstrap_auc",
    "bootstrap_pointing",
    "check_record",
    "class_scores",
    "commit_of_code",
    "config_hash",
    "device_name",
    "evidence_table",
    "measure",
    "measure_normality",
    "percentile_interval",
    "place_prior",
    "pointing_game",
    "questions",
    "read_evidence",
    "resampled_over_seeds",
    "score_table",
    "stratified_weights",
    "validation_metrics",
    "write_evidence",
]
