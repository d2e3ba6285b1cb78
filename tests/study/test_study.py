"""Runs and sweeps on a small synthetic world."""

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from offclip.data.batches import PhantomImages, StudyBatches
from offclip.evaluation import config_hash, read_evidence, write_evidence
from offclip.folders import foreign, read_mark
from offclip.models import load
from offclip.study import (
    Material,
    best_run,
    finished_run,
    load_model,
    overview,
    pooled,
    run,
    run_config,
    study_records,
    sweep,
)
from offclip.study.material import training_texts
from offclip.study.run import LATER, Run, chosen_studies, run_folder, run_hash
from offclip.text import FilterPolicy
from tests.study.conftest import SMALL, all_records

run_module = sys.modules["offclip.study.run"]  # its name in the package is the function's


def config(variant="offclip", seed=0, head="cross_attention", **overrides):
    return run_config(variant, head=head, seed=seed, **{**SMALL, **overrides})


def test_a_finished_run_is_kept_and_can_be_loaded(material, tmp_path):
    done = run(config(), material, tmp_path)
    weights = done.folder / "best.safetensors"
    written = weights.stat().st_mtime_ns
    again = run(config(), material, tmp_path)
    assert again.about == done.about and weights.stat().st_mtime_ns == written
    model = load_model(done)
    assert model.config == done.config.model and "effusion" in model.tokenizer.get_vocab()
    same = load(done.folder)
    assert same.config == model.config and same.tokenizer.get_vocab() == model.tokenizer.get_vocab()
    assert all(torch.equal(w, same.state_dict()[name]) for name, w in model.state_dict().items())
    assert list(done.scores("test").index) == list(
        material.records.query("split == 'test'").study_id
    )
    assert done.about["texts"]["kept"] + done.about["texts"]["dropped"] == 2 * 35
    unknown = done.about["unknown_words"]
    assert unknown["there is pneumothorax"] == ["pneumothorax"]
    assert "there is cardiomegaly" not in unknown


def test_a_run_of_other_code_is_not_returned_and_is_reported(material, tmp_path, monkeypatch):
    lines = []
    done = run(config(), material, tmp_path, report=lines.append)
    monkeypatch.setattr(run_module, "code_version", lambda module: "other")
    assert finished_run(tmp_path, config(), material) is None
    again = run(config(), material, tmp_path, report=lines.append)
    assert again.folder != done.folder and (done.folder / "run.json").exists()
    (said,) = [line for line in lines if "other code" in line]
    assert said.startswith(f"{done.folder.name} was finished by other code")
    assert again.about["config"] == done.about["config"], "records name it as before"
    mark = read_mark(again.folder)
    assert (mark.purpose, mark.dataset) == ("training run", "openi_phantom")
    assert foreign(again.folder, mark) == []


def test_a_run_is_not_written_into_what_is_not_ours(material, tmp_path):
    folder = run_folder(tmp_path, config(), material)
    folder.mkdir()
    (folder / "best.safetensors").write_text("mine")
    with pytest.raises(ValueError, match="without a mark of offclip that holds best.safetensors"):
        run(config(), material, tmp_path)
    assert (folder / "best.safetensors").read_text() == "mine"


def test_a_run_records_whether_float32_was_cut(material, tmp_path):
    about = run(config(), material, tmp_path).about
    assert about["tensor_float32"] == {"matmul": False, "cudnn": False}


def test_same_seed_same_scores(material, tmp_path):
    first, second = (run(config(), material, tmp_path / name) for name in "ab")
    assert first.scores("test").equals(second.scores("test"))
    other = run(config(seed=1), material, tmp_path / "a")
    assert not np.allclose(other.scores("test"), first.scores("test"))


def test_interrupted_between_training_and_scoring(material, tmp_path):
    done = run(config(), material, tmp_path)
    scores = done.scores("test")
    (done.folder / "run.json").unlink()
    (done.folder / "scores_test.parquet").unlink()
    assert finished_run(tmp_path, config(), material) is None
    assert run(config(), material, tmp_path).scores("test").equals(scores)


