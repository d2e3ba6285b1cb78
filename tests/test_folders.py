"""Nothing that has no mark is written into, replaced or removed; results appear whole or not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offclip.folders import (
    MARK,
    WORK,
    Mark,
    check,
    claim,
    claimed,
    expect,
    foreign,
    marked,
    read_mark,
    remove,
    replaced,
    separate,
    settled,
)
from tests.states import state

OURS = Mark("results", "a_set", {"seed": 0})


def make(folder, mark=OURS, *, force=False, resume=False, **files):
    with replaced(folder, mark, force=force, resume=resume) as work:
        for name, text in files.items():
            path = work / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def test_results_take_their_place_and_the_mark_tells_what_they_are(tmp_path):
    make(tmp_path / "out", a_txt="1", deep__b_txt="2")
    mark = read_mark(tmp_path / "out")
    assert (mark.purpose, mark.dataset, dict(mark.settings)) == ("results", "a_set", {"seed": 0})
    assert mark.contents == ("a.txt", "deep/b.txt")
    assert set(state(tmp_path / "out")) == {MARK, "a.txt", "deep/b.txt"}
    said = json.loads((tmp_path / "out" / MARK).read_text())
    assert said["written_by"].startswith("offclip ")
    assert [title for _, m in marked(tmp_path) for title in [m.title]] == [
        "results of a_set (seed 0)"
    ]


def test_what_the_new_results_lack_goes_and_what_is_not_ours_stays(tmp_path):
    make(tmp_path, a_txt="1", deep__b_txt="2", deep__c_txt="3")
    (tmp_path / "deep" / "mine.txt").write_text("mine")
    (tmp_path / "notes.md").write_text("mine")
    make(tmp_path, a_txt="4")
    assert {n: (tmp_path / n).read_text() for n in state(tmp_path) if n != MARK} == {
        "a.txt": "4", "deep/mine.txt": "mine", "notes.md": "mine",
    }  # fmt: skip
    assert foreign(tmp_path, read_mark(tmp_path)) == ["deep/mine.txt", "notes.md"]
    remove(tmp_path)
    assert set(state(tmp_path)) == {"deep/mine.txt", "notes.md"}


def test_a_stranger_with_the_name_of_a_result_is_not_overwritten(tmp_path):
    make(tmp_path, a_txt="1")
    (tmp_path / "b.txt").write_text("mine")
    before = state(tmp_path)
    with pytest.raises(ValueError, match=r"b.txt: a result has this name"):
        make(tmp_path, a_txt="2", b_txt="2")
    with pytest.raises(ValueError, match=r"b.txt: a result has this name"):
        make(tmp_path, Mark(**{**vars(OURS), "contents": ("b.txt",)}), a_txt="2")
    assert state(tmp_path) == before


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_without_our_mark_is_refused(tmp_path, force):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mine.txt").write_text("mine")
    for content in (None, "{}", "[1]", '{"written_by": "me", "purpose": "results"}', "no json"):
        if content is not None:
            (tmp_path / MARK).write_text(content)
        before = state(tmp_path)
        with pytest.raises(ValueError, match="without a mark of offclip that holds deep"):
            make(tmp_path, force=force, a_txt="1")
        with pytest.raises(ValueError, match="without a mark of offclip"):
            claim(tmp_path, OURS)
        with pytest.raises(ValueError, match="expected a folder with a mark"):
            remove(tmp_path)
        assert state(tmp_path) == before
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for name in ("deep/mine.txt", "nowhere"):
        with pytest.raises(ValueError, match="got a file, or a link to nothing"):
            claim(tmp_path / name, OURS)


def test_other_settings_need_force_and_another_purpose_is_always_refused(tmp_path):
    make(tmp_path, a_txt="1")
    before = state(tmp_path)
    for other in (Mark("results", "b_set", {"seed": 0}), Mark("results", "a_set", {"seed": 1})):
        with pytest.raises(ValueError, match=r"now ('b_set'|1); give another folder, or --force"):
            make(tmp_path, other, a_txt="2")
        with pytest.raises(ValueError, match="give another folder$"):
            claim(tmp_path, other)
    for force in (False, True):
        with pytest.raises(ValueError, match="expected a folder for models, got results of a_set"):
            make(tmp_path, Mark("models"), force=force, a_txt="2")
    assert state(tmp_path) == before
    make(tmp_path, Mark("results", "b_set"), force=True, a_txt="2")
    assert read_mark(tmp_path).dataset == "b_set" and (tmp_path / "a.txt").read_text() == "2"
    assert check(tmp_path, Mark("results")).dataset == "b_set", "what is left open is not compared"


def test_what_fails_changes_nothing(tmp_path):
    with pytest.raises(OSError, match="full"), replaced(tmp_path / "new", OURS) as work:
        (work / "a.txt").write_text("half")
        raise OSError("full")
    assert not (tmp_path / "new").exists()
    make(tmp_path / "out", a_txt="1")
    before = state(tmp_path / "out")
    with pytest.raises(KeyboardInterrupt), replaced(tmp_path / "out", OURS) as work:
        (work / "a.txt").write_text("half")
        raise KeyboardInterrupt
    assert state(tmp_path / "out") == before


def test_stopped_work_is_continued_with_the_same_settings_alone(tmp_path):
    with pytest.raises(OSError), replaced(tmp_path / "out", OURS, resume=True) as work:
        (work / "a.txt").write_text("half")
        raise OSError("full")
    assert read_mark(tmp_path / "out") is None
    with pytest.raises(ValueError, match="got unfinished results of a_set"):
        expect(tmp_path / "out", "results")
    other = Mark("results", "a_set", {"seed": 1})
    with pytest.raises(ValueError, match=r"got unfinished results .*: seed 0, now 1; .*--force"):
        make(tmp_path / "out", other, resume=True)
    with replaced(tmp_path / "out", OURS, resume=True) as work:
        assert (work / "a.txt").read_text() == "half"
    assert set(state(tmp_path / "out")) == {MARK, "a.txt"}
    with replaced(tmp_path / "out", OURS, resume=True) as work:
        assert [path.name for path in work.iterdir()] == [MARK]
        (work / "a.txt").write_text("whole")


def test_a_first_try_without_any_work_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="typo"), replaced(tmp_path / "o", OURS, resume=True):
        raise ValueError("typo")
    assert not (tmp_path / "o").exists()


def test_what_stands_in_the_way_is_named_before_anything_is_moved(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for number, block in enumerate((
        lambda folder: (folder / "deep" / "b.txt").mkdir(),
        lambda folder: (folder / "deep").rmdir() or (folder / "deep").symlink_to("../elsewhere"),
        lambda folder: (folder / "deep").rmdir() or (folder / "deep").write_text("mine"),
    )):  # fmt: skip
        folder = tmp_path / str(number)
        make(folder, a_txt="1", deep__b_txt="1")
        (folder / "deep" / "b.txt").unlink()
        block(folder)
        before = state(folder)
        with pytest.raises(ValueError, match="is not a file that offclip made"):
            make(folder, a_txt="2", deep__b_txt="2")
        assert state(folder) == before
    assert not list((tmp_path / "elsewhere").iterdir())


def test_results_that_cannot_be_read_are_not_taken_for_moved(tmp_path, monkeypatch):
    make(tmp_path, a_txt="old")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("offclip.folders._settle", stop_at_ready)
        make(tmp_path, a_txt="new")

    def no_handles(path, **_):
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="Too many open files"):
        patch.setattr(Path, "read_text", no_handles)
        read_mark(tmp_path)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert (settled(tmp_path) / "a.txt").read_text() == "new"


def stop_at_ready(folder):
    if (folder / ".offclip.ready").is_dir():
        raise KeyboardInterrupt


def test_unfinished_work_is_shown_and_can_be_removed(tmp_path):
    with pytest.raises(OSError), replaced(tmp_path / "out", OURS, resume=True) as work:
        (work / "a.txt").write_text("half")
        raise OSError("full")
    ((folder, mark),) = marked(tmp_path)
    assert folder == tmp_path / "out" and mark.title.startswith("unfinished results of a_set")
    remove(folder)
    assert not (tmp_path / "out").exists()


def test_the_deepest_mark_decides_and_empty_folders_of_others_stay(tmp_path):
    claim(tmp_path / "outer", Mark("outer", contents=("*.txt",)))
    claim(tmp_path / "outer" / "inner", Mark("inner", contents=("b.txt",)))
    for name in ("a.txt", "inner/b.txt", "inner/notes.md", ".offclip.yaml"):
        (tmp_path / "outer" / name).write_text("x")
    (tmp_path / "outer" / ".git" / "refs").mkdir(parents=True)
    os.mkfifo(tmp_path / "outer" / "pipe")
    assert [folder.name for folder, _ in marked(tmp_path)] == ["inner", "outer"]
    for folder, mark in marked(tmp_path):
        assert not {"a.txt", "b.txt"} & set(foreign(folder, mark))
        remove(folder)
    assert set(state(tmp_path / "outer")) == {".offclip.yaml", "inner/notes.md"}
    assert (tmp_path / "outer" / ".git" / "refs").is_dir() and (tmp_path / "outer/pipe").exists()
    with pytest.raises(ValueError, match="without a mark of offclip that holds .offclip.yaml"):
        claim(tmp_path / "outer", OURS)


def test_nothing_is_removed_while_somebody_works(tmp_path):
    make(tmp_path, a_txt="1")
    for at_work in (replaced(tmp_path, OURS), claimed(tmp_path, OURS)):
        with at_work, pytest.raises(ValueError, match="another process is at work"):
            remove(tmp_path)
        make(tmp_path, a_txt="1")


def test_one_process_at_a_time(tmp_path):
    with (
        replaced(tmp_path, OURS) as work,
        pytest.raises(ValueError, match="another process is at work here"),
    ):
        (work / "a.txt").write_text("1")
        make(tmp_path, a_txt="2")
    make(tmp_path, a_txt="1")
    assert (tmp_path / "a.txt").read_text() == "1"


def test_a_claimed_folder_stays_ours(tmp_path):
    mark = Mark("run", "a_set", {"seed": 0}, ("*.txt", "parts/*", "tree/**"))
    claim(tmp_path, mark)
    (tmp_path / "a.txt").write_text("1")
    claim(tmp_path, mark)
    claim(tmp_path, Mark("run"))
    for name, ours in {
        "a.txt": True, "deep/a.txt": False, "parts/1": True, "parts/1/2": False, "tree/1/2": True,
        "tree": False, "b.md": False,
    }.items():  # fmt: skip
        assert mark.owns(name) == ours, name


def test_outputs_lie_outside_of_inputs(tmp_path):
    separate(tmp_path / "out", "out", root=tmp_path / "root")
    separate(tmp_path, "out", root=tmp_path / "root")
    (tmp_path / "root").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "root")
    for out in ("root", "root/records", "root/../root", "link/records"):
        with pytest.raises(ValueError, match="out: expected a folder outside of root"):
            separate(tmp_path / out, "out", root=tmp_path / "root")


KILLED = """
import os, sys
from pathlib import Path
from offclip import folders
from offclip.folders import Mark, replaced

