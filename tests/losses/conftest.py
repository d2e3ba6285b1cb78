import pytest
from jaxtyping import config


@pytest.fixture
def plain_calls():
    """Shapes are not checked by jaxtyping, as on a user's machine: our own messages are seen."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
