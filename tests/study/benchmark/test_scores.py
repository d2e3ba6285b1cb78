"""One score table: resumed, mended, private to its model, and nothing outside of the root."""

import os
import pickle
import shutil
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from offclip.evaluation.pointing import boxes_without_margin
from offclip.imaging import read_radiograph
from offclip.study.benchmark import scores as scores_module
from offclip.study.benchmark.measures import measure_boxes, units_of
from offclip.study.benchmark.pointing import boxes_in_images, point_in_files
from offclip.study.benchmark.scores import Scored, Scorer, score_digest, score_images
from tests.imaging.turned import BOX, stored
from tests.study.benchmark.fakes import Oracle, known_pictures, square

PROMPTS = ["there is a", "there is b"]


@pytest.fixture
def root(tmp_path):
    """Nine pictures of noise."""
    folder = tmp_path / "root"
    (folder / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for k in range(9):
        grey = generator.integers(0, 255, (90, 70), dtype=np.uint8)
        Image.fromarray(grey).save(folder / "images" / f"{k}.png")
    return folder


NAMES = [f"images/{k}.png" for k in range(9)]


def truth(image, prompt):
    return int(image[7]) + (100.0 if prompt == "there is b" else 0.0)


def scorer(root, name="one", **settings):
    rows = pd.DataFrame({"image": NAMES, "study_id": NAMES})
    known = known_pictures(root, rows)
    return Scorer(Oracle(truth, known, name=name, **settings), square, batch_size=2)


def expected():
    return pd.DataFrame(
        [[truth(name, p) for p in PROMPTS] for name in NAMES], index=NAMES, columns=PROMPTS
    )


def same(table):
    np.testing.assert_array_equal(table.loc[NAMES, PROMPTS], expected())


def test_rows_are_images_and_columns_are_prompts(root, tmp_path):
    one = scorer(root)
    found = score_images(one, PROMPTS, root, NAMES, tmp_path / "scores")
    same(found.table)
    assert not found.refused and found.images.loc["images/3.png"].tolist() == [70, 90]
    kept = pd.read_parquet(tmp_path / "scores" / "scores.parquet")
    assert list(kept.columns) == PROMPTS and kept.index.name == "image"
    same(kept)
    assert one.model.encoded == len(PROMPTS), "texts are encoded once"
    again = score_images(one, PROMPTS[::-1], root, NAMES[::-1], tmp_path / "scores")
    same(again.table)
    assert one.model.seen == 9 and again.minutes == pytest.approx(found.minutes)


def test_an_interrupted_scoring_goes_on_and_gives_the_same_table(root, tmp_path, monkeypatch):
    monkeypatch.setattr(scores_module, "PART", 2)
    one = scorer(root)
    prepare = one.model.prepare

    def cut_off(images):
        if one.model.seen == 6:
            raise KeyboardInterrupt
        return prepare(images)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(one.model, "prepare", cut_off)
        score_images(one, PROMPTS, root, NAMES, tmp_path / "scores")
    parts = sorted((tmp_path / "scores" / "parts").glob("*.parquet"))
    assert len(parts) == 3 and one.model.seen == 6
    parts[1].write_bytes(b"cut")
    told = []
    found = score_images(one, PROMPTS, root, NAMES, tmp_path / "scores", report=told.append)
    same(found.table)
    assert one.model.seen == 6 + 5, "what was finished is not scored again, what is damaged is"
    assert told[-1] == "scored 5 of 5 images, 0 unreadable" and len(told) == 3
    assert one.model.encoded == 2 * len(PROMPTS), "texts are encoded once a call, not once a part"
    assert not list((tmp_path / "scores" / "parts").iterdir())


def test_reading_can_be_shared_out(root, tmp_path):
    def elsewhere(function, items):
        return map(pickle.loads(pickle.dumps(function)), pickle.loads(pickle.dumps(items)))

    one = scorer(root)
    (root / NAMES[2]).unlink()
    shared = Scorer(one.model, square, batch_size=4, spread=elsewhere)
    found = score_images(shared, PROMPTS, root, NAMES, tmp_path / "scores")
    assert found.table.equals(expected().drop(NAMES[2]).astype(found.table.dtypes.iloc[0]))
    assert set(found.refused) == {NAMES[2]}


def test_files_that_were_mended_or_changed_are_read_again(root, tmp_path):
    one = scorer(root)
    good = (root / NAMES[4]).read_bytes()
    (root / NAMES[4]).write_bytes(good[:100])
    (root / NAMES[5]).unlink()
    found = score_images(one, PROMPTS, root, NAMES, tmp_path / "scores")
    assert set(found.refused) == {NAMES[4], NAMES[5]} and len(found.table) == 7
    assert NAMES[4] in found.refused[NAMES[4]]
    (root / NAMES[4]).write_bytes(good)
    (root / NAMES[0]).write_bytes((root / NAMES[1]).read_bytes())
    found = score_images(one, PROMPTS, root, NAMES, tmp_path / "scores")
    assert set(found.refused) == {NAMES[5]}
    assert found.table["there is a"].tolist() == [1, 1, 2, 3, 4, 6, 7, 8]


def test_a_folder_holds_the_scores_of_one_root(root, tmp_path):
    """Two copies of a set have the same names, and at times sizes and times of change."""
    other = tmp_path / "other"
    shutil.copytree(root, other)  # keeps the times
    score_images(scorer(root), PROMPTS, root, NAMES, tmp_path / "scores")
    with pytest.raises(ValueError, match="scores of .*: root '.*root', now '.*other'"):
        score_images(scorer(other), PROMPTS, other, NAMES, tmp_path / "scores")


def test_pixels_that_changed_with_size_and_time_kept_are_read_again(root, tmp_path):
    one, path = scorer(root), root / NAMES[0]
    score_images(one, PROMPTS, root, NAMES, tmp_path / "scores")
    state, content = path.stat(), (root / NAMES[1]).read_bytes()
    content = content[: state.st_size].ljust(state.st_size, b"\0")
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    found = score_images(one, PROMPTS, root, NAMES, tmp_path / "scores")
    assert found.refused or found.table["there is a"][NAMES[0]] == 1


def test_nothing_outside_of_the_root_is_opened(root, tmp_path):
    (tmp_path / "secret.png").write_bytes((root / NAMES[0]).read_bytes())
    (root / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "images" / "loop.png").symlink_to(root / "images" / "loop.png")
    outside = ["../secret.png", "images/link.png", str(tmp_path / "secret.png")]
    names = [*outside, "images/loop.png", NAMES[1]]
    found = score_images(scorer(root), PROMPTS, root, names, tmp_path / "scores")
    assert list(found.table.index) == [NAMES[1]] and set(found.refused) == set(names[:-1])
    assert all("leads out of" in found.refused[name] for name in outside)
    with pytest.raises(ValueError, match="expected each image once"):
        score_images(scorer(root), PROMPTS, root, NAMES[:1] * 2, tmp_path / "scores")


def test_a_table_is_of_one_model_its_words_and_its_pixels(root):
    one = scorer(root)
    digest = score_digest(one, PROMPTS)
    assert score_digest(scorer(root), PROMPTS) == digest
    others = [
        score_digest(scorer(root, "two"), PROMPTS),
        score_digest(one, PROMPTS[:1]),
        score_digest(Scorer(one.model, square, pixels="max"), PROMPTS),
        score_digest(Scorer(one.model, lambda grey: square(grey)[::-1]), PROMPTS),
    ]
    assert len({digest, *others}) == 5


def rows_of_studies():
    labels = [{"A": 1, "B": None}, {"A": 0, "B": 0}, {"A": 0, "B": 1}, {"A": 0}]
    return pd.DataFrame({
        "image": ["p", "q", "r", "s"], "study_id": ["1", "2", "1", "3"],
        "patient_id": ["x", "y", "x", "y"], "view": ["PA", "AP", "LATERAL", "LATERAL"],
        "is_normal": [False, True, False, True], "labels": labels,
    })  # fmt: skip


def test_images_of_a_study_are_made_one_wherever_they_stand():
    rows = rows_of_studies()
    table = pd.DataFrame({"there is a": [8.0, 2.0, 4.0, 1.0]}, index=["s", "r", "q", "p"])
    found = {views: units_of(rows, table, views) for views in ("mean", "max", "frontal")}
    scores = {views: units.table["there is a"].to_dict() for views, units in found.items()}
    assert scores == {
        "mean": {"1": 1.5, "2": 4.0, "3": 8.0},
        "max": {"1": 2.0, "2": 4.0, "3": 8.0},
        "frontal": {"1": 1.0, "2": 4.0},
    }
    cases = found["mean"].cases.set_index("study_id")
    assert cases.loc["1", "labels"] == {"A": 1, "B": 1} and not cases.loc["1", "is_normal"]
    assert cases["patient_id"].to_dict() == {"1": "x", "2": "y", "3": "y"}
    assert found["mean"].disagreeing == 1 and found["frontal"].without_view == 1
    shuffled = units_of(rows.iloc[[3, 1, 0, 2]], table.iloc[::-1], "mean")
    assert shuffled.table["there is a"].to_dict() == scores["mean"]
    with pytest.raises(KeyError, match="s"):
        units_of(rows, table.drop("s"), "mean")
    with pytest.raises(ValueError, match="views: expected"):
        units_of(rows, table, "best")


def test_boxes_go_from_the_tables_pixels_to_what_the_model_sees():
    """512 × 256 in the table, 128 × 64 in the file; the model sees 224 of 256, padded above."""
    box = {"label": "A", "x_min": 0.0, "y_min": 0.0, "x_max": 256.0, "y_max": 256.0}
    rows = pd.DataFrame({"image": ["p"], "boxes": [[box]], "box_width": 512, "box_height": 256})
    images = pd.DataFrame({"width": [128], "height": [64], "orientation": 1}, index=["p"])
    [[found]] = boxes_without_margin(boxes_in_images(rows, images, 256), 16).values()
    assert found == {"label": "A", "x_min": -16, "y_min": 48, "x_max": 112, "y_max": 176}
    plain = rows.drop(columns=["box_width", "box_height"])
    images = pd.DataFrame({"width": [512], "height": [256], "orientation": 1}, index=["p"])
    assert boxes_in_images(plain, images, 256) == boxes_in_images(rows, images, 256)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_game_is_played_in_boxes_that_turn_with_their_picture(orientation, tmp_path):
    """Attention on the bright rectangle of a file is a hit, however the file is turned."""
    stored(tmp_path / "p.png", orientation)
    grey = read_radiograph(tmp_path / "p.png")
    y, x = np.argwhere(square(grey) > 120).mean(axis=0)
    known = {zlib.crc32(np.ascontiguousarray(square(grey)).tobytes()): "p.png"}
    cell = 8 * (int(y) // 8) + int(x) // 8
    model = Oracle(lambda *_: 0.0, known, looks_at=lambda *_: cell)
    rows = pd.DataFrame({"image": ["p.png"], "patient_id": ["1"], "boxes": [[BOX]]})
    size = {"width": grey.shape[1], "height": grey.shape[0]}
    scored = Scored(pd.DataFrame(), pd.DataFrame(size, index=["p.png"]), {}, 0.0)
    hits = point_in_files(Scorer(model, square), {"A": "a"}, rows, scored, tmp_path, tmp_path)
    assert hits["hit"].tolist() == [True] and hits["chance"].max() < 0.3


@pytest.mark.parametrize("hit", [True, False])
def test_attention_in_the_box_is_a_hit(hit, root, tmp_path):
    """The box is the right lower quarter of what an 8 × 8 grid sees of a square of 64 pixels."""
    box = {"label": "A", "x_min": 45.0, "y_min": 45.0, "x_max": 90.0, "y_max": 90.0}
    rows = pd.DataFrame({
        "image": NAMES, "study_id": NAMES, "patient_id": NAMES, "boxes": [[box]] * 9,
        "box_width": 90, "box_height": 90,
    })  # fmt: skip
    images = pd.DataFrame({"width": 90, "height": 90}, index=NAMES)
    cell = 8 * 6 + 5 if hit else 8 * 6 + 2
    sees = scorer(root, looks_at=lambda image, prompt: cell if prompt == "there is a" else 0)
    scored = Scored(expected(), images, {}, 0.0)
    hits = point_in_files(sees, {"A": "a", "B": "b"}, rows, scored, root, tmp_path)
    assert hits["hit"].tolist() == [hit] * 9 and set(hits["label"]) == {"A"}
    seen = sees.model.seen
    assert point_in_files(sees, {"A": "a", "B": "b"}, rows, scored, root, tmp_path).equals(hits)
    assert sees.model.seen == seen, "kept for the next call"
    state = (root / NAMES[0]).stat()
    os.utime(root / NAMES[0], ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    point_in_files(sees, {"A": "a", "B": "b"}, rows, scored, root, tmp_path)
    assert sees.model.seen == 2 * seen, "not for other images"
    found = measure_boxes(hits, rows, least=5, resamples=10)
    assert found.answers["pointing", "mean"][0] == float(hit)
    assert found.answers["pointing_chance", "A"][0] == 0.25
    assert found.counts["pointing", "A"] == 9
    rare = measure_boxes(hits, rows, least=10, resamples=10)
    assert rare.answers == {} and rare.notes == ["pointing: too few boxed images of A (9)"]


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_an_image(size, root):
    with pytest.raises(ValueError, match=f"batch_size: expected at least 1 .*, got {size}"):
        Scorer(scorer(root).model, square, batch_size=size)
