"""Every command that writes leaves what it did not make as it was: refused, killed or failed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from offclip import __main__
from offclip.__main__ import main
from offclip.folders import MARK, read_mark
from offclip.models import ImageTextModel, ModelConfig, save_model, train_tokenizer
from tests.copies import writable_copy
from tests.data.synthetic import pack, report_xml
from tests.states import state

ROOT = Path(__file__).resolve().parents[1]
NAMES = (
    "records.parquet", "counts.json", "classifier.json", "pictures.npy", "images.parquet",
    "left_out.parquet", "REHEARSAL.txt", "README.md", "config.json", "model.safetensors",
    "tokenizer/tokenizer.json", "run.json", "log.jsonl", "best.safetensors", "last.pt",
    "texts/report.txt", "parts/00000000.parquet", "draws/draws_64.npy", "labels.csv", "notes.csv",
    "runs.csv", "files/p10/image.jpg", "openi_reports/NLMCXR_reports.tgz", "openi/NLMCXR_png.tgz",
    "scores.csv",
)  # fmt: skip
"""Files of a user, by the names that commands give their own."""
SMALL = {
    "steps": 2, "batch_size": 8, "validate_every": 2, "draws": 1, "image_size": 64,
    "image_widths": [8, 16], "dim": 16, "heads": 2,
}  # fmt: skip


def fill(folder):
    """A user's own files; what they hold."""
    for name in NAMES:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"mine: {name}")
    return state(folder)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A synthetic copy, reports, a model and finished runs."""
    folder = tmp_path_factory.mktemp("world")
    writable_copy("mimic_cxr", folder / "mimic")
    writable_copy("vindr_cxr", folder / "vindr")
    kinds = {"normal": "The lungs are clear", "Cardiomegaly": "There is cardiomegaly",
             "Pleural Effusion": "There is pleural effusion"}  # fmt: skip
    files = {
        f"{number}.xml": report_xml(
            number, findings=f"{text} in view number {number}.", majors=(major,)
        )
        for number in range(420)
        for place, (major, text) in enumerate(kinds.items())
        if number % 3 == place
    }
    pack(folder / "reports.tgz", files)
    (folder / "small.yaml").write_text(json.dumps(SMALL))
    words = ["there is cardiomegaly", "there is no finding"] * 2
    sizes = ModelConfig(image_size=64, image_widths=(8,), dim=8, heads=1, text_layers=1)
    save_model(folder / "model", ImageTextModel.with_tokenizer(sizes, train_tokenizer(words)))
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(folder / "image.png")
    data = ["--data", str(folder / "data")]
    assert main(["curate", *data, "--reports", str(folder / "reports.tgz")]) == 0
    run = [*data, "--out", str(folder / "runs"), "--config", str(folder / "small.yaml")]
    assert main(["train", *run]) == 0
    return folder


# A command on a user's folder F, with W for the world, and whether it may succeed by writing into
# new folders next to what is there.
COMMANDS = {
    "curate an archive": ("curate vindr_cxr --root W/vindr --out F", False),
    "curate an archive by force": ("curate mimic_cxr --root W/mimic --out F --force", False),
    "curate next to the reports": ("curate mimic_cxr --root W/mimic --reports F --out F", False),
    "curate into a part": ("curate mimic_cxr --root W/mimic --reports F/texts --out F", False),
    "curate into the root": ("curate mimic_cxr --root F --out F", False),
    "curate below the root": ("curate mimic_cxr --root F --out F/new", False),
    "curate reports": ("curate --data F --reports W/reports.tgz", False),
    "curate reports by force": ("curate --data F --reports W/reports.tgz --force", False),
    "rehearse": ("rehearse openi --to F --studies 20 --size 32", False),
    "rehearse by force": ("rehearse openi --to F --studies 20 --size 32 --force", False),
    "train on it": ("train --data F --out W/other --config W/small.yaml", False),
    "train into it": ("train --data W/data --out F --config W/small.yaml", False),  # F/draws
    "train below it": ("train --data W/data --out F/new --config W/small.yaml", True),
    "study": (
        "study --data W/data --out F/new --config W/small.yaml --seeds 0 --variants infonce "
        "--record F/notes.csv",
        False,
    ),
    "study next to another runs.csv": (
        "study --data W/data --out F/new --config W/small.yaml --seeds 0 --variants infonce "
        "--record F/new.csv",
        False,
    ),
    "export": (
        "export --data W/data --out W/runs --config W/small.yaml --seeds 0 --to F", False,
    ),
    "export by force": (
        "export --data W/data --out W/runs --config W/small.yaml --seeds 0 --to F --force", False,
    ),
    "evaluate": (
        "evaluate vindr_cxr --root W/vindr --model W/model --scores F --resamples 20 "
        "--min-positives 1",
        True,
    ),
    "evaluate into a record": (
        "evaluate vindr_cxr --root W/vindr --model W/model --record F/notes.csv", False,
    ),
    "evaluate into the root": (
        "evaluate vindr_cxr --root F --model W/model --scores F/scores", False,
    ),
    "predict": (
        "predict W/image.png --model W/model --csv F/labels.csv --prompt cardiomegaly", False,
    ),
    "check": ("check vindr_cxr --root W/vindr --csv F/labels.csv", False),
    "fetch": ("fetch openi_reports --cache F", False),
    "fetch a set": ("fetch openi --cache F", False),
    "leaks": ("leaks W/image.png --records W/data", True),
    "about": ("about F", False),
    "remove": ("remove F --yes", False),
}  # fmt: skip


def test_every_command_is_tried():
    known = {line.split()[0] for line, _ in COMMANDS.values()}
    parser = __main__._parser()
    assert known == set(next(iter(parser._subparsers._group_actions)).choices)


@pytest.mark.parametrize("name", COMMANDS)
def test_what_a_user_has_is_left_alone(name, world, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    line, may_succeed = COMMANDS[name]
    folder = tmp_path / "F"
    before = fill(folder)
    places = {"F": str(folder), "W": str(world)}
    words = [places.get(w, w) for w in line.split()]
    words = [places[w[0]] + w[1:] if w[:2] in ("F/", "W/") else w for w in words]
    code = main(words)
    after, said = state(folder), capsys.readouterr().err
    assert {key: after.get(key) for key in before} == before
    if may_succeed:
        assert code == 0, said
    else:
        assert code == 1 and {Path(new).name for new in set(after) - set(before)} <= {MARK}
        assert said.count("\n") < 6 and (str(folder) in said or "scores" in said), said


def test_a_finished_folder_of_ours_keeps_what_others_put_there(world, tmp_path):
    """Files of a user that came later, in folders that commands write again."""
    curated, copy = tmp_path / "curated", tmp_path / "copy"
    curate = ["curate", "mimic_cxr", "--root", str(world / "mimic"), "--out", str(curated)]
    again = ["rehearse", "openi", "--to", str(copy), "--studies", "20", "--size", "32"]
    exported = ["--data", str(world / "data"), "--out", str(world / "runs")]
    exported += ["--config", str(world / "small.yaml"), "--seeds", "0", "--to", str(tmp_path / "m")]
    for command in (curate, again, ["export", *exported]):
        assert main(command) == 0
    mine = {
        path: path.write_text("mine") and state(path.parent)[path.name]
        for path in (curated / "notes.md", copy / "mine.png", tmp_path / "m" / "notes.md")
    }
    for command in (curate, [*again, "--force"], ["export", *exported, "--force"]):
        assert main(command) == 0
    assert all(state(path.parent)[path.name] == digest for path, digest in mine.items())
    with_other_seed = [*again[:-4], "--studies", "20", "--size", "32", "--seed", "1"]
    assert main(with_other_seed) == 1 and main([*with_other_seed, "--force"]) == 0
    (tmp_path / "m" / "README.md").unlink()
    (tmp_path / "m" / "README.md").mkdir()
    before = state(tmp_path)
    assert main(["curate", "vindr_cxr", "--root", str(world / "vindr"), "--out", str(curated)]) == 1
    assert main(["curate", "--data", str(curated)]) == 1
    assert main(["rehearse", "openi", "--to", str(curated), "--force"]) == 1
    assert state(tmp_path) == before


KILLS = """
import json, os, shutil, sys
import offclip.data.archive, offclip.rehearsal
from offclip.__main__ import main

