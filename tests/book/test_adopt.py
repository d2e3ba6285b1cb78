"""The how-to page for other training scripts: its code runs as it stands, and learns."""

import math
import re
import socket
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).resolve().parents[2] / "book" / "adopt.md"


def blocks(language):
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


@pytest.fixture(scope="module")
def page():
    """The names that the page's code leaves behind, run without a network."""

    def refuse(*arguments, **options):
        raise AssertionError("the page's code opens a connection")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        names = {}
        exec(compile("\n".join(blocks("python")), str(PAGE), "exec"), names)
        yield names


@pytest.mark.parametrize("model", ["dual", "clip"])
def test_the_loss_falls_to_the_floor_that_the_page_states(page, model):
    floor = (math.log(16) + math.log(4)) / 2 + math.log(4)
    assert f"{floor:.2f}" == "3.47" and "together 3.47" in PAGE.read_text(encoding="utf-8")
    losses = page[f"{model}_losses"]
    assert losses[0] > floor + 2 and sum(losses[-6:]) / 6 == pytest.approx(floor, abs=0.3)


@pytest.mark.parametrize("model", ["dual", "clip"])
def test_both_normal_texts_fit_every_normal_image(page, model):
    texts = torch.tensor(page["NORMAL_TEXTS"] + page["ABNORMAL_TEXTS"])
    images = torch.stack([e["pixel_values"] for e in page["examples"] if e["is_normal"]])
    with torch.no_grad():
        scores = page[model](pixel_values=images, input_ids=texts).logits_per_image
    fits = scores[:, :2].min(dim=1).values > scores[:, 2:].max(dim=1).values
    assert fits.float().mean() > 0.9


def test_open_clips_sum_is_the_scalar(page):
    total = page["criterion"](**page["model_out"], is_normal=page["flags"])
    assert page["total_loss"].item() == pytest.approx(total.item())


def test_the_lines_of_the_difference_are_those_of_the_script():
    (difference,) = blocks("diff")
    script = "\n".join(blocks("python")).splitlines()
    added = [line[1:] for line in difference.splitlines() if line.startswith("+")]
    assert len(added) <= 11 and set(added) <= set(script)
