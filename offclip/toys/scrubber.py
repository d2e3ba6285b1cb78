"""A film of figures that the reader moves: HTML with embedded pictures and a native slider.

It needs no kernel, no network and no library: arrow keys move the slider, nothing moves by itself
until Play is pressed. Without scripts the first frame stands.
"""

import base64
import html
import io
from collections.abc import Callable, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

_SHOW = (
    "const f=this.closest('figure');"
    "f.querySelectorAll('img').forEach("
    "(m,i)=>{m.style.display=i===Number(this.value)?'block':'none'});"
    "f.querySelector('output').value=f.querySelectorAll('img')[this.value].dataset.name;"
)
_PLAY = (
    "const s=this.closest('figure').querySelector('input');"
    "const stop=()=>{clearInterval(this.timer);this.textContent='Play'};"
    "const go=n=>{s.value=n;s.dispatchEvent(new Event('input'))};"
    "if(this.textContent==='Pause'){stop();return}"
    "if(Number(s.value)>=Number(s.max)){go(0)}"
    "this.textContent='Pause';"
    "this.timer=setInterval(()=>{go(Number(s.value)+1);"
    "if(Number(s.value)>=Number(s.max)){stop()}},350)"
)


class Scrubber:
    """Pictures behind a slider; Jupyter and the built book show it as HTML.

    Args:
        pictures: PNG files as bytes, at least one.
        names: what the slider says at each picture, such as "step 40".
        message: the figure's message in bold, plain text.
        note: the rest of the caption, plain text.

    Raises:
        ValueError: no picture, or not one name for each.
    """

    def __init__(
        self, pictures: Sequence[bytes], names: Sequence[str], *, message: str, note: str
    ) -> None:
        if not pictures or len(pictures) != len(names):
            raise ValueError(
                f"pictures, names: expected at least one picture and a name for each, "
                f"got {len(pictures)} pictures and {len(names)} names"
            )
        self.pictures, self.names = list(pictures), list(names)
        self.message, self.note = message, note

    def __repr__(self) -> str:
        return f"Scrubber of {len(self.pictures)} pictures: {self.message}"

    def _repr_html_(self) -> str:
        message, note = html.escape(self.message), html.escape(self.note)
        images = "".join(
            f'<img src="data:image/png;base64,{base64.b64encode(picture).decode()}" '
            f'data-name="{html.escape(name)}" alt="{message} {html.escape(name)}" '
            f'style="display:{"none" if number else "block"};max-width:100%">'
            for number, (picture, name) in enumerate(zip(self.pictures, self.names, strict=True))
        )
        controls = (
            f'<button type="button" onclick="{html.escape(_PLAY)}">Play</button>'
            f'<input type="range" min="0" max="{len(self.pictures) - 1}" value="0" step="1" '
            f'aria-label="Frame" oninput="{html.escape(_SHOW)}" style="flex:1;max-width:28rem">'
            f'<output style="min-width:6em">{html.escape(self.names[0])}</output>'
        )
        return (
            f'<figure class="offclip-scrubber" style="margin:0">{images}'
            '<div style="display:flex;gap:.8em;align-items:center;padding:.4em 0">'
            f'{controls}</div><figcaption style="color:inherit"><strong>{message}</strong> {note}'
            "</figcaption></figure>"
        )


def scrubber(
    draw: Callable[[int], Figure], frames: Sequence[int], *, message: str, note: str
) -> Scrubber:
    """Draw each frame once and put the pictures behind a slider.

    Args:
        draw: from a frame number to its figure, which is closed after drawing.
        frames: frame numbers in order; each is named "step n".
        message: see :class:`Scrubber`.
        note: see :class:`Scrubber`.
    """
    pictures = []
    for frame in frames:
        figure, file = draw(frame), io.BytesIO()
        figure.savefig(file, format="png", dpi=80, facecolor="white")
        plt.close(figure)
        pictures.append(file.getvalue())
    return Scrubber(pictures, [f"step {frame}" for frame in frames], message=message, note=note)