at, count = int(sys.argv[2]), 0
def dies(function):
    def run(*arguments, **options):
        global count
        count += 1
        if count == at:
            os.kill(os.getpid(), 9)
        return function(*arguments, **options)
    return run

for name in ("replace", "rename", "unlink", "mkdir", "rmdir"):
    setattr(Path, name, dies(getattr(Path, name)))
with replaced(sys.argv[1], Mark("results", "a_set", {"seed": 0})) as work:
    (work / "deep").mkdir()
    for name in ("a.txt", "deep/b.txt", "new.txt"):
        (work / name).write_text("new")
print("done")
"""


def test_killed_at_any_point_the_results_are_the_old_or_the_new_ones(tmp_path):
    """SIGKILL at each change of the file system in turn; what is not ours is never touched."""
    mine = {"mine.txt": "mine", "deep/mine.txt": "mine"}
    seen = set()
    for at in range(1, 40):
        folder = tmp_path / str(at)
        make(folder, a_txt="old", deep__b_txt="old", gone_txt="old")
        for name, text in mine.items():
            (folder / name).write_text(text)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(folder), str(at)], capture_output=True, text=True,
            cwd=Path(__file__).parents[1],
        )  # fmt: skip
        read_mark(folder)
        texts = {n: (folder / n).read_text() for n in state(folder)
                 if n != MARK and not n.startswith(".offclip")}  # fmt: skip
        assert {name: texts.pop(name) for name in mine} == mine
        old = {"a.txt": "old", "deep/b.txt": "old", "gone.txt": "old"}
        new = {"a.txt": "new", "deep/b.txt": "new", "new.txt": "new"}
        assert texts in (old, new), (at, texts)
        assert set(read_mark(folder).contents) == set(texts)
        seen.add("new" if texts == new else "old")
        if done.stdout == "done\n":
            break
        assert done.returncode == -signal.SIGKILL
        make(folder, a_txt="again")
        assert (folder / "a.txt").read_text() == "again" and not (folder / WORK).exists()
    else:
        pytest.fail("it never came to its end")
    assert seen == {"old", "new"} and at > 10


names = st.sampled_from(["a.txt", "b.txt", "deep/c.txt", "records.parquet", "notes", "deep/d"])


@settings(max_examples=60, deadline=None)
@given(
    strangers=st.sets(names, min_size=1),
    results=st.lists(st.tuples(st.sets(names, min_size=1), st.booleans()), min_size=1, max_size=4),
)
def test_strangers_survive_any_sequence(tmp_path_factory, strangers, results):
    folder = tmp_path_factory.mktemp("any")
    make(folder, first_txt="1")
    for name in strangers:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")
    kept = set()
    for number, (files, fails) in enumerate(results):
        try:
            with replaced(folder, OURS) as work:
                for name in files:
                    (work / name).parent.mkdir(exist_ok=True)
                    (work / name).write_text(str(number))
                if fails:
                    raise OSError
            assert not files & strangers
            kept = files
        except ValueError:
            assert files & strangers
        except OSError:
            assert fails
        assert all((folder / name).read_text() == "mine" for name in strangers)
        ours = set(state(folder)) - strangers - {MARK}
        assert ours == (kept or {"first.txt"})
    remove(folder)
    assert set(state(folder)) == strangers
