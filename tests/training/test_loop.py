"""The loop: learns, resumes bit for bit, stops on NaN, refuses a foreign folder."""

import dataclasses
import json
import threading
from itertools import islice

import pytest
import torch

from offclip.losses import info_nce, tier_penalty
from offclip.models import ImageTextModel, ModelConfig, load_weights
from offclip.scores import tensor_float32
from offclip.training import (
    TrainConfig,
    learning_rate,
    progress_bar,
    step_costs,
    tensorboard,
    train,
)
from offclip.training.watch import memory_gib, process_gib
from tests.reads import Reads

MODEL = ModelConfig(image_size=32, image_widths=(8, 16), dim=16, heads=2)
CONFIG = TrainConfig(steps=8, batch_size=8, validate_every=2, learning_rate=3e-3, select="accuracy")


def new_model(seed=0):
    torch.manual_seed(seed)
    return ImageTextModel(MODEL, vocabulary=20)


class Kinds:
    """Four kinds of pictures and texts; kind 0 is normal. Three batches an epoch."""

    def __init__(self, epochs=99, spoiled=False):
        self.epochs, self.spoiled = epochs, spoiled

    def __len__(self):
        return 3 if self.epochs else 0

    def __call__(self, epoch, start=0):
        if epoch >= self.epochs and epoch != 99:
            raise KeyboardInterrupt
        return islice(kinds_of(epoch, self.spoiled), start, None)


batches = Kinds()


def kinds_of(epoch, spoiled):
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
        texts = model.encode_texts(inputs["input_ids"], inputs["attention_mask"])
        cosines = model.token_cosines(model.encode_images(inputs["images"]), texts)
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

    with pytest.raises(KeyboardInterrupt):
        train(new_model(), Kinds(epochs=1), validate, CONFIG, tmp_path / "parts")
    resumed = new_model(seed=7)
    result = train(resumed, batches, validate, CONFIG, tmp_path / "parts")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert [entry["step"] for entry in result.log] == [2, 4, 6, 8]


def test_the_next_batch_is_fetched_during_a_step_and_none_after_the_last(tmp_path, monkeypatch):
    """The first step waits until the second batch has been fetched."""
    fetched, second, model = [], threading.Event(), new_model()

    class Watched(Kinds):
        def __call__(self, epoch, start=0):
            for batch in super().__call__(epoch, start):
                fetched.append(threading.current_thread())
                if len(fetched) == 2:
                    second.set()
                yield batch

    encode = model.encode_images
    monkeypatch.setattr(model, "encode_images", lambda x: encode(x) if second.wait(30) else None)
    config = dataclasses.replace(CONFIG, steps=3, accumulate=2, validate_every=3)
    train(model, Watched(), lambda _: {"accuracy": 1.0}, config, tmp_path)
    assert len(fetched) == 6 and threading.main_thread() not in fetched


def test_finished_run_is_not_repeated(tmp_path):
    first = train(new_model(), batches, validate, CONFIG, tmp_path)

    again = train(new_model(seed=3), Kinds(epochs=-1), validate, CONFIG, tmp_path)
    assert again.best == first.best


def test_not_a_number_stops_with_step_and_studies(tmp_path):
    with pytest.raises(FloatingPointError, match=r"step 0 with studies study0.*all 8.*learning_r"):
        train(new_model(), Kinds(spoiled=True), validate, CONFIG, tmp_path)
    assert not (tmp_path / "best.safetensors").exists()
    told = json.loads((tmp_path / "not_finite_0.json").read_text())
    assert told["step"] == 0 and told["terms"]["total"] == "nan"
    assert told["ids"] == [f"study{i}" for i in range(8)]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_gradient_that_is_not_a_number_stops_before_the_weights_change(accumulate, tmp_path):
    model, calls = new_model(), []
    model.image_tower.project.bias.register_hook(
        lambda gradient: gradient * (torch.nan if len(calls) == 3 else 1.0)
    )
    seen = {}

    def watch(step, facts):
        if "loss_total" in facts:
            calls.append(step)
            seen.update({name: value.clone() for name, value in model.named_parameters()})

    config = dataclasses.replace(CONFIG, accumulate=accumulate)
    with pytest.raises(FloatingPointError, match=r"^gradient norm: nan at step 3 with .* study0"):
        train(model, batches, validate, config, tmp_path, watch=watch)
    assert calls == [1, 2, 3]
    for name, value in model.named_parameters():
        assert torch.equal(value, seen[name]), name
    record = json.loads((tmp_path / "not_finite_0.json").read_text())
    assert record["step"] == 3 and record["terms"]["gradient_norm"] == "nan"
    assert float(record["terms"]["total"]) > 0
    assert record["ids"] == [f"study{i}" for i in range(8)] * accumulate


