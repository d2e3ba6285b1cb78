"""Draw the sentences of the gold set, and merge the labels that people gave them.

    python benchmarks/gold_sample.py draw --work scratch/gold
    python benchmarks/gold_sample.py merge --a A.tsv ... --b B.tsv ... --disagreements D.tsv
    python benchmarks/gold_sample.py merge --a A.tsv ... --b B.tsv ... --adjudicated D.tsv

``draw`` adds the part "held_out". Drawn from: unique texts (case and punctuation ignored) of the
sentences of training reports, but for those that stand in a validation or test report as well.
What is scored on them must be fitted without the reports that hold them (``without_reports_of``).
Strata: the highest abnormal probability among a sentence's prompts, or "no_prompt". A stratum gives
sentences in proportion to the square root of its size, at most all it has. ``--work`` gets the
texts to label, in two random orders of their own; these files hold report text and are not to be
committed. ``merge`` takes the labels of the drawn part; the other parts keep theirs.

The parts "dev" and "spent" were drawn alike, from validation and from test reports.
"""

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from offclip.data import curate
from offclip.data.gold import (
    COLUMNS,
    PARTS,
    gold_path,
    join_gold,
    merge_passes,
    read_gold,
    sentence_key,
    word_count,
    write_gold,
)
from offclip.files import write_text
from offclip.text import RulePrompter, SentenceClassifier

DRAWN = "held_out"
SIZE = 600
EDGES = (0.05, 0.35, 0.65, 0.95)
STRATA = ("00-05", "05-35", "35-65", "65-95", "95-100")
CHUNK = 100
SEED = 21


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("draw", "merge"))
    parser.add_argument("--data", default="runs/data", help="folder of the curated records")
    parser.add_argument("--gold", type=Path, default=gold_path())
    parser.add_argument("--work", type=Path, help="draw: folder of the files to label")
    parser.add_argument("--a", nargs="+", type=Path, default=[], help="labels, first pass")
    parser.add_argument("--b", nargs="+", type=Path, default=[], help="labels, second pass")
    parser.add_argument("--adjudicated", type=Path)
    parser.add_argument("--disagreements", type=Path, help="file to write")
    options = parser.parse_args()
    if options.command == "draw":
        if options.work is None:
            parser.error("draw needs --work, the folder of the files to label")
        _draw(options)
    else:
        _merge(options)


def _draw(options: argparse.Namespace) -> None:
    curation = curate(options.data)
    gold = read_gold(options.gold)
    if (gold["part"] == DRAWN).any():
        raise ValueError(f"{options.gold}: expected no row of the part {DRAWN} yet, got some")
    found = candidates(curation.records, curation.classifier)
    drawn = sample(found, SIZE, seed=SEED).assign(label_a="", label_b="", label="")
    write_gold(options.gold, pd.concat([gold, drawn], ignore_index=True))
    texts = dict(zip(found["text_sha256"], found["text"], strict=True))
    for order, name in enumerate("ab"):
        keys = np.random.default_rng([SEED, 1 + order]).permutation(drawn["text_sha256"])
        for chunk, start in enumerate(range(0, len(keys), CHUNK)):
            rows = {key: " ".join(texts[key].split()) for key in keys[start : start + CHUNK]}
            _write_rows(options.work / f"{name}_{chunk:02d}.tsv", rows)
    count = drawn.groupby("stratum").agg(n=("weight", "size"), of=("weight", "sum"))
    print(count.round(1).to_string())


def _merge(options: argparse.Namespace) -> None:
    gold = read_gold(options.gold)
    decided = _labels([options.adjudicated]) if options.adjudicated else {}
    merged = merge_passes(gold, _labels(options.a), _labels(options.b), decided)
    write_gold(options.gold, merged)
    differ = merged[merged["label"] == ""]
    print(f"{len(merged)} sentences, {len(differ)} still to adjudicate")
    if options.disagreements:
        texts = join_gold(differ, curate(options.data).records)
        rows = {
            row.text_sha256: f"\t{row.label_a}\t{row.label_b}\t{' '.join(row.text.split())}"
            for row in texts.itertuples()
        }
        _write_rows(options.disagreements, rows)


def candidates(records: pd.DataFrame, classifier: SentenceClassifier) -> pd.DataFrame:
    """Return the unique texts to draw from, each where it first stands, with its stratum."""
    sentences = records[["study_id", "split", "sentences"]].explode("sentences")
    sentences["sentence"] = sentences.groupby("study_id").cumcount()
    sentences = sentences.rename(columns={"sentences": "text"}).dropna(subset="text")
    sentences["text_sha256"] = sentences["text"].map(sentence_key)
    own = sentences["split"] == PARTS[DRAWN]
    found = sentences[own & ~sentences["text_sha256"].isin(sentences.loc[~own, "text_sha256"])]
    found = found.sort_values(["study_id", "sentence"]).drop_duplicates("text_sha256")
    return found.assign(
        part=DRAWN,
        words=found["text"].map(word_count),
        stratum=[_stratum(text, classifier) for text in found["text"]],
    )


def sample(found: pd.DataFrame, size: int, *, seed: int) -> pd.DataFrame:
    """Draw ``size`` rows; the weight is the stratum's size over what it gives."""
    generator = np.random.default_rng(seed)
    strata = {str(name): rows for name, rows in found.groupby("stratum")}
    counts = allocate({name: len(rows) for name, rows in strata.items()}, size)
    drawn = []
    for name, rows in strata.items():
        chosen = generator.choice(len(rows), counts[name], replace=False)
        drawn.append(rows.iloc[np.sort(chosen)].assign(weight=len(rows) / counts[name]))
    table = pd.concat(drawn).sort_values(["study_id", "sentence"], ignore_index=True)
    return table[[name for name in COLUMNS if name in table]]


def allocate(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """Share ``total`` in proportion to the square roots of the sizes, none beyond its size.

    One at a time goes to the stratum with room that is furthest behind its share.
    """
    if total > sum(sizes.values()):
        raise ValueError(f"total: expected at most {sum(sizes.values())}, got {total}; draw fewer")
    counts = dict.fromkeys(sizes, 0)
    for _ in range(total):
        room = [name for name in sizes if counts[name] < sizes[name]]
        counts[min(room, key=lambda name: (counts[name] + 1) / sizes[name] ** 0.5)] += 1
    return counts


def _stratum(sentence: str, classifier: SentenceClassifier) -> str:
    prompts = RulePrompter()(sentence)
    if not prompts:
        return "no_prompt"
    score = classifier.abnormal_probability(prompts).max()
    return STRATA[int(np.searchsorted(EDGES, score, side="right"))]


def _write_rows(path: Path, rows: Mapping[str, str]) -> None:
    write_text(path, "".join(f"{key}\t{value}\n" for key, value in rows.items()))


def _labels(paths: list[Path]) -> dict[str, str]:
    """Read ``key<TAB>label`` lines (further columns are ignored); a key may occur once."""
    labels: dict[str, str] = {}
    for path in paths:
        with path.open(encoding="utf-8", newline="") as file:
            for line, row in enumerate(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 1):
                if len(row) < 2 or row[0] in labels:
                    raise ValueError(
                        f"{path}, line {line}: expected a new key, a tab and a label, got {row}"
                    )
                labels[row[0]] = row[1].strip()
    return labels


if __name__ == "__main__":
    main()
