"""A running chat server, and prompters that use it."""

import pytest

from offclip.text.llm import LocalLLMPrompter
from tests.text.chat_server import serving


@pytest.fixture
def server():
    with serving() as running:
        yield running


@pytest.fixture
def prompter(server, tmp_path):
    def make(**settings):
        settings = {"access": "credentialed", "cache": tmp_path / "cache", **settings}
        settings = {"endpoint": server.endpoint, "model": "tiny", "first_wait": 0.0, **settings}
        return LocalLLMPrompter(**settings)

    return make