def test_the_gradient_norm_is_logged(tmp_path):
    """Before clipping; the first by hand, the log's as the mean of its steps."""
    norms = []
    result = train(
        new_model(), batches, validate, dataclasses.replace(CONFIG, loss="infonce"), tmp_path,
        watch=lambda _, facts: norms.append(facts["gradient_norm"]) if "loss_total" in facts else 0,
    )  # fmt: skip
    peer, batch = new_model().train(), next(batches(0))
    scores = peer(batch["images"], batch["input_ids"], batch["attention_mask"])
    loss = (info_nce(scores.image_to_text) + info_nce(scores.text_to_image)) / 2
    loss.backward()
    expected = torch.cat([p.grad.flatten() for p in peer.parameters()]).norm().item()
    assert norms[0] == pytest.approx(expected, rel=1e-4) and len(norms) == 8
    logged = [entry["gradient_norm"] for entry in result.log]
    assert logged == pytest.approx(
        [(a + b) / 2 for a, b in zip(norms[::2], norms[1::2], strict=True)]
    )
    assert "loss_gradient_norm" not in result.log[0]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"loss": "infonce", "accumulate": 2}, []),
        ({"loss": "offdiag_bce"}, []),
        ({"loss": "offdiag_soft", "balance": "classes"}, []),
        ({"loss": "offclip"}, 2 * [("nonzero", "offclip.py")]),
    ],
)
def test_a_step_waits_for_the_device_once(settings, expected, tmp_path):
    """Terms and norm are read together by ``tolist``, which a CPU does without a dispatch."""
    config = dataclasses.replace(CONFIG, steps=1, validate_every=1, **settings)
    with Reads() as reads:
        train(new_model(), batches, lambda _: {"accuracy": 1.0}, config, tmp_path)
    assert reads.found == expected


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"),
    ],
)
def test_exhausted_memory_says_what_to_lower(error, tmp_path, monkeypatch):
    def exhausted(*_):
        raise error

    model = new_model()
    monkeypatch.setattr(model, "encode_images", exhausted)
    with pytest.raises(MemoryError, match=r"batch_size 8; try pairs_at_once 16 \(now 64\)"):
        train(model, batches, validate, CONFIG, tmp_path)


def test_other_errors_stay_what_they_are(tmp_path, monkeypatch):
    def broken(*_):
        raise RuntimeError("shapes cannot be multiplied")

    model = new_model()
    monkeypatch.setattr(model, "encode_images", broken)
    with pytest.raises(RuntimeError, match="^shapes cannot be multiplied$"):
        train(model, batches, validate, CONFIG, tmp_path)


def test_two_accumulated_batches_are_one_step_with_the_mean_gradient(tmp_path):
    """Of plain InfoNCE with Adam, done by hand; no warm-up, no clipping, no decay."""
    config = dataclasses.replace(
        CONFIG, loss="infonce", optimizer="adam", steps=1, accumulate=2, warmup=0.0,
        clip_norm=1e9, weight_decay=0.0, validate_every=1,
    )  # fmt: skip
    ours, peer = new_model(), new_model().train()
    train(ours, batches, validate, config, tmp_path)
    optimizer = torch.optim.Adam(peer.parameters(), lr=config.learning_rate)
    for batch in islice(batches(0), 2):
        scores = peer(batch["images"], batch["input_ids"], batch["attention_mask"])
        loss = (info_nce(scores.image_to_text) + info_nce(scores.text_to_image)) / 2
        (loss / 2).backward()
    optimizer.step()
    for name, value in peer.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, msg=name)


