"""Curation of MIMIC-CXR's layout, generated with its quirks: counts, quarantine, strictness."""

import gzip
import json
import os
from itertools import islice

import numpy as np
import pandas as pd
import psutil
import pytest
from PIL import Image

from offclip.__main__ import main
from offclip.data import cache, texts
from offclip.data.archive import REASONS, curate_archive
from offclip.data.cache import ImageCache
from offclip.data.readers.mimic import read_mimic
from offclip.data.records import read_records
from offclip.data.spread import spread
from offclip.folders import WORK
from offclip.imaging import read_radiograph
from offclip.imaging.resize import published_square
from offclip.rehearsal import rehearse
from offclip.study import material_of
from offclip.text import RulePrompter

NORMAL = "FINDINGS: The lungs are clear. No pleural effusion or pneumothorax.\n"
ABNORMAL = "FINDINGS: There is a large pleural effusion.\n\nIMPRESSION: No pneumothorax.\n"


def patient_of(number):
    """Two studies a patient: 20 patients in p10 to p16, 20 in p17, 20 in p18 and p19."""
    group, place = divmod(number // 2, 20)
    return (10_000_000, 17_000_000, 18_000_000)[group] + place * (350_000, 1, 100_000)[group]


def study_images(number):
    """Views of a study; every fourth has two frontal ones, every fifth a lateral one as well."""
    views = ["PA" if number % 2 else "AP"] + ["AP"] * (number % 4 == 0)
    return views + ["LATERAL"] * (number % 5 == 0)


@pytest.fixture
def root(tmp_path):
    """120 studies of 60 patients in p10 to p19, half of them normal."""
    folder, generator = tmp_path / "mimic", np.random.default_rng(0)
    images, labels = [], []
    for number in range(120):
        subject, study = patient_of(number), 88_000_000 + number
        place = folder / "files" / f"p{str(subject)[:2]}" / f"p{subject}" / f"s{study}"
        place.mkdir(parents=True)
        for k, view in enumerate(study_images(number)):
            name = f"{number:08x}-{k:08x}"
            grey = generator.integers(0, 256, (60 + number, 80), dtype=np.uint8)
            Image.fromarray(grey).save(place / f"{name}.jpg")
            images.append((name, subject, study, view))
        normal = number % 4 < 2
        place.with_suffix(".txt").write_text(NORMAL if normal else ABNORMAL)
        found = (1.0, np.nan) if normal else (np.nan, 1.0)
        labels.append((subject, study, *found, -1.0 if number % 3 == 0 else np.nan))
    columns = ["dicom_id", "subject_id", "study_id", "ViewPosition"]
    write(folder, "metadata", pd.DataFrame(images, columns=columns))
    columns = ["subject_id", "study_id", "No Finding", "Pleural Effusion", "Edema"]
    write(folder, "chexpert", pd.DataFrame(labels, columns=columns))
    return folder


def write(folder, name, table):
    with gzip.open(folder / f"mimic-cxr-2.0.0-{name}.csv.gz", "wt", encoding="utf-8-sig") as file:
        table.to_csv(file, index=False)


def table_of(folder, name):
    return pd.read_csv(folder / f"mimic-cxr-2.0.0-{name}.csv.gz", encoding="utf-8-sig")


def report_of(folder, study):
    return next(folder.glob(f"files/*/*/s{study}.txt"))


def test_one_frontal_image_a_study_and_splits_by_folder(root):
    rows, counts = read_mimic(root)
    assert len(rows) == rows["study_id"].nunique() == 120 and counts["without_frontal"] == 0
    assert set(rows["view"]) == {"PA", "AP"}
    assert counts["images"] == 120 + 30 + 24 and counts["not_frontal"] == 24
    assert counts["view_unknown"] == counts["unlabelled"] == 0
    folders = rows["image"].str.slice(6, 9).groupby(rows["split"]).unique().map(sorted).to_dict()
    assert folders["validation"] == ["p17"] and folders["test"] == ["p18", "p19"]
    assert folders["train"] == [f"p{n}" for n in range(10, 17)]
    assert all((root / name).is_file() for name in [*rows["image"], *rows["report"]])
    both = rows[rows["study_id"].isin([str(88_000_000 + n) for n in range(0, 120, 4)])]
    second = both["image"].str.endswith("-00000001.jpg")
    assert 0 < second.sum() < len(both)
    assert not rows["image"].equals(read_mimic(root, seed=1)[0]["image"])
    labels = rows.set_index("study_id")["labels"]
    assert labels["88000000"] == {"No Finding": 1, "Pleural Effusion": 0, "Edema": None}
    assert labels["88000002"] == {"No Finding": 0, "Pleural Effusion": 1, "Edema": 0}


def test_records_cache_and_counts(root, tmp_path):
    out = tmp_path / "out"
    with spread(2) as each:
        made = curate_archive("mimic_cxr", root, out, spread=each)
    records = read_records(out / "records.parquet")
    assert len(records) == made.counts["kept"] == 120
    assert (records["access"] == "credentialed").all()
    normal = records["study_id"].astype(int) % 4 < 2
    assert (records["is_normal"] == normal).all()
    assert records["prompts"][0] == ["there is clear lung", "there is no pleural effusion",
                                     "there is no pneumothorax"]  # fmt: skip
    cache = ImageCache.read(out)
    name = records["image"][7]
    with Image.open(root / name) as image:
        assert (cache.rows([name])[:] == published_square(np.asarray(image))).all()
        assert (records["width"][7], records["height"][7]) == image.size
    told = json.loads((out / "counts.json").read_text())
    assert told.pop("made_from")["root"] == str(root) and told == made.counts
    again = curate_archive(
        "mimic_cxr", root, tmp_path / "again", classifier=out / "classifier.json"
    )
    assert again.records.equals(made.records)
    assert contents(tmp_path / "again")["classifier.json"] == contents(out)["classifier.json"]


def test_what_is_left_out_is_named_and_counted(root, tmp_path):
    report_of(root, 88000010).unlink()
    report_of(root, 88000011).write_bytes(b"FINDINGS: \xff\xfe clear.")
    report_of(root, 88000012).write_text("EXAMINATION: CHEST\n\nINDICATION: ___ with cough.\n")
    next(root.glob("files/*/*/s88000013/*.jpg")).write_bytes(b"\xff\xd8\xff")
    next(root.glob("files/*/*/s88000017/*.jpg")).unlink()
    outside = tmp_path / "elsewhere.txt"
    outside.write_text(NORMAL)
    report_of(root, 88000014).unlink()
    (report_of(root, 88000015).parent / "s88000014.txt").symlink_to(outside)
    metadata = table_of(root, "metadata")
    metadata.loc[metadata["study_id"] == 88000016, "ViewPosition"] = ""
    write(root, "metadata", metadata)
    made = curate_archive("mimic_cxr", root, tmp_path / "out")
    counts = made.counts
    assert {reason: counts[reason] for reason in REASONS} == {
        "no_report": 1, "not_text": 1, "empty": 1, "no_prompt": 0, "outside": 1,
        "missing_image": 1, "unreadable_image": 1,
    }  # fmt: skip
    assert counts["without_frontal"] == 1 and counts["kept"] == 113
    left_out = pd.read_parquet(tmp_path / "out" / "left_out.parquet").set_index("study_id")
    assert left_out["reason"]["88000013"] == "unreadable_image"
    assert "s88000013" in left_out["error"]["88000013"]
    with pytest.raises(ValueError, match="strict: 4 images would be left out .*'no_report': 1"):
        curate_archive("mimic_cxr", root, tmp_path / "strict", strict=True)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_killed_worker_costs_nothing_but_time(root, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PART", 8)
    monkeypatch.setattr(texts, "PART", 16)
    curate_archive("mimic_cxr", root, tmp_path / "alone")
    killed = []

    def deadly(each):
        def run(function, items):
            results = each(function, items)
            yield next(results)
            victim = next(p for p in psutil.Process().children(True) if is_worker(p))
            victim.kill()
            killed.append(victim.pid)
            yield from results

        return run

    with spread(2) as each:
        curate_archive("mimic_cxr", root, tmp_path / "together", spread=deadly(each))
    assert len(killed) == 2  # while reports were read, and while pictures were
    assert contents(tmp_path / "together") == contents(tmp_path / "alone")


def is_worker(process):
    return "spawn_main" in " ".join(process.cmdline())


def test_images_that_were_finished_are_not_read_again(root, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "PART", 8)
    curate_archive("mimic_cxr", root, tmp_path / "whole")
    out = tmp_path / "out"

    def stopped(function, tasks):
        reads_images = function.func.__module__ == cache.__name__
        yield from map(function, islice(tasks, 5 if reads_images else None))
        if reads_images:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        curate_archive("mimic_cxr", root, out, spread=stopped)
    assert not (out / "records.parquet").exists()
    with pytest.raises(ValueError, match="got unfinished curated records of mimic_cxr"):
        material_of(out, tmp_path / "runs")
    read = []
    monkeypatch.setattr(
        cache, "read_radiograph", lambda path: read.append(path) or read_radiograph(path)
    )
    curate_archive("mimic_cxr", root, out)
    assert len(read) == 120 - 5 * 8
    assert contents(out) == contents(tmp_path / "whole")
    read.clear()
    curate_archive("mimic_cxr", root, out)
    assert read == [] and contents(out) == contents(tmp_path / "whole")


class Model:
    """In place of a language model: the rules, which count sentences and may break down."""

    def __init__(self, model="m1", breaks_after=None):
        self.model, self.breaks_after, self.sentences = model, breaks_after, 0

    def __call__(self, sentence):
        if self.sentences == self.breaks_after:
            raise ConnectionError("no answer")
        self.sentences += 1
        return RulePrompter()(sentence)


def test_prompts_of_a_language_model_are_kept(root, tmp_path):
    out, by_rules = tmp_path / "out", curate_archive("mimic_cxr", root, tmp_path / "rules").records
    with pytest.raises(ConnectionError):
        curate_archive("mimic_cxr", root, out, prompter=Model(breaks_after=61))
    kept = out / WORK / "texts.jsonl"
    assert kept.read_text().count("\n") == 30  # of two sentences each
    with kept.open("a") as file:
        file.write('{"report": "')  # killed while it wrote a line
    model = Model()
    made = curate_archive("mimic_cxr", root, out, prompter=model)
    assert model.sentences == 2 * 90 and made.records.equals(by_rules)
    report_of(root, 88000010).write_text(ABNORMAL + "No edema.\n")
    report_of(root, 88000011).unlink()
    model = Model()
    again = curate_archive("mimic_cxr", root, out, prompter=model).records.set_index("study_id")
    assert model.sentences == 3 and len(again) == 119
    assert again["prompts"]["88000010"][-1] == "there is no edema"
    lines = [json.loads(line) for line in (out / "texts.jsonl").read_text().splitlines()]
    assert len({line["report"] for line in lines}) == 120 and len(lines) == 121
    for other in (None, Model("m2")):
        with pytest.raises(ValueError, match="prompter 'Model m1', now "):
            curate_archive("mimic_cxr", root, out, prompter=other)
    model = Model("m2")
    curate_archive("mimic_cxr", root, out, prompter=model, force=True)
    assert model.sentences == 2 * 119 + 1


def test_a_prompter_needs_report_files(tmp_path):
    copy = rehearse("vindr_cxr", tmp_path / "vindr", studies=20, size=32)
    with pytest.raises(ValueError, match="prompter: expected none for vindr_cxr"):
        curate_archive("vindr_cxr", copy, tmp_path / "out", prompter=RulePrompter())


def test_repaired_reports_and_another_folder_of_reports_are_read(root, tmp_path):
    out, reports, lost = tmp_path / "out", tmp_path / "reports", report_of(root, 88000010)
    reports.mkdir()
    with pytest.raises(ValueError, match="no image is left .*'no_report': 120"):
        curate_archive("mimic_cxr", root, out, reports=reports)
    content = lost.read_text()
    lost.unlink()
    with pytest.raises(ValueError, match="got unfinished curated records .*: reports '.*', now '"):
        curate_archive("mimic_cxr", root, out, strict=True)
    with pytest.raises(ValueError, match="strict: 1 images would be left out .*'no_report': 1"):
        curate_archive("mimic_cxr", root, out, strict=True, force=True)
    left_out = pd.read_parquet(out / WORK / "left_out.parquet")
    assert left_out["study_id"].tolist() == ["88000010"]
    assert "No such file" in left_out["error"][0]
    assert not (out / WORK / "pictures.npy").exists()  # found out before pictures were read
    lost.write_text(content)
    assert curate_archive("mimic_cxr", root, out, strict=True).counts["kept"] == 120


def test_a_pipe_in_place_of_a_report_is_no_text(root, tmp_path):
    report = report_of(root, 88000010)
    report.unlink()
    os.mkfifo(report)
    assert curate_archive("mimic_cxr", root, tmp_path / "out").counts["not_text"] == 1


def test_what_failed_changes_nothing(root, tmp_path):
    out = tmp_path / "out"
    first = curate_archive("mimic_cxr", root, out, seed=3)
    assert first.counts["listed"] == 120
    about = json.loads((out / "counts.json").read_text())["made_from"]
    assert about["seed"] == 3 and about["dataset"] == "mimic_cxr"
    curate_archive("mimic_cxr", root, out)  # the same seed, as none was given
    assert json.loads((out / "counts.json").read_text())["made_from"]["seed"] == 3
    before, files = contents(out), root / "files"
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        curate_archive("mimic_cxr", tmp_path / "runs", out)
    with pytest.raises(FileNotFoundError, match="expected mimic-cxr-2.0.0-metadata.csv"):
        curate_archive("mimic_cxr", tmp_path / "empty", out, force=True)
    with pytest.raises(ValueError, match=": root '.*', now '.*--force"):
        curate_archive("mimic_cxr", tmp_path / "empty", out)
    files.rename(tmp_path / "unmounted")
    with pytest.raises(ValueError, match="no image is left"):
        curate_archive("mimic_cxr", root, out, reports=None)
    (tmp_path / "unmounted").rename(files)
    (root / "REHEARSAL.txt").write_text("synthetic")
    next(root.glob("files/*/*/s88000013/*.jpg")).unlink()
    with pytest.raises(ValueError, match="strict"):
        curate_archive("mimic_cxr", root, out, strict=True)
    assert contents(out) == before and material_of(out, tmp_path / "runs").dataset == "mimic_cxr"
    curate_archive("mimic_cxr", root, out)
    assert (out / "REHEARSAL.txt").exists() and not (out / WORK).exists()
    (root / "REHEARSAL.txt").unlink()
    curate_archive("mimic_cxr", root, out)
    assert not (out / "REHEARSAL.txt").exists()


def test_two_curations_do_not_share_a_folder(root, tmp_path):
    def meet(function, items):
        with pytest.raises(ValueError, match="another process is at work here"):
            curate_archive("mimic_cxr", root, tmp_path / "out")
        return map(function, items)

    assert curate_archive("mimic_cxr", root, tmp_path / "out", spread=meet).counts["kept"] == 120


def test_a_wrong_classifier_is_told_at_once(root, tmp_path):
    with pytest.raises(ValueError, match="expected a classifier file or folder"):
        curate_archive("mimic_cxr", root, tmp_path / "out", classifier=tmp_path / "nope.json")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("subject_id", "../../etc", "subject_id: expected"),
        ("study_id", "5/../..", "study_id: expected"),
        ("dicom_id", "../../../etc/passwd", "dicom_id: expected"),
    ],
)
def test_paths_are_made_of_numbers_alone(column, value, message, root):
    metadata = table_of(root, "metadata").astype(str)
    metadata.loc[3, column] = value
    write(root, "metadata", metadata)
    with pytest.raises(ValueError, match=message):
        read_mimic(root)


