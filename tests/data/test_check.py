"""What a copy has: every planted fault is named once, and the counts add up, for every set."""

import pickle
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from offclip.cli import fetch as command
from offclip.data import check as module
from offclip.data import load_manifest
from offclip.data.check import FAULTS, PART, check
from offclip.data.readers import READERS
from tests.commands import run_command

SETS = tuple(READERS)
SPLITS = ["train", "validation", "test"]


@pytest.fixture
def as_published(monkeypatch):
    """Make the counts that a set has here the published ones, so that only files can differ."""

    def set_expected(dataset, root, **changed):
        manifest = load_manifest(dataset)
        counts = READERS[dataset](root)[1]
        expected = {name: counts[name] for name in manifest.expected}  # all of them are made
        manifest = replace(manifest, expected=expected, **changed)
        monkeypatch.setattr(module, "load_manifest", lambda _: manifest)

    return set_expected


def number(found, what, column="all"):
    (value,) = found.table.loc[found.table["what"] == what, column]
    return value


def verdict(found, what):
    return number(found, what, "verdict")


def used_images(dataset, root):
    rows = READERS[dataset](root)[0]
    return rows["image"][rows["reason"] == ""].tolist()


def adds_up(found):
    table = found.table.set_index("what")
    for what in ("images", "reports"):
        if f"{what} listed" not in table.index:
            continue
        parts = table[table.index.str.startswith(f"{what} ")].drop(f"{what} listed")
        parts = parts.drop("images without a label", errors="ignore")
        for column in [*SPLITS, "all"]:
            assert parts[column].sum() == table.loc[f"{what} listed", column]
        assert (parts[SPLITS].sum(axis=1) == parts["all"]).all()


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("dataset", SETS)
def test_a_whole_copy(quick, dataset, synthetic_copy, as_published):
    root = synthetic_copy(dataset)
    assert not check(dataset, root, quick=True).ok  # it has fewer images than published
    as_published(dataset, root)
    found = check(dataset, root, quick=quick)
    assert found.ok and set(found.table["verdict"]) == {"as published", ""}
    assert set(found.details["kind"]) <= {"left out"}
    adds_up(found)
    whole = "images with a good header" if quick else "images whole"
    rows = READERS[dataset](root)[0]
    assert number(found, "images listed") == len(rows)
    assert number(found, whole) == (rows["reason"] == "").sum() > 20
    for split in SPLITS:
        assert number(found, "images listed", split) == (rows["split"] == split).sum()


