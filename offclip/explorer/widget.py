"""The anywidget that shows the explorer in Jupyter."""

from collections.abc import Sequence
from pathlib import Path

import anywidget
import traitlets

from offclip.explorer.page import MODULE, fragment, page
from offclip.files import write_text

LOSSES = ("infonce", "offdiag_bce", "offdiag_soft", "offclip", "siglip")
SMALLEST, LARGEST = 2, 8


class LossExplorer(anywidget.AnyWidget):
    """Scores, targets, gradients and terms of a contrastive loss over one small batch.

    Live in Jupyter, where ``is_normal`` and ``loss`` follow what is chosen on the screen and can be
    set. Its HTML form carries the same module, so it works alike in a built page.

    >>> LossExplorer(is_normal=[True, True, False], loss="infonce")  # doctest: +SKIP
    """

    _esm = MODULE
    is_normal = traitlets.List(traitlets.Bool(), minlen=SMALLEST, maxlen=LARGEST).tag(sync=True)
    loss = traitlets.Enum(LOSSES).tag(sync=True)

    def __init__(
        self,
        is_normal: Sequence[bool] = (True, True, True, False, False, False),
        loss: str = "offclip",
    ) -> None:
        """Start with a batch and a loss.

        Args:
            is_normal: one flag for each of 2 to 8 studies; the abnormal ones get a finding each.
            loss: ``"infonce"``, ``"offdiag_bce"`` or ``"offdiag_soft"`` (the off-diagonal loss in
                its two forms), ``"offclip"`` or ``"siglip"`` (sigmoid, identity targets).

        Raises:
            ValueError: flags that are not 2 to 8 booleans, or a loss that is none of these.
        """
        super().__init__(is_normal=checked_flags(is_normal), loss=checked_loss(loss))

    def _repr_mimebundle_(self, **kwargs: dict) -> tuple[dict, dict] | None:
        """The live widget, and beside it the HTML that pages without a kernel show."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is not None:
            bundle[0]["text/html"] = fragment(self._state())
        return bundle

    def __repr__(self) -> str:
        """The call that makes it: the same on every run, as stored outputs have to be."""
        return f"LossExplorer(is_normal={list(self.is_normal)}, loss={self.loss!r})"

    def save_html(self, path: str | Path) -> Path:
        """Write the explorer as one page that opens without a network; return the path."""
        return write_text(path, page(self._state()))

    def _state(self) -> dict[str, list[bool] | str]:
        return {"is_normal": list(self.is_normal), "loss": self.loss}


def checked_flags(is_normal: object) -> list[bool]:
    """The flags as a list, or a ValueError that says what is wrong with them."""
    if not isinstance(is_normal, (list, tuple)) or not all(type(f) is bool for f in is_normal):
        raise ValueError(
            f"is_normal: expected a list of True and False, one for each study, got {is_normal!r}; "
            "turn an array or tensor into one with .tolist()"
        )
    if not SMALLEST <= len(is_normal) <= LARGEST:
        raise ValueError(
            f"is_normal: expected {SMALLEST} to {LARGEST} studies, got {len(is_normal)}; "
            "the matrices are meant to be read cell by cell"
        )
    return list(is_normal)


def checked_loss(loss: object) -> str:
    """The name of a loss, or a ValueError that lists the names."""
    if loss not in LOSSES:
        raise ValueError(f"loss: expected one of {', '.join(LOSSES)}, got {loss!r}")
    return str(loss)
