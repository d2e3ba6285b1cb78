"""Random views: each kind of change alone is what it says, and the seed decides all."""

import pytest
import torch

from offclip.training import Augmentation, augment

STILL = {
    "mirrored": 0.0, "degrees": 0.0, "moved": 0.0, "scale": (1.0, 1.0), "brightness": (1.0, 1.0),
    "contrast": (1.0, 1.0),
}  # fmt: skip


def pictures(count=64, side=32):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(40, 200, (count, side, side), generator=generator, dtype=torch.uint8)


def views(margin=0, seed=0, of=None, **settings):
    torch.manual_seed(seed)
    return augment(pictures() if of is None else of, Augmentation(**{**STILL, **settings}),
                   margin=margin)  # fmt: skip


def test_nothing_asked_is_nothing_done():
    assert torch.equal(views(), pictures())


def test_the_seed_decides():
    chosen = {"degrees": 10.0, "moved": 0.1, "contrast": (0.8, 1.2)}
    assert torch.equal(views(**chosen), views(**chosen))
    assert not torch.equal(views(**chosen), views(seed=1, **chosen))


def test_mirroring_exchanges_left_and_right_of_the_given_share():
    assert torch.equal(views(mirrored=1.0), pictures().flip(2))
    some = views(mirrored=0.3, of=pictures(2000, 8))
    mirrored = (some == pictures(2000, 8).flip(2)).all(dim=(1, 2))
    assert torch.equal(some[~mirrored], pictures(2000, 8)[~mirrored])
    assert mirrored.float().mean().item() == pytest.approx(0.3, abs=0.05)


def test_a_quarter_turn_is_a_quarter_turn(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, low, high: self.fill_(high))
    assert torch.equal(views(degrees=90.0), torch.rot90(pictures(), 1, dims=(1, 2)))


def test_scale_and_shift_move_a_spot_as_far_as_they_say(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, low, high: self.fill_(high))
    spot = torch.zeros(1, 101, 101, dtype=torch.uint8)
    spot[0, 50 + 20, 50] = 255

    def place(**settings):
        margin = settings.pop("margin", 0)
        seen = views(of=spot, margin=margin, **settings)[0].float()
        across, down = torch.meshgrid(torch.arange(101.0), torch.arange(101.0), indexing="xy")
        return [float((seen * each).sum() / seen.sum()) for each in (down, across)]

    assert place() == pytest.approx([70, 50])
    assert place(scale=(1.0, 1.5)) == pytest.approx([80, 50], abs=0.5)
    # places are sampled from further right and below, so the spot goes left and up
    assert place(moved=0.1) == pytest.approx([70 - 10.1, 50 - 10.1], abs=0.1)
    assert place(moved=0.1, margin=20) == pytest.approx([70 - 26.1, 50 - 26.1], abs=0.1)


def test_brightness_and_contrast_change_grey_values_as_they_say(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "uniform_", lambda self, low, high: self.fill_(high))
    grey = pictures().float()
    bright = views(brightness=(0.5, 1.2))
    torch.testing.assert_close(bright, (grey * 1.2).round().to(torch.uint8))
    mean = grey.mean(dim=(1, 2), keepdim=True)
    stretched = views(contrast=(0.5, 1.2))
    torch.testing.assert_close(stretched, (mean + 1.2 * (grey - mean)).round().to(torch.uint8))


def test_views_are_as_far_from_the_middle_on_both_sides():
    ramp = torch.arange(100, 132).to(torch.uint8).expand(2000, 32, 32)
    seen = views(of=ramp, moved=0.1, degrees=30.0, scale=(0.9, 1.1))[:, 14:18, 14:18].float()
    assert seen.mean().item() == pytest.approx(115.5, abs=0.2)
    assert seen.mean(dim=(1, 2)).std() > 1