template, command, points = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
WRITES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree", "shutil.copyfile")
count, at = 0, -1

def watch(event, arguments):
    global count
    writes = event in WRITES or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))
    count += bool(writes)
    if writes and count == at:
        os.kill(os.getpid(), 9)

sys.addaudithook(watch)

def attempt(name, last):
    global count, at
    folder = f"{template}_{name}"
    shutil.copytree(template, folder)
    pid = os.fork()
    if not pid:
        count, at = 0, last
        code = main([word.replace("FOLDER", folder) for word in command])
        open(f"{folder}.count", "w").write(str(count))
        os._exit(code)
    return os.waitpid(pid, 0)[1]

assert attempt("whole", -1) == 0
total = int(open(f"{template}_whole.count").read())
for number in range(points):
    assert attempt(number, 1 + (total - 1) * number // (points - 1)) != 0
"""


@pytest.mark.parametrize("name", ["curate", "rehearse"])
def test_killed_midway_all_is_as_before_or_new(name, world, tmp_path):
    template = tmp_path / "template"
    command = {
        "curate": ["curate", "mimic_cxr", "--root", str(tmp_path / "root"), "--jobs", "1",
                   "--out", "FOLDER"],
        "rehearse": ["rehearse", "openi", "--studies", "20", "--size", "32", "--seed", "3",
                     "--force", "--to", "FOLDER"],
    }[name]  # fmt: skip
    writable_copy("mimic_cxr", tmp_path / "root")
    first = [w.replace("FOLDER", str(template)) for w in command if w not in ("--seed", "3")]
    assert main(first) == 0
    ours = state(template)
    (template / "mine").mkdir()
    mine = {f"mine/{key}": value for key, value in fill(template / "mine").items()}
    max((tmp_path / "root").glob("files/*/*/*.txt")).unlink()  # what is curated now is another
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(template), json.dumps(command), "9"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    new = {k: v for k, v in state(tmp_path / "template_whole").items() if k not in mine}
    assert new != ours
    ends = set()
    for number in range(9):
        folder = tmp_path / f"template_{number}"
        assert read_mark(folder) is not None
        found = {k: v for k, v in state(folder).items() if not k.startswith(".offclip")}
        assert {key: found.pop(key) for key in mine} == mine
        assert found in (ours, new), sorted(set(found) ^ set(ours))
        ends.add(found == new)
    assert ends == {False, True} or (name == "curate" and ends == {False})
    assert MARK in ours
