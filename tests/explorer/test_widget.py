"""The Python side: what it accepts, what it shows, and the HTML it carries."""

import re

import pytest
import traitlets

from offclip.explorer import LossExplorer
from offclip.explorer.page import MODULE
from offclip.explorer.widget import LOSSES, checked_flags, checked_loss


def test_one_line_shows_a_widget_and_its_html():
    explorer = LossExplorer(is_normal=[True, False, True], loss="infonce")
    bundle = explorer._repr_mimebundle_()
    data = bundle[0]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == "LossExplorer(is_normal=[True, False, True], loss='infonce')"
    assert (
        "{&quot;is_normal&quot;: [true, false, true], &quot;loss&quot;: &quot;infonce&quot;}"
        in (data["text/html"])
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_every_named_loss_is_taken(loss):
    assert LossExplorer(loss=loss).loss == loss


@pytest.mark.parametrize("flags", [[True], [False] * 9, []])
def test_batch_out_of_range(flags):
    with pytest.raises(ValueError, match="expected 2 to 8 studies, got"):
        LossExplorer(is_normal=flags)


@pytest.mark.parametrize("flags", [[1, 0], ["yes", "no"], None, "TF", 3, [True, None]])
def test_flags_of_a_wrong_type(flags):
    with pytest.raises(ValueError, match="is_normal: expected a list of True and False"):
        checked_flags(flags)


@pytest.mark.parametrize("loss", ["clip", "", None, 3])
def test_unknown_loss(loss):
    with pytest.raises(ValueError, match="loss: expected one of infonce, .*, got"):
        checked_loss(loss)


def test_later_assignments_are_checked_too():
    explorer = LossExplorer()
    with pytest.raises(traitlets.TraitError):
        explorer.loss = "clip"
    with pytest.raises(traitlets.TraitError):
        explorer.is_normal = [True]


def test_the_module_asks_for_nothing_and_can_be_inlined():
    assert not re.search(
        r"\bimport\b[^.]*\bfrom\b|\bimport\(|\bfetch\(|https?:|</script|<!--", MODULE
    )
