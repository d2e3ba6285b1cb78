"""What a run works on: the curated records, their splits, texts and rendered images."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from offclip.data.batches import PhantomImages, renderer_version
from offclip.data.curate import findings_of
from offclip.data.manifests import load_manifest
from offclip.evaluation import Protocol
from offclip.phantom import render_many
from offclip.text import FilterPolicy, filter_prompts

DATASET = "openi_phantom"


@dataclass(frozen=True)
class Material:
    """Records of the embedded default, and where rendered draws are kept."""

    records: pd.DataFrame
    cache: Path

    def cases(self, split: str, *, drawable: bool = True) -> pd.DataFrame:
        """Records of a split; ``drawable``: normal, or with at least one finding drawn."""
        if split not in ("train", "validation", "test"):
            raise ValueError(f"split: expected train, validation or test; got {split!r}")
        cases = self.records[self.records["split"] == split]
        if drawable:
            drawn = cases["drawn"].map(len) > 0
            cases = cases[cases["is_normal"] | drawn]
        return cases.reset_index(drop=True)

    @cached_property
    def fingerprint(self) -> str:
        """Names the records and the renderer: runs on other data do not share a folder."""
        content = self.records.to_json(orient="records").encode()
        return hashlib.sha256(content + renderer_version().to_bytes(4)).hexdigest()[:12]

    def budget(self, epochs: int, batch_size: int) -> dict[str, int]:
        """Settings of :func:`run_config` for so many passes over the drawable training cases.

        Filtered variants have fewer studies and get the same steps: the same budget.
        """
        steps = max(1, epochs * len(self.cases("train")) // batch_size)
        every = max(1, steps // 6)
        return {"steps": steps, "validate_every": every, "batch_size": batch_size}

    def pictures(self, cases: pd.DataFrame, size: int) -> PhantomImages:
        """The draws of these cases."""
        findings = [findings_of(drawn) for drawn in cases["drawn"]]
        return PhantomImages(list(cases["study_id"]), findings, size=size, folder=self.cache)

    def boxes(self, cases: pd.DataFrame, size: int) -> dict[str, list[dict[str, float | str]]]:
        """Exact boxes of draw 0 by study id, in pixels of the image at this size."""
        pictures = self.pictures(cases, size)
        phantoms = render_many(
            pictures.findings, [pictures.seed(study, 0) for study in pictures.ids], size=size
        )
        return {
            study: [vars(box) for box in phantom.boxes]
            for study, phantom in zip(pictures.ids, phantoms, strict=True)
        }


def protocol() -> Protocol:
    """The questions of the embedded default, from its manifest."""
    manifest = load_manifest(DATASET)
    return Protocol(manifest.prompts, manifest.normal_prompts)


@dataclass(frozen=True)
class Texts:
    """Training texts by study, and how many texts were kept and dropped; their sum is all."""

    texts: list[list[str]]
    kept: int
    dropped: int


def training_texts(
    cases: pd.DataFrame,
    *,
    prompting: str,
    filtered: bool,
    policy: FilterPolicy,
    filter_errors: float = 0.0,
    seed: int = 0,
) -> Texts:
    """Texts to train on. With the filter, abnormal reports keep their abnormal prompts only.

    A study may be left with no text: it then takes no part in training.

    Args:
        cases: records.
        prompting: ``prompted`` or ``raw``.
        filtered: whether the filter is used.
        policy: of the filter.
        filter_errors: share of the filter's decisions that are turned round at random, to see
            what a worse filter costs.
        seed: of these errors.
    """
    generator = np.random.default_rng(seed)
    texts, total = [], 0
    for case in cases.itertuples():
        each = list(case.sentences if prompting == "raw" else case.prompts)
        total += len(each)
        if filtered:
            kept = np.array([policy.keeps(value) for value in case.prompt_abnormal], dtype=bool)
            wrong = generator.random(len(each)) < filter_errors
            decided = [float(keep) for keep in kept ^ wrong]
            each, _ = filter_prompts(each, decided, bool(case.is_normal), policy)
        texts.append(list(each))
    all_kept = sum(map(len, texts))
    return Texts(texts, all_kept, total - all_kept)
