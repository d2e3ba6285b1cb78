"""Several processes compute the loss and the gradients of one, on the same batch."""

import itertools
import json
from dataclasses import replace

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

from offclip.models import ImageTextModel, ModelConfig
from offclip.training import Objective, TrainConfig, train
from offclip.training.distributed import GlobalBatchNorm2d, process_state, use_global_statistics
from tests.training.process_group import launch, run_in_group
from tests.training.test_loop import CONFIG, Kinds, new_model, validate

SIZES = {"image_size": 32, "image_widths": (8, 16), "dim": 16, "heads": 2}
LOSSES = ("infonce", "offdiag_bce", "offdiag_soft", "offclip")
HEADS = ("cosine", "cross_attention")
TIER = {"tier_words": 0.3, "tier_patches": 0.2}
CASES = [
    *(({"loss": loss}, head) for loss, head in itertools.product(LOSSES, HEADS)),
    ({"loss": "offclip", "form": "bce", "balance": "classes"}, "cosine"),
    ({"loss": "offclip", **TIER}, "cross_attention"),
    ({"loss": "infonce", "pairs_at_once": 16}, "cross_attention"),
]


def batch_of(size=8):
    """Texts of different lengths; every abnormal case is in the first quarter."""
    generator = torch.Generator().manual_seed(3)
    length = torch.arange(size) % 4 + 2
    return {
        "images": torch.randn(size, 1, 32, 32, generator=generator),
        "input_ids": torch.randint(5, 20, (size, 6), generator=generator),
        "attention_mask": (torch.arange(6) < length[:, None]).long(),
        "is_normal": torch.arange(size) >= size // 4,
    }


def objective_of(settings, head):
    torch.manual_seed(0)
    model = ImageTextModel(ModelConfig(head=head, **SIZES), vocabulary=20).double().train()
    config = TrainConfig(**settings)
    model.head.pairs_at_once = config.pairs_at_once
    return Objective(model, config)


def widened(batch):
    return {**batch, "images": batch["images"].double()}


def alone(settings, head):
    """Terms, gradients and running statistics of one process."""
    module = objective_of(settings, head)
    terms = module(**widened(batch_of()))
    terms["total"].backward()
    return terms, module.model


def compare_with_one_process(rank, folder):
    """Every loss and head in this group; what is found is written by rank 0."""
    count = distributed.get_world_size()
    for number, (settings, head) in enumerate(CASES):
        module = objective_of(settings, head)
        use_global_statistics(module.model)
        parallel = DistributedDataParallel(module)
        part = {name: values.chunk(count)[rank] for name, values in widened(batch_of()).items()}
        terms = parallel(**part)
        terms["total"].backward()
        state = {
            "terms": {name: term.detach() for name, term in terms.items()},
            "gradients": {n: p.grad for n, p in module.model.named_parameters()},
            "buffers": dict(module.model.named_buffers()),
        }
        if rank == 0:
            torch.save(state, folder / f"{number}.pt")


@pytest.mark.parametrize("count", [2, 4])
def test_every_loss_and_head_is_that_of_one_process(count, tmp_path):
    run_in_group(count, compare_with_one_process, tmp_path)
    for number, (settings, head) in enumerate(CASES):
        found = torch.load(tmp_path / f"{number}.pt", weights_only=True)
        terms, model = alone(settings, head)
        assert found["terms"].keys() == terms.keys()
        for name, term in terms.items():
            torch.testing.assert_close(found["terms"][name], term.detach(), rtol=0, atol=1e-9)
        for name, parameter in model.named_parameters():
            gradient = found["gradients"][name]
            torch.testing.assert_close(gradient, parameter.grad, rtol=0, atol=1e-9)
        for name, buffer in model.named_buffers():
            torch.testing.assert_close(found["buffers"][name], buffer, rtol=0, atol=1e-9)


class Double(Kinds):
    """The same pictures in float64."""

    def __call__(self, epoch, start=0):
        for batch in super().__call__(epoch, start):
            yield widened(batch)


def judge(model):
    precise = model.head.norm.weight.dtype
    found = validate(model.float())
    model.to(precise)
    return found


def train_in_group(rank, folder, settings, double):
    config = replace(CONFIG, steps=24, validate_every=8, **settings)
    model, batches = (new_model().double(), Double()) if double else (new_model(), Kinds())
    result = train(model, batches, judge, config, folder)
    (folder / f"{rank}.json").write_text(json.dumps(result.log))


