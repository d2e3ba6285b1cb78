"""What a run works on: the curated records, their splits, texts and rendered images."""

import hashlib
import json
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from offclip.data.batches import CachedImages, PhantomImages
from offclip.data.cache import ImageCache
from offclip.data.curate import curate
from offclip.data.curation_folder import COUNTS, CURATED, RECORDS
from offclip.data.manifests import load_manifest
from offclip.data.records import findings_of, read_records
from offclip.data.splits import SPLITS
from offclip.evaluation import Protocol
from offclip.folders import read_mark
from offclip.imaging.boxes import boxes_in_square
from offclip.keys import code_version
from offclip.phantom import RENDERING, render_many
from offclip.text import FilterPolicy, filter_prompts

DATASET = "openi_phantom"
Pictures: TypeAlias = PhantomImages | CachedImages


@dataclass(frozen=True)
class Material:
    """Records of the embedded default, and where rendered draws are kept."""

    records: pd.DataFrame
    cache: Path

    @property
    def dataset(self) -> str:
        """Name of the manifest."""
        return DATASET

    @property
    def asked(self) -> Protocol:
        """The questions of the dataset."""
        return protocol(self.dataset)

    @property
    def evidence_splits(self) -> tuple[str, ...]:
        """What is measured: ``test`` has the drawable cases, ``test_all`` the others as well."""
        return ("validation", "test", "test_all")

    def cases(self, split: str, *, drawable: bool = True) -> pd.DataFrame:
        """Records of a split; ``drawable``: normal, or with at least one finding drawn."""
        check_split(split)
        cases = self.records[self.records["split"] == split]
        if drawable:
            drawn = cases["drawn"].map(len) > 0
            cases = cases[cases["is_normal"] | drawn]
        return cases.reset_index(drop=True)

    @cached_property
    def fingerprint(self) -> str:
        """Names the records and the rendering: runs on other data do not share a folder."""
        content = self.records.to_json(orient="records").encode()
        return hashlib.sha256(content + RENDERING.to_bytes(4)).hexdigest()[:12]

    def budget(self, epochs: int, batch_size: int, accumulate: int = 1) -> dict[str, int]:
        """Settings of :func:`run_config` for so many passes over the drawable training cases.

        A step takes ``batch_size * accumulate`` studies. Filtered variants have fewer studies and
        get the same steps: the same budget.

        Raises:
            ValueError: an argument is below 1.
        """
        sizes = {"batch_size": batch_size, "accumulate": accumulate}
        for name, value in {"epochs": epochs, **sizes}.items():
            if value < 1:
                raise ValueError(f"{name}: expected a whole number of at least 1, got {value!r}")
        steps = max(1, epochs * len(self.cases("train")) // (batch_size * accumulate))
        return {"steps": steps, "validate_every": max(1, steps // 6), **sizes}

    def pictures(self, cases: pd.DataFrame, size: int) -> Pictures:
        """The draws of these cases."""
        return self._phantoms(cases, size)

    def _phantoms(self, cases: pd.DataFrame, size: int) -> PhantomImages:
        findings = [findings_of(drawn) for drawn in cases["drawn"]]
        return PhantomImages(list(cases["study_id"]), findings, size=size, folder=self.cache)

    def boxes(self, cases: pd.DataFrame, size: int) -> dict[str, list[dict[str, float | str]]]:
        """Exact boxes of draw 0 by study id, in pixels of the image at this size."""
        pictures = self._phantoms(cases, size)
        phantoms = render_many(
            pictures.findings, [pictures.seed(study, 0) for study in pictures.ids], size=size
        )
        return {
            study: [vars(box) for box in phantom.boxes]
            for study, phantom in zip(pictures.ids, phantoms, strict=True)
        }


class CachedMaterial(Material):
    """Records of image files, and the cache of their pictures, in the folder ``cache``."""

    @classmethod
    def read(cls, folder: str | Path) -> "CachedMaterial":
        """Open ``records.parquet`` and the image cache of a folder that curation made.

        Raises:
            ValueError: the records are missing, damaged or of several datasets.
            FileNotFoundError: the image cache is missing.
        """
        records = read_records(Path(folder) / RECORDS)
        names = sorted(records["dataset"].unique())
        if len(names) != 1:
            raise ValueError(f"{folder}: expected the records of one dataset, got {names}")
        ImageCache.read(folder)
        return cls(records, Path(folder))

    @property
    def dataset(self) -> str:
        return str(self.records["dataset"].iloc[0])

    @property
    def evidence_splits(self) -> tuple[str, ...]:
        return ("validation", "test")

    @cached_property
    def images(self) -> ImageCache:
        """The pictures by file name."""
        return ImageCache.read(self.cache)

    @cached_property
    def fingerprint(self) -> str:
        content = self.records.to_json(orient="records").encode()
        sums = self.images.images["crc32"].to_numpy().tobytes()
        return hashlib.sha256(content + sums).hexdigest()[:12]

    def cases(self, split: str, *, drawable: bool = True) -> pd.DataFrame:
        """Records of a split; nothing is drawn here."""
        check_split(split)
        return self.records[self.records["split"] == split].reset_index(drop=True)

    def pictures(self, cases: pd.DataFrame, size: int) -> Pictures:
        """The 256-px squares of these cases, whatever the size; a model averages them down."""
        return CachedImages(list(cases["study_id"]), self.images.rows(list(cases["image"])))

    def boxes(self, cases: pd.DataFrame, size: int) -> dict[str, list[dict[str, float | str]]]:
        """Boxes by study id, in pixels of a square of this size."""
        return boxes_in_square(cases, size)


def material_of(data: str | Path, out: str | Path) -> Material:
    """What a folder of curated data holds: image files in a cache, or reports to render from.

    Args:
        data: the folder; one that is new or empty becomes the embedded default.
        out: of the runs, where rendered images are kept.

    Raises:
        ValueError: the folder holds something else, or a curation that is not finished.
        FileNotFoundError: its image cache was removed.
    """
    mark = read_mark(data)
    if mark is not None and mark.purpose == CURATED and mark.dataset != DATASET:
        _warn_of_other_code(Path(data))
        return CachedMaterial.read(data)
    return Material(curate(data).records, Path(out) / "draws")


def _warn_of_other_code(folder: Path) -> None:
    """Say so where the curation of an archive has changed since its records were made."""
    try:
        counts = json.loads((folder / COUNTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if counts["made_from"]["code"] != code_version("offclip.data.archive"):
        warnings.warn(
            f"{folder}: its records were curated by other code; run curate again with the same "
            "arguments to renew them",
            stacklevel=3,
        )


def check_split(split: str) -> None:
    """Refuse what is no split."""
    if split not in SPLITS:
        raise ValueError(f"split: expected {', '.join(SPLITS)}; got {split!r}")


def protocol(dataset: str = DATASET) -> Protocol:
    """The questions of a dataset, from its manifest; by default the embedded one's."""
    manifest = load_manifest(dataset)
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