def test_the_average_of_weights_is_what_is_validated_and_kept(tmp_path):
    """Two steps: it starts at the weights after the first, and moves by what the decay leaves."""
    settings = {"steps": 2, "validate_every": 2, "learning_rate": 1e-2, "warmup": 0.0}
    plain, averaged = new_model(), new_model()
    config = dataclasses.replace(CONFIG, **settings)
    train(plain, batches, validate, config, tmp_path / "plain")
    seen = []

    def judge(model):
        seen.append(next(model.parameters()).detach().clone())
        return validate(model)

    config = dataclasses.replace(config, ema=0.75)
    train(averaged, batches, judge, config, tmp_path / "averaged")
    first = new_model()
    train(first, batches, validate, dataclasses.replace(config, ema=0.0, steps=1), tmp_path / "one")
    kept = next(averaged.parameters())
    assert torch.equal(seen[0], kept)
    assert not torch.equal(kept, next(plain.parameters()))
    expected = 0.75 * next(first.parameters()) + 0.25 * next(plain.parameters())
    torch.testing.assert_close(kept, expected)


def test_lower_precision_learns_too(tmp_path):
    config = dataclasses.replace(CONFIG, precision="bfloat16", steps=60, validate_every=20)
    model = new_model()
    result = train(model, batches, validate, config, tmp_path)
    assert result.best["accuracy"] >= 0.75
    assert next(model.parameters()).dtype == torch.float32


def test_float32_is_float32_in_products_and_in_convolutions(tmp_path):
    """PyTorch's defaults differ: TensorFloat-32 in cuDNN, not in matrix products."""
    for backend in (torch.backends.cuda.matmul, torch.backends.cudnn):
        backend.allow_tf32 = True
    assert tensor_float32() == {"matmul": True, "cudnn": True}
    train(new_model(), batches, validate, CONFIG, tmp_path)
    assert tensor_float32() == {"matmul": False, "cudnn": False}


def test_a_watch_sees_every_step_and_every_validation(tmp_path):
    seen = []
    train(
        new_model(), batches, validate, CONFIG, tmp_path,
        watch=lambda step, facts: seen.append((step, dict(facts))),
    )  # fmt: skip
    steps = [step for step, facts in seen if "loss_total" in facts]
    assert steps == list(range(1, 9))
    assert [step for step, facts in seen if "validation_accuracy" in facts] == [2, 4, 6, 8]
    facts = seen[0][1]
    assert facts["loss_total"] == pytest.approx(facts["loss_off_diagonal"] + facts["loss_abnormal"])
    assert facts["studies_per_second"] > 0 and facts["memory_gib"] > 0 and facts["seconds_left"] > 0


def test_the_parts_of_a_step_are_timed_and_leave_no_gradient():
    batch = dict(next(batches(0)))
    batch.pop("ids")
    model = new_model()
    costs = step_costs(model, batch, CONFIG, repeats=2)
    assert list(costs) == ["image tower", "text tower", "head", "loss", "backward"]
    assert min(costs.values()) > 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_parts_of_a_step_are_timed_in_the_precision_of_the_run(monkeypatch):
    batch, model, seen = dict(next(batches(0))), new_model(), []
    batch.pop("ids")
    head = model.head.forward
    monkeypatch.setattr(
        model.head, "forward", lambda *sides: seen.append(sides[1].pooled.dtype) or head(*sides)
    )
    for precision in ("float32", "bfloat16"):
        step_costs(model, batch, dataclasses.replace(CONFIG, precision=precision), repeats=1)
    assert seen == 2 * [torch.float32] + 2 * [torch.bfloat16]


def test_the_memory_is_that_of_the_device_in_use(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device=None: 2**31)
    assert 0 < memory_gib("cpu") == process_gib()
    assert memory_gib(torch.device("cuda:1")) == 2


def test_bar_and_curves(tmp_path, capfd):
    bar, curves = progress_bar(CONFIG), tensorboard(tmp_path)

    def both(step, facts):
        bar(step, facts)
        curves(step, facts)

    train(new_model(), batches, validate, CONFIG, tmp_path / "run", watch=both)
    assert "8/8" in capfd.readouterr().err
    written = b"".join(path.read_bytes() for path in (tmp_path / "tensorboard").iterdir())
    for name in (b"loss_off_diagonal", b"validation_accuracy", b"learning_rate"):
        assert name in written