def test_bad_tables_are_named(root, tmp_path):
    metadata = table_of(root, "metadata")
    write(root, "metadata", pd.concat([metadata, metadata.head(1)]))
    with pytest.raises(ValueError, match="dicom_id: '00000000-00000000' occurs twice"):
        read_mimic(root)
    write(root, "metadata", metadata.drop(columns="ViewPosition"))
    with pytest.raises(ValueError, match="got none called .'ViewPosition'"):
        read_mimic(root)
    path = root / "mimic-cxr-2.0.0-metadata.csv.gz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match="damaged, or no CSV table"):
        read_mimic(root)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="expected mimic-cxr-2.0.0-metadata.csv, gz"):
        read_mimic(root)
    with pytest.raises(ValueError, match="dataset: expected one of mimic_cxr, .*; got 'mimic'"):
        curate_archive("mimic", root, tmp_path / "out")


def test_from_the_command_line_to_a_trained_model(root, tmp_path, capsys):
    out = str(tmp_path / "curated")
    assert main(["curate", "mimic_cxr", "--root", str(root), "--out", out]) == 0
    assert "kept: 120" in capsys.readouterr().out
    config = tmp_path / "small.yaml"
    config.write_text(json.dumps({
        "steps": 2, "batch_size": 8, "validate_every": 2, "image_widths": [8, 16], "dim": 16,
        "heads": 2, "augment": "published",
    }))  # fmt: skip
    world = ["--data", out, "--out", str(tmp_path / "runs"), "--config", str(config)]
    assert main(["train", *world]) == 0
    assert main(["curate", "mimic_cxr", "--out", out]) == 1
    assert "--root, --out: expected the folder" in capsys.readouterr().err
    assert main(["curate", "--root", str(root), "--data", out]) == 1
    assert "--root: expected the name of a set as well" in capsys.readouterr().err
    assert main(["fetch", "mimic_cxr"]) == 1
    assert "credentialed, so it is never fetched here" in capsys.readouterr().err
