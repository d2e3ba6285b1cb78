"""From an archive of images and reports to records and an image cache: what training reads.

reader -> reports -> sentences -> prompts -> classifier -> pictures -> records. Whatever is left out
is counted under its reason, and the counts add up.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from offclip.data.cache import write_cache
from offclip.data.curate import fit_classifier, probabilities
from offclip.data.manifests import load_manifest
from offclip.data.readers import READERS
from offclip.data.readers.mimic import NO_FINDING
from offclip.data.records import COLUMNS, write_records
from offclip.files import write_json
from offclip.text import (
    FilterPolicy,
    NgramClassifier,
    RulePrompter,
    SentenceClassifier,
    image_text,
    load_classifier,
    report_prompts,
    split_sections,
)

REASONS = ("no_report", "outside", "not_text", "empty", "no_prompt", "unreadable_image")
"""Why a study of the tables is left out: its report is missing, leads out of the folder, is not
text, has no findings and no impression, or gave no prompt; its image cannot be read."""


@dataclass(frozen=True)
class ArchiveCuration:
    """Records and what was counted on the way."""

    records: pd.DataFrame
    counts: dict[str, Any]


def curate_archive(
    dataset: str,
    root: str | Path,
    out: str | Path,
    *,
    reports: str | Path | None = None,
    classifier: str | Path | None = None,
    seed: int = 0,
    jobs: int = 1,
    strict: bool = False,
) -> ArchiveCuration:
    """Make records, image cache, counts, ``left_out.parquet`` and ``classifier.json`` in ``out``.

    A study is normal when none of its prompts is judged abnormal (OFF-CLIP's rule). The sentence
    classifier is given, or learns from the training reports that CheXpert's labeller calls normal
    and from those it does not. Finished parts of the image cache are not read again.

    Args:
        dataset: a name of ``READERS``, so far mimic_cxr.
        root: of the archive.
        out: folder for the result.
        reports: root of the reports, if it is another.
        classifier: of ``offclip.text.load_classifier``; default: fitted here.
        seed: of the image that is drawn among several of a study.
        jobs: processes that read images.
        strict: raise at the first study that is left out.

    Raises:
        ValueError: an unknown dataset; strict, and a study is left out; nothing is left; or counts
            do not add up.
        FileNotFoundError: a table of the archive is missing.
        OSError: ``out`` cannot be written.
    """
    if dataset not in READERS:
        raise ValueError(f"dataset: expected one of {', '.join(READERS)}; got {dataset!r}")
    root, out, manifest = Path(root), Path(out), load_manifest(dataset)
    table, found = READERS[dataset](root, seed=seed)
    table["reason"], texts = _texts(table["report"], Path(reports or root))
    table = table.join(texts)
    readable = table["reason"] == ""
    cache = write_cache(out, root, table["image"][readable].tolist(), spread=_spread(jobs))
    about = cache.images.set_index("image")[["width", "height", "error"]]
    table = table.join(about, on="image")
    table.loc[readable & (table["error"] != ""), "reason"] = "unreadable_image"
    left_out = table.loc[table["reason"] != "", ["study_id", "image", "reason", "error"]]
    if strict and len(left_out):
        first = left_out.iloc[0]
        raise ValueError(
            f"strict: {len(left_out)} studies would be left out; the first: {first['study_id']}, "
            f"{first['reason']} {first['error'] or ''}"
        )
    kept = table[table["reason"] == ""].reset_index(drop=True)
    if not len(kept):
        raise ValueError(f"{root}: no study is left ({dict(Counter(left_out['reason']))})")
    if classifier:
        judge: SentenceClassifier = load_classifier(classifier)
    else:
        fitted = _fitted(kept)
        fitted.save(out / "classifier.json")
        judge = fitted
    kept["prompt_abnormal"] = probabilities(judge, kept["prompts"])
    policy = FilterPolicy()
    kept["is_normal"] = [not any(map(policy.keeps, each)) for each in kept["prompt_abnormal"]]
    kept["boxes"] = [[] for _ in range(len(kept))]
    kept = kept.assign(dataset=dataset, access=manifest.access)
    kept = kept.astype({"width": int, "height": int})
    reasons = Counter(left_out["reason"])
    counts: dict[str, Any] = {**found, **{reason: reasons[reason] for reason in REASONS}}
    counts |= {"kept": len(kept), "splits": _by_split(kept)}
    _check(counts)
    left_out.to_parquet(out / "left_out.parquet", index=False)
    write_json(out / "counts.json", counts)
    records = kept[list(COLUMNS)]
    write_records(records, out / "records.parquet")
    return ArchiveCuration(records, counts)


def _texts(names: pd.Series, root: Path) -> tuple[list[str], pd.DataFrame]:
    """The reason to leave each report out, or ""; and its sentences and prompts."""
    prompter, top = RulePrompter(), root.resolve()
    read = [_text(root / name, top, prompter) for name in names]
    texts = pd.DataFrame(
        {"sentences": [each[1] for each in read], "prompts": [each[2] for each in read]},
        index=names.index,
    )
    return [each[0] for each in read], texts


def _text(path: Path, top: Path, prompter: RulePrompter) -> tuple[str, list[str], list[str]]:
    if not path.resolve().is_relative_to(top):
        return "outside", [], []
    try:
        body = image_text(split_sections(path.read_text(encoding="utf-8-sig")))
    except OSError:
        return "no_report", [], []
    except UnicodeDecodeError:
        return "not_text", [], []
    if not body:
        return "empty", [], []
    sentences, prompts, _ = report_prompts(body, prompter)
    return ("" if prompts else "no_prompt"), sentences, prompts


def _fitted(kept: pd.DataFrame) -> NgramClassifier:
    """Learn from the training reports; weak labels are CheXpert's "No Finding"."""
    normal = np.array([labels.get(NO_FINDING) == 1 for labels in kept["labels"]])
    train = kept.assign(is_normal=normal)[(kept["split"] == "train") & kept["labels"].map(bool)]
    if train["is_normal"].nunique() < 2:
        raise ValueError(
            f"classifier: the training reports are all alike in {NO_FINDING!r}; give one that was "
            "fitted elsewhere (classifier.json of another curation)"
        )
    return fit_classifier(train)


def _spread(jobs: int) -> Callable[[Callable[[int], Any], Iterable[int]], Iterable[Any]]:
    """How the parts of the cache are shared out."""
    if jobs < 1:
        raise ValueError(f"jobs: expected at least 1, got {jobs}")
    return map if jobs == 1 else partial(_in_processes, jobs)


def _in_processes(
    jobs: int, function: Callable[[int], Any], numbers: Iterable[int]
) -> Iterable[Any]:
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(function, numbers)


def _by_split(kept: pd.DataFrame) -> dict[str, dict[str, int]]:
    parts = kept.groupby("split")
    return {
        str(name): {
            "studies": len(part),
            "normal": int(part["is_normal"].sum()),
            "abnormal": int((~part["is_normal"]).sum()),
            "prompts": int(part["prompts"].map(len).sum()),
        }
        for name, part in parts
    }


def _check(counts: Mapping[str, Any]) -> None:
    studies = counts["studies"] - counts["without_frontal"]
    got = counts["kept"] + sum(counts[reason] for reason in REASONS)
    by_split = sum(each["studies"] for each in counts["splits"].values())
    if studies != got or by_split != counts["kept"]:
        raise ValueError(
            f"counts: expected {studies} studies, got {got}, and {by_split} in the splits; "
            "please report this"
        )