@pytest.mark.parametrize(
    ("settings", "double", "far"),
    [
        ({"accumulate": 2, "ema": 0.5, "save_every": 1}, True, 1e-7),
        ({"precision": "bfloat16"}, False, 0.1),
    ],
    ids=["float64", "bfloat16"],
)
def test_the_loop_in_two_processes_learns_what_one_learns(settings, double, far, tmp_path):
    run_in_group(2, train_in_group, tmp_path, settings, double)
    logs = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    assert [entry["step"] for entry in logs[0]] == [8, 16, 24]
    assert [e["accuracy"] for e in logs[0]] == [e["accuracy"] for e in logs[1]]
    (tmp_path / "one").mkdir()
    train_in_group(0, tmp_path / "one", settings, double)
    one = json.loads((tmp_path / "one" / "0.json").read_text())
    for ours, theirs in zip(logs[0], one, strict=True):
        assert ours["loss_total"] == pytest.approx(theirs["loss_total"], rel=far)
    assert one[-1]["loss_total"] < 0.9 * one[0]["loss_total"]


def spoiled_gradient(rank, folder):
    model = new_model()
    if rank == 1:
        model.head.norm.weight.register_hook(lambda gradient: gradient * torch.nan)
    try:
        train(model, Kinds(), validate, CONFIG, folder)
    except FloatingPointError as error:
        (folder / f"{rank}.txt").write_text(str(error))


def test_a_gradient_of_one_process_that_is_not_a_number_stops_all(tmp_path):
    run_in_group(2, spoiled_gradient, tmp_path)
    for rank in (0, 1):
        assert (tmp_path / f"{rank}.txt").read_text().startswith("gradient norm: nan at step 0")
        record = json.loads((tmp_path / f"not_finite_{rank}.json").read_text())
        assert record["ids"] == [f"study{i}" for i in range(4 * rank, 4 * rank + 4)]


def uneven(rank, folder):
    try:
        train(new_model(), Kinds(), validate, replace(CONFIG, batch_size=9), folder)
    except ValueError as error:
        (folder / f"{rank}.txt").write_text(str(error))


def test_a_batch_that_cannot_be_shared_out_is_named(tmp_path):
    run_in_group(2, uneven, tmp_path)
    said = (tmp_path / "1.txt").read_text()
    assert said == "batch_size: expected a multiple of the 2 processes, got 9"


def test_processes_that_do_not_find_together_are_told(monkeypatch):
    process_state()
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(
        RuntimeError, match="started 3, but this one is in a group of 1; .*torchrun"
    ):
        process_state()


FAILING = """
import sys
import torch
from torch import distributed
from offclip.__main__ import main
from offclip.cli import runs
from offclip.training.distributed import process_state

def train(options=None):
    values = torch.ones(1)
    if process_state().process_index == 1:
        work = distributed.all_reduce(values, async_op=True)  # an orderly exit waits for it
        raise ValueError("no memory is left")
    distributed.recv(values, src=1)  # and rank 0 for this

runs._train = train
sys.exit(main(["train"])) if sys.argv[1] == "command" else train()
"""


@pytest.mark.parametrize("way", ["command", "script"])
def test_an_error_in_one_process_ends_all(way):
    members = launch(2, FAILING, way)
    try:
        said = [member.communicate(timeout=60)[1] for member in members]
    finally:
        for member in members:
            member.kill()
    assert [member.returncode for member in members] == [1, 1]
    start = "offclip train: " if way == "command" else "ValueError: "
    assert f"{start}no memory is left" in said[1]


def test_the_others_wait_a_day_while_the_first_works_alone():
    members = launch(2, """
from torch import device, distributed
from offclip.training.distributed import process_state
process_state()
print(distributed.group.WORLD._get_backend(device("cpu")).options._timeout.total_seconds())
distributed.barrier()
distributed.destroy_process_group()
""")  # fmt: skip
    assert [float(member.communicate()[0]) for member in members] == [86_400, 86_400]


def test_batch_norm_with_one_process_is_pytorchs():
    ours, peer = GlobalBatchNorm2d(3), torch.nn.BatchNorm2d(3)
    images = torch.randn(4, 3, 5, 5)
    for _ in range(2):
        assert torch.equal(ours(images), peer(images))
    assert torch.equal(ours.eval()(images), peer.eval()(images))
    assert torch.equal(ours.running_var, peer.running_var)
