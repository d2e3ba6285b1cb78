"""The explorer as HTML that needs no kernel, no network and no other file."""

import html
import json
from importlib.resources import files

MODULE = files("offclip.explorer").joinpath("explorer.js").read_text(encoding="utf-8")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>OFF-CLIP: the loss explorer</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>body {{ max-width: 760px; margin: 16px auto; padding: 0 8px; }}</style></head>
<body>{fragment}</body></html>
"""


def fragment(state: dict[str, list[bool] | str]) -> str:
    """An element with its state, and the module that fills it; several may stand on one page."""
    attribute = html.escape(json.dumps(state), quote=True)
    return (
        f'<div class="offclip-explorer" data-state="{attribute}"></div>\n'
        f'<script type="module">\n{MODULE}\nmountStatic();\n</script>'
    )


def page(state: dict[str, list[bool] | str]) -> str:
    """A whole page with one explorer; opens from ``file://``."""
    return PAGE.format(fragment=fragment(state))