def test_folder_of_another_run_is_refused(tmp_path):
    train(new_model(), batches, validate, CONFIG, tmp_path)
    other = dataclasses.replace(CONFIG, learning_rate=1e-4)
    with pytest.raises(ValueError, match=r"learning_rate was 0.003, now 0.0001"):
        train(new_model(), batches, validate, other, tmp_path)


NAN = float("nan")


def says(values):
    """A validation whose metric takes these values in turn."""
    left = iter(values)
    return lambda model: {"accuracy": next(left)}


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([NAN, 0.2, 0.4, 0.3], 6),
        ([0.2, NAN, 0.4, 0.3], 6),
        ([NAN, NAN, NAN, 0.0], 8),
        ([0.2, 0.1, NAN, NAN], 2),
        ([float("inf"), 0.1, -float("inf"), 0.1], 4),
    ],
)
def test_a_metric_that_is_not_finite_is_never_best_and_blocks_no_other(values, step, tmp_path):
    whole = train(new_model(), batches, says(values), CONFIG, tmp_path / "whole")
    assert whole.best == {"step": step, "accuracy": values[step // 2 - 1]}
    judge = says(values)
    with pytest.raises(KeyboardInterrupt):
        train(new_model(), Kinds(epochs=1), judge, CONFIG, tmp_path / "parts")
    parts = train(new_model(seed=7), batches, judge, CONFIG, tmp_path / "parts")
    assert parts.best == whole.best
    kept, again = ((tmp_path / n / "best.safetensors").read_bytes() for n in ("whole", "parts"))
    assert kept == again


def test_a_metric_that_is_never_finite_is_named_and_so_again_when_resumed(tmp_path):
    values = [NAN, float("inf"), NAN, NAN]
    message = r"select: expected a finite accuracy .* got inf, nan at all 4, .*log.jsonl"
    for judge in (says(values), says([])):
        with pytest.raises(ValueError, match=message):
            train(new_model(), batches, judge, CONFIG, tmp_path)
    assert not (tmp_path / "best.safetensors").exists()


def test_unknown_selection_metric_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"select: expected one of .* accuracy; got 'f1'"):
        train(new_model(), batches, validate, dataclasses.replace(CONFIG, select="f1"), tmp_path)
    assert not (tmp_path / "best.safetensors").exists()


def test_epoch_without_a_batch(tmp_path):
    with pytest.raises(ValueError, match="fewer studies than batch_size"):
        train(new_model(), Kinds(epochs=0), validate, CONFIG, tmp_path)


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


def test_plateau_halves_after_patience():
    config = TrainConfig(schedule="plateau", patience=2, warmup=0.0, learning_rate=1.0)
    judged = [0.5, 0.6, 0.6, 0.55, 0.6, 0.7, 0.1, 0.1, 0.1]
    rates = [learning_rate(config, 10, judged[:count]) for count in range(len(judged) + 1)]
    assert rates == [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25]
    unknown = [value for each in judged for value in (NAN, each, float("inf"))]
    assert [learning_rate(config, 10, unknown[: 3 * count]) for count in range(10)] == rates


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"loss": "clip"}, "loss: expected one of infonce"),
        ({"form": "mse"}, "form: expected one of bce"),
        ({"steps": 0}, "steps: expected at least 1"),
        ({"warmup": 1.0}, "warmup: expected a share"),
        ({"ema": 1.0}, "ema: expected a decay"),
        ({"precision": "float16"}, "precision: expected one of float32, bfloat16"),
        ({"schedule": "step"}, "schedule: expected one of cosine, plateau"),
        ({"decayed": "some"}, "decayed: expected one of all, weights"),
        ({"scale_bound": "none"}, "scale_bound: expected one of forward, step"),
        ({"accumulate": 0}, "accumulate: expected at least 1"),
        ({"pairs_at_once": 0}, "pairs_at_once: expected at least 1"),
    ],
)
def test_bad_settings_are_named(setting, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**setting)