def test_study_records_are_whole(material, tmp_path):
    configs = [config(v, seed=s) for s in (0, 1) for v in ("infonce", "offclip")]
    runs = sweep(configs, material, tmp_path)
    assert [r.config for r in runs] == configs
    records = study_records({"infonce": runs[0::2], "offclip": runs[1::2]}, material)
    table = read_evidence(write_evidence(tmp_path / "records.csv", records))
    keys = ["split", "variant", "metric", "detail", "seed", "prompting", "head"]
    assert not table.duplicated(keys).any()
    for metric in ("normal_auc", "normal_auc_free", "abnormal_auc_pos", "abnormal_auc_pnc"):
        chosen = (table.metric == metric) & (table.split == "test") & (table.variant == "offclip")
        single = table[chosen]
        one = single[single.detail == single.detail.iloc[0]]
        mean = one[one.seed.notna()].value.mean()
        assert one[one.seed.isna()].value.item() == pytest.approx(mean, abs=2e-6)
    assert (table.low <= table.high)[table.low.notna()].all()
    p_values = table[table.metric.str.endswith("_delong_p")]
    assert set(p_values.seed) == {0, 1} and p_values.value.between(0, 1).all()
    assert set(p_values.metric) == {"normal_auc_delong_p", "abnormal_auc_pos_delong_p"}
    difference = pooled(table, "abnormal_auc_pos_difference").query("detail.str.endswith('mean')")
    means = overview(table)["abnormal, POS"]
    assert difference.value.item() == pytest.approx(means["offclip"] - means["infonce"], abs=2e-6)


def test_texts_that_are_cut_are_counted(tmp_path):
    records = all_records()
    long = "there is no pleural effusion " * 7  # 35 words, where 30 have room
    records.at[0, "prompts"] = [long, "there is clear lung"]  # a normal study
    records.at[1, "prompts"] = ["there is cardiomegaly", long]  # dropped by the filter
    material = Material(records, tmp_path / "draws")
    for variant, cut in (("infonce", 2), ("offclip", 1)):
        assert run(config(variant), material, tmp_path).about["texts"]["cut"] == cut
    longer = config("infonce", text_length=40)
    assert run(longer, material, tmp_path).about["texts"]["cut"] == 0


def test_the_best_run_is_one_that_was_measured():
    def runs(*values):
        bests = [{"normal_auc": value, "abnormal_auc_pos": 0.5} for value in values]
        return [Run(Path(str(n)), config(), {"best": best}) for n, best in enumerate(bests)]

    assert best_run(runs(np.nan, 0.6, 0.7, np.nan)).folder == Path("2")
    with pytest.raises(ValueError, match="normal_auc and abnormal_auc_pos as numbers, got NaN"):
        best_run(runs(np.nan, np.nan))


def test_filter_keeps_normal_reports_and_counts_add_up(material):
    cases = material.cases("train")
    texts = training_texts(cases, prompting="prompted", filtered=True, policy=FilterPolicy())
    for each, normal in zip(texts.texts, cases["is_normal"], strict=True):
        assert len(each) == (2 if normal else 1)
    assert texts.kept + texts.dropped == cases["prompts"].map(len).sum()


def test_filter_errors_turn_decisions_round(material):
    cases = material.cases("train")

    def texts(errors, seed=0):
        return training_texts(
            cases, prompting="prompted", filtered=True, policy=FilterPolicy(),
            filter_errors=errors, seed=seed,
        )  # fmt: skip

    right, wrong, some = texts(0.0), texts(1.0), texts(0.3)
    for a, b, case in zip(right.texts, wrong.texts, cases.itertuples(), strict=True):
        if case.is_normal:
            assert a == b == list(case.prompts)
        else:
            assert sorted(a + b) == sorted(case.prompts)
    assert some.kept + some.dropped == right.kept + right.dropped
    assert texts(0.3).texts == some.texts != texts(0.3, seed=1).texts
    with pytest.raises(ValueError, match="filter_errors"):
        run_config("offclip", head="cosine", seed=0, filter_errors=1.5)


def test_drawable_cases(material):
    assert "S4" not in set(material.cases("train")["study_id"])
    assert "S4" in set(material.cases("train", drawable=False)["study_id"])
    with pytest.raises(ValueError, match="split: expected train, validation, test; got 'dev'"):
        material.cases("dev")


