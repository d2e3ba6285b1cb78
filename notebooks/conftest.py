"""nbval waits five seconds for a cell's output by default; training cells take longer."""

SECONDS = 600


def pytest_collection_modifyitems(items):
    """Raise nbval's time limits of every notebook cell."""
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = SECONDS
