"""Shapes and types of the package are checked while tests run (and cost nothing elsewhere)."""

from jaxtyping import install_import_hook

install_import_hook("offclip", "beartype.beartype")