def plant(root, images, outside):
    """Faults of each kind in a copy; returns the kind of each by its path."""
    gone, cut, empty, link, folder, loop = images
    (root / gone).unlink()
    half = (root / cut).read_bytes()
    (root / cut).write_bytes(half[: len(half) // 2])
    (root / empty).write_bytes(b"")
    shutil.move(root / link, outside)
    (root / link).symlink_to(outside)
    (root / folder).unlink()
    (root / folder).mkdir()
    (root / loop).unlink()
    (root / loop).symlink_to(root / loop)
    more = f"more/unknown{Path(cut).suffix}"
    (root / "more").mkdir()
    (root / more).write_bytes(half)
    (root / "more" / "notes.txt").write_text("no image")
    return {gone: "missing", cut: "corrupt", empty: "corrupt", link: "outside", folder: "missing",
            loop: "outside", more: "extra"}  # fmt: skip


def by_key(kinds, dataset):
    """Pairs by path; by name where the reader looks for names, as it cannot know a lost place."""
    paths = dataset in ("mimic_cxr", "vindr_cxr", "chexpert", "ms_cxr")
    return sorted((path if paths else Path(path).name, kind) for path, kind in kinds)


@pytest.mark.parametrize("dataset", SETS)
def test_every_planted_fault_is_named_once(dataset, writable_copy, as_published, tmp_path):
    root = writable_copy(dataset)
    as_published(dataset, root)
    planted = plant(root, used_images(dataset, root)[1:7], tmp_path / "outside.image")
    found = check(dataset, root)
    told = found.details[found.details["kind"] != "left out"]
    if dataset == "ms_cxr":  # here the table that names all of MIMIC-CXR's images is not there
        planted = {name: kind for name, kind in planted.items() if kind != "extra"}
    kinds = Counter(planted.values())
    extra = number(found, "image files that no table names")
    assert extra is pd.NA if dataset == "ms_cxr" else extra == 1
    named = zip(told["path"], told["kind"], strict=True)
    assert by_key(named, dataset) == by_key(planted.items(), dataset)
    for kind in FAULTS:
        assert number(found, f"images {kind}") == kinds[kind] == 2
        assert verdict(found, f"images {kind}") == kind
    assert (told["reason"][told["kind"].isin(["corrupt", "outside"])] != "").all()
    adds_up(found)
    assert not found.ok


def test_quick_reads_headers_only(writable_copy, as_published, monkeypatch):
    root = writable_copy("chexpert")
    as_published("chexpert", root)
    cut, empty = used_images("chexpert", root)[:2]
    whole = (root / cut).read_bytes()
    (root / cut).write_bytes(whole[:-60])
    (root / empty).write_bytes(b"")

    def never(_):
        raise AssertionError("pixels were read")

    with monkeypatch.context() as patched:
        patched.setattr(module, "read_radiograph", never)
        found = check("chexpert", root, quick=True)
    assert found.details["path"].tolist() == [empty]
    assert sorted(check("chexpert", root).details["path"]) == sorted([cut, empty])


def test_a_part_of_a_set_is_seen_as_one(writable_copy, as_published):
    root = writable_copy("chexpert")
    as_published("chexpert", root)
    shutil.rmtree(root / "train")
    found = check("chexpert", root)
    listed = number(found, "images listed", "train")
    assert number(found, "images missing", "train") == number(found, "images missing") == listed > 0
    assert number(found, "images whole") > number(found, "images whole", "test") > 0
    (root / "train.csv").unlink()
    found = check("chexpert", root)
    assert verdict(found, "train_images") == "differs" and number(found, "train_images") == 0
    assert verdict(found, "test_images") == "as published"
    assert number(found, "images listed", "train") == 0 and len(found.details) == 0


def test_rows_that_lead_out_are_named_and_never_opened(
    writable_copy, as_published, tmp_path, monkeypatch
):
    root = writable_copy("chestx_det10")
    (tmp_path / "secret.png").write_bytes(b"not to be read")
    path, name = root / "test.json", Path(used_images("chestx_det10", root)[-1]).name
    path.write_text(path.read_text().replace(name, "../secret.png"))
    as_published("chestx_det10", root)
    opened = []
    read = module.read_radiograph
    monkeypatch.setattr(module, "read_radiograph", lambda path: opened.append(path) or read(path))
    found = check("chestx_det10", root)
    assert not found.ok and verdict(found, "images outside") == "outside"
    assert "../secret.png" in found.details["path"][found.details["kind"] == "outside"].tolist()
    assert not [path for path in opened if "secret" in path.name]


def test_what_is_known_to_be_bad_is_no_fault(writable_copy, as_published):
    root = writable_copy("padchest")
    bad, other = used_images("padchest", root)[:2]
    (root / bad).write_bytes(b"bad")
    as_published("padchest", root, known_bad=(Path(bad).name, Path(other).name))
    found = check("padchest", root)
    assert found.ok and number(found, "images known bad") == 1
    (line,) = found.details[found.details["kind"] == "known bad"].itertuples()
    assert line.path == bad and "expected a DICOM, PNG or JPEG" in line.reason


def test_other_images_that_a_table_names_are_not_extra(synthetic_copy):
    rows, counts = READERS["mimic_cxr"](synthetic_copy("mimic_cxr"))
    assert counts["images"] > len(rows)  # laterals and second frontals lie there too
    found = check("mimic_cxr", synthetic_copy("mimic_cxr"), quick=True)
    assert number(found, "image files that no table names") == 0
    _, counts = READERS["padchest"](synthetic_copy("padchest"))
    assert counts["network"] > 0
    found = check("padchest", synthetic_copy("padchest"), quick=True)
    assert number(found, "image files that no table names") == 0


def test_reports(writable_copy, as_published, tmp_path):
    root = writable_copy("mimic_cxr")
    as_published("mimic_cxr", root)
    gone, link = READERS["mimic_cxr"](root)[0]["report"][:2]
    (root / gone).unlink()
    shutil.move(root / link, tmp_path / "report.txt")
    (root / link).symlink_to(tmp_path / "report.txt")
    found = check("mimic_cxr", root, quick=True)
    assert not found.ok
    told = found.details[["kind", "path"]].itertuples(index=False, name=None)
    assert sorted(told) == sorted([("missing", gone), ("outside", link)])
    assert verdict(found, "reports missing") == "missing" and number(found, "reports missing") == 1
    adds_up(found)
    elsewhere = tmp_path / "reports"
    shutil.copytree(root, elsewhere, ignore=shutil.ignore_patterns("*.jpg"))
    for text in root.glob("files/*/*/*.txt"):
        text.unlink()
    found = check("mimic_cxr", root, reports=elsewhere, quick=True)
    assert number(found, "reports missing") == 1 and number(found, "reports whole") > 20


def test_images_without_a_label(writable_copy, as_published):
    root = writable_copy("mimic_cxr")
    (path,) = root.glob("*chexpert.csv*")
    table = pd.read_csv(path)
    study = READERS["mimic_cxr"](root)[0]["study_id"][0]
    table[table["study_id"].astype(str) != study].to_csv(path, index=False)
    as_published("mimic_cxr", root)
    found = check("mimic_cxr", root, quick=True)
    assert found.ok and number(found, "images without a label") == 1
    (line,) = found.details.itertuples()
    assert line.kind == "no label" and study in line.path


def test_work_is_shared_in_parts_that_can_be_sent_away(synthetic_copy, monkeypatch):
    monkeypatch.setattr(module, "PART", 7)
    sizes = []

    def elsewhere(function, items):
        for item in items:
            sizes.append(len(item))
            yield pickle.loads(pickle.dumps(function))(pickle.loads(pickle.dumps(item)))

    root = synthetic_copy("chexpert")
    here, there = check("chexpert", root), check("chexpert", root, spread=elsewhere)
    pd.testing.assert_frame_equal(here.table, there.table)
    assert max(sizes) == 7 and sum(sizes) == number(here, "images listed") and PART > 1


def test_nothing_is_changed(synthetic_copy):
    root = synthetic_copy("vindr_cxr")
    before = [(path, path.stat().st_mtime_ns) for path in root.rglob("*")]
    check("vindr_cxr", root)
    assert [(path, path.stat().st_mtime_ns) for path in root.rglob("*")] == before


@pytest.mark.parametrize("dataset", SETS)
def test_folders_that_are_no_copy(dataset, tmp_path):
    with pytest.raises((FileNotFoundError, ValueError), match=str(tmp_path)):
        check(dataset, tmp_path)
    with pytest.raises(FileNotFoundError, match="expected the folder of your copy"):
        check(dataset, tmp_path / "none")
    with pytest.raises(ValueError, match="dataset: expected one of mimic_cxr.*got 'mimic'"):
        check("mimic", tmp_path)


def test_the_command(writable_copy, as_published, tmp_path, capsys):
    root = writable_copy("chexpert")
    as_published("chexpert", root)
    asked = ["check", "chexpert", "--root", str(root), "--jobs", "1"]
    assert run_command(command.add, *asked) == 0
    out, err = capsys.readouterr()
    assert "as published" in out and err == "" and "<NA>" not in out
    gone = used_images("chexpert", root)[:5]
    for name in gone:
        (root / name).unlink()
    assert run_command(command.add, *asked, "--quick", "--csv", str(tmp_path / "details.csv")) == 1
    told = capsys.readouterr()
    assert [line for line in told.out.splitlines() if line.startswith("missing: ")] == [
        *(f"missing: {name}" for name in gone[:3]), "missing: and 2 more",
    ]  # fmt: skip
    assert "is not as published" in told.err
    written = pd.read_csv(tmp_path / "details.csv")
    assert written["path"].tolist() == gone and list(written) == ["kind", "split", "path", "reason"]


def test_the_help_says_what_the_exit_status_means(capsys):
    with pytest.raises(SystemExit):
        run_command(command.add, "check", "--help")
    assert "Exit status: 0 all is there, 1" in " ".join(capsys.readouterr().out.split())
