"""What may be pooled: runs that differ in their seed alone, each seed once."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from offclip.__main__ import main
from offclip.study import material as material_module
from offclip.study import run_config, sweep
from offclip.study.evidence import Measured, differences, measure_run, over_seeds
from offclip.study.material import Material
from offclip.study.run import Run
from tests.study.conftest import SMALL, all_records

NOWHERE = Path("nowhere")


class MadeUp(Run):
    """A run whose scores are noise, with the truth in them."""

    def scores(self, split):
        cases = all_records().query("split == @split")
        generator = np.random.default_rng(self.config.train.seed)
        asked = Material(all_records(), NOWHERE).asked.prompts
        noise = generator.normal(size=(len(cases), len(asked)))
        truth = cases["is_normal"].to_numpy(dtype=float)[:, None]
        return pd.DataFrame(noise + truth, index=cases["study_id"], columns=asked)

    def pointing(self):
        return None


def measured(seed=0, variant="offclip", split="test", records=None, **changed) -> Measured:
    config = run_config(variant, head="cosine", seed=seed, **{**SMALL, **changed})
    about = {"config": f"{variant}{seed}", "commit": "c", "device": "d", "minutes": 1.0}
    material = Material(all_records() if records is None else records, NOWHERE)
    return measure_run(MadeUp(NOWHERE, config, about), material, split)


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
    record = ["--record", str(tmp_path / "r.json")] if command[0] == "study" else []
    world = ["--data", str(tmp_path), "--out", str(out), "--config", str(config)]
    assert main([*command, *world, *record]) == 1
    error = capsys.readouterr().err
    assert re.search(message, error) and error.count("\n") == 1
    assert not out.exists() or not list(out.glob("offclip*"))
