"""The module in several processes: value and gradients of one process with the whole batch."""

import pytest
import torch
from torch import distributed, nn
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel

from offclip.losses import OffClipCriterion
from tests.training.process_group import run_in_group

OPTIONS = [
    {},
    {"form": "bce", "balance": "classes", "off_diagonal_weight": 0.7, "chunk_size": 3},
]
GENERATOR = torch.Generator().manual_seed(5)
IMAGES, TEXTS = (torch.randn(8, 6, generator=GENERATOR, dtype=torch.float64) for _ in range(2))
IS_NORMAL = torch.arange(8) >= 3  # of four processes, one has no normal study, two no abnormal one


class Towers(nn.Module):
    """Two linear towers with a scale and a bias."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text = (nn.Linear(6, 4, dtype=torch.float64) for _ in range(2))
        self.log_scale, self.bias = (
            nn.Parameter(torch.tensor(value, dtype=torch.float64)) for value in (1.5, -2.0)
        )

    def forward(self, images, texts):
        features = (normalize(self.image(images)), normalize(self.text(texts)))
        return *features, self.log_scale.exp(), self.bias


def step(model, options, rows):
    """The loss of some rows of the batch, its two terms, and the gradients that it leaves."""
    criterion = OffClipCriterion(**options)
    arguments, flags = model(IMAGES[rows], TEXTS[rows]), {"is_normal": IS_NORMAL[rows]}
    loss = criterion(*arguments, **flags)
    terms = criterion(*arguments, True, **flags)
    model.zero_grad()
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    return [loss.detach(), *(term.detach() for term in terms.values()), *gradients]


def steps_in_group(rank, folder):
    rows = torch.arange(8).chunk(distributed.get_world_size())[rank]
    results = {}
    for number, options in enumerate(OPTIONS):
        results[str(number)] = step(DistributedDataParallel(Towers()), options, rows)
        results[f"{number} alone"] = step(Towers(), {**options, "gather": False}, rows)
    torch.save(results, folder / f"{rank}.pt")


@pytest.mark.parametrize("count", [2, 4])
def test_processes_together_compute_the_loss_of_the_whole_batch(count, tmp_path):
    run_in_group(count, steps_in_group, tmp_path)
    for rank, rows in enumerate(torch.arange(8).chunk(count)):
        results = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        for number, options in enumerate(OPTIONS):
            whole, part = step(Towers(), options, slice(None)), step(Towers(), options, rows)
            torch.testing.assert_close(results[str(number)], whole, rtol=0, atol=1e-9)
            torch.testing.assert_close(results[f"{number} alone"], part, rtol=0, atol=1e-9)
            assert abs(whole[0] - part[0]) > 1e-2


def uneven_step(rank, folder):
    try:
        step(Towers(), {}, slice(0, 3 - rank))
    except ValueError as error:
        (folder / f"{rank}.txt").write_text(str(error))


def test_processes_with_unequal_parts_are_named(tmp_path):
    run_in_group(2, uneven_step, tmp_path)
    for rank in (0, 1):
        message = (tmp_path / f"{rank}.txt").read_text()
        assert message.startswith("image_features: expected equally many pairs in every process")
        assert "got 3, 2;" in message and "drop_last=True" in message
