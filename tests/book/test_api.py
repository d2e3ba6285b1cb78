"""The API reference names every public loss, and its docstrings are whole."""

import inspect
import re
from pathlib import Path

import pytest

from offclip import losses

PAGE = (Path(__file__).resolve().parents[2] / "book" / "api.md").read_text(encoding="utf-8")
FUNCTIONS = [name for name in losses.__all__ if inspect.isfunction(getattr(losses, name))]


def test_every_public_loss_stands_on_the_page_once():
    section = PAGE[PAGE.index("automodule:: offclip.losses") : PAGE.index("## Training")]
    named = re.findall(r"\.\. auto(?:function|class):: (\w+)", section)
    assert sorted(named) == losses.__all__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings_name_every_argument_and_the_result(name):
    function = getattr(losses, name)
    text = inspect.getdoc(function)
    arguments, _, rest = text.partition("Args:\n")[2].partition("Returns:\n")
    described = set(re.findall(r"^    (\w+): ", arguments, flags=re.M))
    assert described == set(inspect.signature(function).parameters)
    assert rest.strip()
