"""The book's study: variants, runs, sweeps and their evidence."""

from offclip.study.evidence import study_records
from offclip.study.export import best_run, export, model_card
from offclip.study.material import (
    DATASET,
    CachedMaterial,
    Material,
    material_of,
    protocol,
)
from offclip.study.run import Run, finished_run, load_model, run
from offclip.study.sweep import sweep
from offclip.study.tables import overview, pooled, recorded, spelled
from offclip.study.variants import VARIANTS, RunConfig, Variant, run_config

__all__ = [
    "DATASET",
    "VARIANTS",
    "CachedMaterial",
    "Material",
    "Run",
    "RunConfig",
    "Variant",
    "best_run",
    "export",
    "finished_run",
    "load_model",
    "material_of",
    "model_card",
    "overview",
    "pooled",
    "protocol",
    "recorded",
    "run",
    "run_config",
    "spelled",
    "study_records",
    "sweep",
]
