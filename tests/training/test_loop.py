"""The loop: learns, resumes bit for bit, stops on NaN, refuses a foreign folder."""

import dataclasses
import json

import pytest
import torch

from offclip.losses import tier_penalty
from offclip.models import ImageTextModel, ModelConfig, load_weights
from offclip.training import TrainConfig, train
from offclip.training.loop import learning_rate

MODEL = ModelConfig(image_size=32, image_widths=(8, 16), dim=16, heads=2)
CONFIG = TrainConfig(steps=8, batch_size=8, validate_every=2, learning_rate=3e-3, select="accuracy")


def new_model(seed=0):
    torch.manual_seed(seed)
    return ImageTextModel(MODEL, vocabulary=20)


def batches(epoch, spoiled=False):
    """Four kinds of pictures and texts; kind 0 is normal."""
    generator = torch.Generator().manual_seed(epoch)
    for _ in range(3):
        kinds = torch.randint(0, 4, (8,), generator=generator)
        images = 0.1 * torch.randn(8, 1, 32, 32, generator=generator)
        for image, kind in zip(images, kinds, strict=True):
            image[0, :, 8 * int(kind) : 8 * int(kind) + 8] += 2
        if spoiled:
            images[0] = torch.nan
        yield {
            "images": images,
            "input_ids": torch.stack([torch.tensor([2, 5 + int(k), 3]) for k in kinds]),
            "attention_mask": torch.ones(8, 3, dtype=torch.long),
            "is_normal": kinds == 0,
            "ids": [f"study{i}" for i in range(8)],
        }


def validate(model):
    batch = next(batches(99))
    scores = model(batch["images"], batch["input_ids"], batch["attention_mask"]).mean
    right = batch["input_ids"][scores.argmax(dim=1), 1] == batch["input_ids"][:, 1]
    return {"accuracy": right.float().mean().item()}


@pytest.mark.parametrize("loss", ["infonce", "offdiag_bce", "offdiag_soft", "offclip"])
def test_learns_and_logs(loss, tmp_path):
    config = dataclasses.replace(CONFIG, loss=loss, steps=60, validate_every=20)
    result = train(new_model(), batches, validate, config, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [20, 40, 60]
    assert lines[-1]["loss_total"] < lines[0]["loss_total"]
    assert result.best["accuracy"] >= (0.5 if loss == "offdiag_bce" else 0.75)
    dumped = json.loads((tmp_path / "config.json").read_text())
    assert dumped["train"]["loss"] == loss and dumped["model"]["dim"] == 16
    model = new_model(seed=5)
    load_weights(tmp_path / "best.safetensors", model)
    assert validate(model.eval())["accuracy"] == result.best["accuracy"]


def test_tier_makes_words_look_at_fewer_patches(tmp_path):
    entropies = {}
    for weight in (0.0, 0.5):
        config = dataclasses.replace(CONFIG, loss="infonce", steps=60, tier_words=weight)
        model = new_model()
        result = train(model, batches, validate, config, tmp_path / str(weight))
        batch = next(batches(99))
        inputs = {name: batch[name] for name in ("images", "input_ids", "attention_mask")}
        scores, cosines = model.with_tokens(**inputs)
        assert torch.equal(scores.image_to_text, model(**inputs).image_to_text)
        assert cosines.shape == (8, 3, 16) and cosines.abs().max() <= 1 + 1e-5
        penalty = tier_penalty(cosines, words_weight=1.0, patches_weight=0.0, temperature=0.1)
        entropies[weight] = penalty.item()
    assert entropies[0.5] < 0.8 * entropies[0.0]
    last = result.log[-1]
    assert 0 < last["loss_tier"] < last["loss_total"]
    assert last["loss_tier"] < result.log[0]["loss_tier"]


def test_interrupted_run_ends_with_the_same_weights(tmp_path):
    whole = new_model()
    train(whole, batches, validate, CONFIG, tmp_path / "whole")

    def interrupted(epoch):
        if epoch == 1:
            raise KeyboardInterrupt
        return batches(epoch)

    with pytest.raises(KeyboardInterrupt):
        train(new_model(), interrupted, validate, CONFIG, tmp_path / "parts")
    resumed = new_model(seed=7)
    result = train(resumed, batches, validate, CONFIG, tmp_path / "parts")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert [entry["step"] for entry in result.log] == [2, 4, 6, 8]


def test_finished_run_is_not_repeated(tmp_path):
    first = train(new_model(), batches, validate, CONFIG, tmp_path)

    def none(epoch):
        raise AssertionError("a finished run drew a batch")

    again = train(new_model(seed=3), none, validate, CONFIG, tmp_path)
    assert again.best == first.best


def test_not_a_number_stops_with_step_and_studies(tmp_path):
    with pytest.raises(FloatingPointError, match=r"step 0 with studies study0.*learning_rate"):
        train(new_model(), lambda e: batches(e, spoiled=True), validate, CONFIG, tmp_path)
    assert not (tmp_path / "best.safetensors").exists()


def test_folder_of_another_run_is_refused(tmp_path):
    train(new_model(), batches, validate, CONFIG, tmp_path)
    other = dataclasses.replace(CONFIG, learning_rate=1e-4)
    with pytest.raises(ValueError, match=r"learning_rate was 0.003, now 0.0001"):
        train(new_model(), batches, validate, other, tmp_path)


def test_unknown_selection_metric_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"select: expected one of .* accuracy; got 'f1'"):
        train(new_model(), batches, validate, dataclasses.replace(CONFIG, select="f1"), tmp_path)
    assert not (tmp_path / "best.safetensors").exists()


def test_epoch_without_a_batch(tmp_path):
    with pytest.raises(ValueError, match="fewer studies than batch_size"):
        train(new_model(), lambda epoch: iter(()), validate, CONFIG, tmp_path)


def test_corrupt_checkpoint_is_named(tmp_path):
    train(new_model(), batches, validate, CONFIG, tmp_path)
    (tmp_path / "best.safetensors").write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"best.safetensors"):
        load_weights(tmp_path / "best.safetensors", new_model())
    with pytest.raises(FileNotFoundError, match="train first"):
        load_weights(tmp_path / "none.safetensors", new_model())


def test_schedule_warms_up_and_ends_at_zero():
    config = TrainConfig(steps=100, warmup=0.1, learning_rate=1.0)
    rates = [learning_rate(config, step) for step in range(100)]
    assert max(rates) == 1.0 and rates.index(1.0) == 10
    assert rates[0] < 0.1 and rates[-1] < 0.001


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"loss": "clip"}, "loss: expected one of infonce"),
        ({"form": "mse"}, "form: expected one of bce"),
        ({"steps": 0}, "steps: expected at least 1"),
        ({"warmup": 1.0}, "warmup: expected a share"),
    ],
)
def test_bad_settings_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**setting)
