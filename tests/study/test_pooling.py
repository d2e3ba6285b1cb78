"""What may be pooled: runs that differ in their seed alone, each seed once."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offclip.__main__ import main
from offclip.evaluation import questions
from offclip.evaluation.delong import delong_difference, holm
from offclip.evaluation.protocol import clusters_of
from offclip.study import material as material_module
from offclip.study import run_config, sweep
from offclip.study.evidence import delong_records, differences, over_seeds, run_records
from offclip.study.material import Material
from offclip.study.measured import Measured, measure_run
from offclip.study.run import Run
from tests.study.conftest import SMALL, all_records

NOWHERE = Path("nowhere")


class MadeUp(Run):
    """A run whose scores are noise with the truth in them, the same for the copies of a study."""

    def scores(self, split):
        cases = self.about["records"].query("split == @split")
        code, studies = pd.factorize(cases["study_id"].str.partition("-")[0])
        asked = Material(cases, NOWHERE).asked.prompts
        generator = np.random.default_rng([self.config.train.seed, len(self.config.variant)])
        noise = generator.normal(size=(len(studies), len(asked)))[code]
        strength = 2.0 if self.config.variant == "offclip" else 0.2
        truth = strength * cases["is_normal"].to_numpy(dtype=float)[:, None]
        return pd.DataFrame(noise + truth, index=cases["study_id"], columns=asked)

    def pointing(self):
        return None


def measured(seed=0, variant="offclip", split="test", records=None, **changed) -> Measured:
    records = all_records() if records is None else records
    config = run_config(variant, head="cosine", seed=seed, **{**SMALL, **changed})
    about = {"config": f"{variant}{seed}", "commit": "c", "device": "d", "minutes": 1.0}
    run = MadeUp(NOWHERE, config, {**about, "records": records})
    return measure_run(run, Material(records, NOWHERE), split)


def test_runs_that_differ_in_their_seed_alone_are_pooled():
    runs = [measured(0), measured(1)]
    records = over_seeds(runs, [])
    means = {r.detail: r.value for r in records if r.metric == "normal_auc"}
    each = [one.answers["normal_auc", "mean"][0] for one in runs]
    assert means["mean"] == pytest.approx(np.mean(each)) and each[0] != each[1]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"seed": 0}, "seeds: expected each once, got 0 twice"),
        ({"seed": 1, "steps": 4}, "train.steps is 3 and 4"),
        ({"seed": 1, "image_size": 32}, "model.image_size is 64 and 32"),
        ({"seed": 1, "variant": "infonce"}, "variant is 'offclip' and 'infonce'"),
        ({"seed": 1, "split": "test_all"}, "'test' and 'test_all'"),
        ({"seed": 1, "records": all_records().drop(index=100)}, "records"),
    ],
)
def test_other_runs_are_not(other, message):
    runs = [measured(0), measured(**other)]
    with pytest.raises(ValueError, match=message):
        over_seeds(runs, [])
    good = [measured(0, "infonce"), measured(1, "infonce")]
    for pair in ((runs, good), (good, runs)):
        with pytest.raises(ValueError, match=message):
            differences(*pair, ("a", "b"))


def test_differences_are_of_the_same_cases():
    with pytest.raises(ValueError, match="'test' and 'test_all'"):
        differences([measured(0)], [measured(0, "infonce", split="test_all")], ("a", "b"))
    with pytest.raises(ValueError, match="'test' and 'test_all'"):
        delong_records(measured(0), measured(0, "infonce", split="test_all"), "infonce")


def test_a_run_twice_is_refused_before_anything_is_trained(material, tmp_path):
    config = run_config("offclip", head="cosine", seed=0, **SMALL)
    with pytest.raises(ValueError, match="offclip, cosine, seed 0 twice"):
        sweep([config, replace(config)], material, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["study", "--seeds", "0", "0"], "--seeds: expected each once, got 0 twice"),
        (["study", "--variants", "offclip", "offclip"], "--variants: .*offclip twice"),
        (["study", "--variants", "offclip", "offclip@prompted"], "offclip, .* seed 0 twice"),
        (["export", "--seeds", "1", "2", "1", "--to", "model"], "--seeds: .*1 twice"),
    ],
)
def test_twice_on_the_command_line(command, message, tmp_path, monkeypatch, capsys):
    class Curated:
        records = all_records()

    monkeypatch.setattr(material_module, "curate", lambda *_, **__: Curated)
    config = tmp_path / "small.yaml"
    config.write_text(json.dumps({**SMALL, "image_widths": [8, 16]}))
    out = tmp_path / "runs"
    record = ["--record", str(tmp_path / "r.csv")] if command[0] == "study" else []
    world = ["--data", str(tmp_path), "--out", str(out), "--config", str(config)]
    assert main([*command, *world, *record]) == 1
    error = capsys.readouterr().err
    assert re.search(message, error) and error.count("\n") == 1
    assert not out.exists() or not list(out.glob("offclip*"))


def copies(records, count):
    """So many images of each patient, all alike: as much evidence as one image of each."""
    numbered = [
        records.assign(study_id=records["study_id"] + f"-{k}", patient_id=records["study_id"])
        for k in range(count)
    ]
    return pd.concat(numbered, ignore_index=True)


def test_more_images_of_the_same_patients_are_no_more_evidence():
    records = all_records()
    one, five = ([measured(s, records=r) for s in (0, 1)] for r in (records, copies(records, 5)))
    for single, several in zip(run_records(one[0]), run_records(five[0]), strict=True):
        if "calibration" in single.metric:
            continue  # bins and noise depend on the number of images
        assert several.detail == single.detail and several.value == pytest.approx(single.value)
        assert several.interval == pytest.approx(single.interval), single.metric
        assert several.interval_method == single.interval_method.replace("images", "patients")
    ours, theirs = ({(r.metric, r.detail): r for r in over_seeds(each, [])} for each in (one, five))
    assert ours["normal_auc", "mean"].interval == pytest.approx(
        theirs["normal_auc", "mean"].interval
    )
    assert "images" in ours["normal_auc", "mean"].interval_method
    assert "patients" in theirs["normal_auc", "mean"].interval_method


def test_delong_does_not_count_the_images_of_a_patient_as_independent():
    records = all_records()
    found = [
        delong_records(*(measured(0, v, records=r) for v in ("offclip", "infonce")), "infonce")
        for r in (records, copies(records, 5))
    ]
    assert any(0 < record.value < 1 for record in found[0])
    for single, several in zip(*found, strict=True):
        assert several.value == pytest.approx(single.value), single.detail


def test_delong_leaves_unknown_labels_out():
    records = all_records()
    rows = records.index[(records["split"] == "test") & records["is_normal"]][:8]
    for row in rows:
        records.at[row, "labels"] = {**records.at[row, "labels"], "Pleural Effusion": None}
    ours, theirs = (measured(0, variant, records=records) for variant in ("offclip", "infonce"))
    found = delong_records(ours, theirs, "infonce")
    record = next(r for r in found if r.detail.endswith(": Pleural Effusion"))
    assert record.n == len(ours.cases) - 8
    known = [row not in rows for row in records.index[records["split"] == "test"]]
    expected = []
    for question, other in zip(
        *(questions(m.run.scores("test"), m.cases, m.material.asked) for m in (ours, theirs)),
        strict=True,
    ):
        if question.metric in ("normal_auc", "abnormal_auc_pos"):
            kept = known if question.detail == "Pleural Effusion" else np.full(len(known), True)
            pair = question.positive[kept], question.scores[kept], other.scores[kept]
            expected.append(delong_difference(*pair)[1])
    np.testing.assert_allclose([r.value for r in found], holm(np.array(expected)))


def test_a_class_of_one_patient_has_no_delong_test():
    records = all_records()
    ill = records["labels"].map(lambda labels: labels["Pleural Effusion"] == 1)
    records["patient_id"] = records["study_id"].where(~ill, records["split"])
    ours, theirs = (measured(0, variant, records=records) for variant in ("offclip", "infonce"))
    details = {r.detail.split(": ")[1] for r in delong_records(ours, theirs, "infonce")}
    assert "Cardiomegaly" in details and "Pleural Effusion" not in details


def test_the_patient_counts_or_else_the_study():
    cases = pd.DataFrame({"study_id": ["a", "b", "b", "c"], "patient_id": ["p", "p", "", None]})
    assert len(set(clusters_of(cases))) == 3
    assert pd.factorize(clusters_of(cases))[0].tolist() == [0, 0, 1, 2]
    assert pd.factorize(clusters_of(cases[["study_id"]]))[0].tolist() == [0, 1, 1, 2]
