"""A small synthetic world: records made by hand, models that train in a second."""

import pandas as pd
import pytest

from offclip.data.records import drawn_of
from offclip.phantom import FINDINGS, Finding
from offclip.study import Material

NORMAL = ["there is clear lung", "there is no pleural effusion"]
SMALL = {
    "steps": 3,
    "batch_size": 8,
    "validate_every": 2,
    "draws": 1,
    "image_size": 64,
    "image_widths": (8, 16),
    "dim": 16,
    "heads": 2,
}


def record(number: int, split: str) -> dict:
    """Every third study is normal; the others have one of two findings, one is not drawn."""
    kind = number % 3
    name = (None, "Cardiomegaly", "Pleural Effusion")[kind]
    drawn = [Finding(name)] if name and number != 4 else []
    prompts = NORMAL if name is None else [f"there is {name.lower()}", "there is clear lung"]
    return {
        "study_id": f"S{number}",
        "split": split,
        "sentences": [f"{prompt.capitalize()}." for prompt in prompts],
        "prompts": prompts,
        "prompt_abnormal": [0.0, 0.0] if name is None else [1.0, 0.0],
        "is_normal": name is None,
        "labels": {each: int(each == name) for each in FINDINGS},
        "drawn": drawn_of(drawn),
    }


def all_records() -> pd.DataFrame:
    """36 studies to train on, 30 for validation, 39 for test."""
    rows = [record(i, "train") for i in range(36)]
    rows += [record(i, "validation") for i in range(100, 130)]
    rows += [record(i, "test") for i in range(200, 239)]
    return pd.DataFrame(rows)


@pytest.fixture(scope="session")
def material(tmp_path_factory):
    return Material(all_records(), tmp_path_factory.mktemp("draws"))
