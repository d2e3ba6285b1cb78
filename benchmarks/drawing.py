"""How much of a training run goes into drawing its images: one process, one machine, one run.

    python benchmarks/drawing.py --record book/results/drawing.csv

Times drawing and optimiser steps of ``offclip`` with the settings of record (benchmarks/study.yaml)
in turns, and scales both to a whole run: ``draws`` images a training study, ``steps`` steps.
Validation is left out, which makes the share larger than it is.
"""

import argparse
import statistics
import time
from itertools import islice
from pathlib import Path

import torch
import yaml
from transformers import set_seed

from offclip.data.curate import curate
from offclip.evaluation import RunInfo, write_evidence
from offclip.models import ImageTextModel, train_tokenizer
from offclip.phantom import render_many
from offclip.study import DATASET, Material, run_config
from offclip.study.material import training_texts
from offclip.text import FilterPolicy
from offclip.training.objective import objective

TURNS = 8
STEPS = 6
IMAGES = 100


def main() -> None:
    """Measure and write two records: the share, and milliseconds an image."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="runs/data")
    parser.add_argument("--record", required=True)
    options = parser.parse_args()
    started = time.perf_counter()
    settings = yaml.safe_load(Path(__file__).with_name("study.yaml").read_text(encoding="utf-8"))
    config = run_config("offclip", head="cross_attention", seed=0, **settings)
    material = Material(curate(options.data).records, Path("unused"))
    cases = material.cases("train")
    step = _stepper(config, cases)
    pictures = material.pictures(cases, config.model.image_size)
    step()
    images, steps = [], []
    for turn in range(TURNS):
        chosen = slice(turn * IMAGES, (turn + 1) * IMAGES)
        seeds = [pictures.seed(study, 1) for study in pictures.ids[chosen]]
        begin = time.perf_counter()
        render_many(pictures.findings[chosen], seeds, size=config.model.image_size)
        images.append((time.perf_counter() - begin) / IMAGES)
        begin = time.perf_counter()
        for _ in range(STEPS):
            step()
        steps.append((time.perf_counter() - begin) / STEPS)
    drawing = config.draws * len(cases) * statistics.median(images)
    training = config.train.steps * statistics.median(steps)
    run = RunInfo(
        dataset=DATASET,
        variant=config.variant,
        prompting=config.prompting,
        head=config.model.head,
        seed=config.train.seed,
        minutes=(time.perf_counter() - started) / 60,
    )
    detail = (
        f"drawing {config.draws} x {len(cases)} images ({drawing:.0f} s) over drawing plus "
        f"{config.train.steps} steps ({training:.0f} s)"
    )
    share = drawing / (drawing + training)
    size = f"{config.model.image_size} px"
    milliseconds = 1e3 * statistics.median(images)
    records = [
        run.record("train", "drawing_share", detail, share, TURNS),
        run.record("train", "drawing_time", size, milliseconds, TURNS * IMAGES, unit="ms/image"),
    ]
    for record in records:
        print(f"{record.metric}: {record.value:.3f} {record.unit} ({record.detail})")
    write_evidence(options.record, records)


def _stepper(config, cases):  # type: ignore[no-untyped-def]
    """A function that takes one optimiser step on one fixed batch."""
    set_seed(config.train.seed)
    texts = training_texts(
        cases, prompting="prompted", filtered=True, policy=FilterPolicy(config.threshold)
    )
    tokenizer = train_tokenizer(
        [text for each in cases["prompts"] for text in each], length=config.model.text_length
    )
    model = ImageTextModel.with_tokenizer(config.model, tokenizer).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.train.learning_rate)
    size, batch = config.model.image_size, config.train.batch_size
    chosen = list(islice((i for i, each in enumerate(texts.texts) if each), batch))
    words = model.tokenize([texts.texts[i][0] for i in chosen])
    is_normal = torch.tensor(cases["is_normal"].to_numpy(dtype=bool)[chosen])
    pixels = torch.randn(batch, 1, size, size)

    def step() -> None:
        loss = objective(config.train, model(pixels, **words), is_normal)["total"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


if __name__ == "__main__":
    main()
