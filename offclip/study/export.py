"""From finished runs to one model that others can use: the best on validation, with its card."""

import math
from collections.abc import Sequence
from pathlib import Path

from offclip.evaluation import Record
from offclip.folders import Mark, check, expect
from offclip.models import ImageTextModel, save_model
from offclip.models.saved import SAVED
from offclip.study.evidence import run_records
from offclip.study.material import DATASET, Material, protocol
from offclip.study.measured import measure_run
from offclip.study.run import Run, load_model
from offclip.training import RUN

SHOWN = {
    ("normal_auc", "mean"): "Normality AUC, mean of the prompts",
    ("abnormal_auc_pos", "mean"): 'Abnormal AUC, "there is X"',
    ("abnormal_auc_pnc", "mean"): 'Abnormal AUC, "there is X" minus "there is no X"',
    ("pointing", "mean"): "Pointing accuracy",
    ("pointing_chance", "mean"): "Pointing accuracy of a blind guess",
}


def best_run(runs: Sequence[Run]) -> Run:
    """The run with the highest validation AUC, normality and abnormal classes counted alike.

    Raises:
        ValueError: there is none, or none whose AUC is a number.
    """
    if not runs:
        raise ValueError("runs: expected at least one finished run, got none; train one first")
    measured = [run for run in runs if math.isfinite(_validation(run))]
    if not measured:
        raise ValueError(
            f"runs: expected normal_auc and abnormal_auc_pos as numbers, got NaN from all "
            f"{len(runs)}; curate validation cases of both kinds"
        )
    return max(measured, key=_validation)


def export(run: Run, material: Material, folder: str | Path, *, force: bool = False) -> Path:
    """Write the run's best weights, configuration, tokenizer and a model card; return the folder.

    ``offclip.models.load`` reads it. The card's numbers are measured here, on test.

    Args:
        run: finished.
        material: that it was trained on.
        folder: new or empty, or of an earlier export of this run.
        force: also replace the export of another run, or of one that other code finished.

    Raises:
        ValueError: the folder holds something else; or the run is not one of the embedded default:
            whether a model that has seen patients may be passed on is for their data's licence to
            say.
    """
    model = load_model(run)
    if material.dataset != DATASET or not isinstance(model, ImageTextModel):
        raise ValueError(
            f"export: the card is written for small models of {DATASET}, got {run.config.name!r} "
            f"on {material.dataset}; offclip.models.save_weights writes the weights alone"
        )
    settings = expect(run.folder, RUN).settings
    check(folder, Mark(SAVED, DATASET, settings), force=force)  # before anything is measured
    card = model_card(run, run_records(measure_run(run, material, "test")))
    return save_model(folder, model, card=card, dataset=DATASET, settings=settings, force=force)


def model_card(run: Run, records: Sequence[Record]) -> str:
    """What the model is, what it was trained on, its test numbers, and what it is not for."""
    config, asked = run.config, protocol()
    found = {(record.metric, record.detail): record for record in records}
    rows = [_row(name, found[key]) for key, name in SHOWN.items() if key in found]
    answered = "".join(f"- there is {phrase}\n" for phrase in asked.phrases.values())
    normal = "".join(f"- {prompt}\n" for prompt in asked.normal_prompts)
    return f"""# {config.name}, {config.model.head}, seed {config.train.seed}

A small image-text model for chest radiographs, {config.model.image_size} pixels wide. It was
trained on a laptop for the OFF-CLIP book, to show what a loss does.

**Not for clinical use.** It has never seen a patient. Its images are rendered phantoms.

## Data

`{DATASET}`: the words of real Open-I reports (National Library of Medicine, CC BY-NC-ND 4.0), and
radiographs rendered from their annotations. {run.about["texts"]} count the texts it learned from.

## Training

Loss `{config.train.loss}`, {config.train.steps} steps of {config.train.batch_size} studies, commit
`{run.about["commit"]}`, configuration `{run.about["config"]}`, {run.about["device"]}. The
checkpoint, and this run among its seeds, were chosen on the validation split.

## Numbers

Test split, cases that are normal or have a finding drawn; 95 % bootstrap intervals over images.

| Measure | Value | Interval | Cases |
|---|---|---|---|
{chr(10).join(rows)}

## Use

```sh
python -m offclip predict --model . chest.png --prompt "there is cardiomegaly"
```

A score has no unit; it ranks images for one prompt. It knows the words of its training texts.
These are the prompts it was measured with:

{normal}{answered}
## Limits

Real radiographs look different from phantoms, so numbers on them are unknown and likely lower.
Findings that the phantom does not draw, views other than frontal, children and devices in odd
places are outside of what it knows.
"""


def _validation(run: Run) -> float:
    best = dict(run.about["best"])  # type: ignore[call-overload]
    return float(best["normal_auc"] + best["abnormal_auc_pos"])


def _row(name: str, record: Record) -> str:
    bounds = "" if record.interval is None else "{:.3f} to {:.3f}".format(*record.interval)
    return f"| {name} | {record.value:.3f} | {bounds} | {record.n} |"