def test_batches_are_a_function_of_seed_and_epoch(material):
    cases = material.cases("train")
    texts = [[] if i == 0 else ["a", "b"] for i in range(len(cases))]
    batches = StudyBatches(
        material.pictures(cases, 32),
        texts,
        cases["is_normal"].to_numpy(),
        lambda chosen: {"chosen": list(chosen)},
        batch_size=8,
        seed=0,
        draws=2,
    )
    first, again, later = (list(batches(epoch)) for epoch in (0, 0, 1))
    assert [b["ids"] for b in first] == [b["ids"] for b in again] != [b["ids"] for b in later]
    seen = [study for batch in first for study in batch["ids"]]
    assert len(seen) == len(set(seen)) == 32 and cases["study_id"][0] not in seen
    assert not (first[0]["images"] == later[0]["images"]).all()
    assert len(batches) == len(first) == 4
    for ours, theirs in zip(batches(0, start=2), first[2:], strict=True):
        assert ours["chosen"] == theirs["chosen"] and ours["ids"] == theirs["ids"]


def test_cached_draws_are_the_rendered_ones(material, tmp_path):
    cases = material.cases("test").head(3)
    kept = PhantomImages(
        list(cases["study_id"]), material.pictures(cases, 32).findings, size=32, folder=tmp_path
    )
    fresh = PhantomImages(kept.ids, kept.findings, size=32)
    for _ in range(2):
        assert (kept.draw(1) == fresh.draw(1)).all()
    assert not (fresh.draw(0) == fresh.draw(1)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: config("offclip", tier_words=0.1), "tier_words.*expected 0.*'\\+tier'"),
        (lambda: config("offclop"), "variant: expected one of infonce"),
        (lambda: config(stepps=3), "did you mean 'steps'"),
        (lambda: config(prompting="raw"), "needs prompting='prompted'"),
        (lambda: config(prompting="llm"), "expected 'prompted' or 'raw'"),
        (lambda: config(draws=0), "draws: expected at least 1"),
        (lambda: config(image_size=65), "multiple of the patch"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_too_large_a_batch(material, tmp_path):
    with pytest.raises(ValueError, match="batch_size: expected at most 35"):
        run(config(batch_size=64), material, tmp_path)
    assert not (run_folder(tmp_path, config(batch_size=64), material) / "run.json").exists()


def test_a_variant_with_tier_takes_its_weights_or_the_given_ones():
    assert not config("offclip").train.tier
    own = config("offclip+tier").train
    assert own.tier and own.tier_words == own.tier_patches > 0
    given = config("offclip+tier", tier_words=0.3).train
    assert (given.tier_words, given.tier_patches) == (0.3, 0.0)


def test_the_name_tells_what_the_variant_alone_does_not():
    changed = config("offdiag_bce", score_bias=-5.0, filter_errors=0.05)
    assert changed.name == "offdiag_bce, 5% filter errors, score bias -5"
    assert config("offclip", abnormal_weight=0.5).name == "offclip, weights 1 and 0.5"
    few = config("offclip", studies_kept=0.1, normals_kept=0.5, form="bce", balance="classes")
    assert few.name == ("offclip, 10% of studies, 50% of normals, form bce, balance classes")


def test_settings_younger_than_the_runs_of_record_leave_their_names_alone(material):
    settings = {k: v for k, v in asdict(config()).items() if k not in LATER}
    settings["train"] = {k: v for k, v in settings["train"].items() if k not in LATER}
    assert run_hash(config(), material) == config_hash({**settings, "data": material.fingerprint})
    for changed in ({"normals_kept": 0.5}, {"ema": 0.9}):
        assert run_hash(config(**changed), material) != run_hash(config(), material)


def test_fewer_studies_are_counted_and_part_of_more(material, tmp_path):
    cases = material.cases("train")
    settings = {"batch_size": 8}
    few = run(config(studies_kept=0.5, normals_kept=0.5, **settings), material, tmp_path)
    counts = few.about["texts"]
    assert counts["studies"] + counts["studies_without_text"] + counts["studies_left_out"] == len(
        cases
    )
    normal = cases["is_normal"].to_numpy(dtype=bool)
    half = chosen_studies(normal, config(studies_kept=0.5))
    fewer = chosen_studies(normal, config(studies_kept=0.5, normals_kept=0.1))
    assert (fewer <= half).all() and fewer.sum() < half.sum()
    assert (fewer[~normal] == half[~normal]).all()
    with pytest.raises(ValueError, match="normals_kept: expected a share in"):
        config(normals_kept=0.0)
