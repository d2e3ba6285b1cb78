"""What a finding and a box are, for the reader of annotations and for the drawing."""

from dataclasses import dataclass
from typing import Literal, get_args

Side = Literal["left", "right", "bilateral"]
Zone = Literal["apex", "upper", "middle", "lower", "base", "hilum"]
Severity = Literal["mild", "moderate", "severe"]


@dataclass(frozen=True)
class Finding:
    """One annotated finding; ``None`` means that the annotation does not say.

    Sides are the patient's. What is not said is drawn at random from the seed.

    Raises:
        ValueError: a side, zone or severity outside the allowed words.
    """

    name: str
    side: Side | None = None
    zone: Zone | None = None
    severity: Severity | None = None
    multiple: bool = False

    def __post_init__(self) -> None:
        for field, words in (("side", Side), ("zone", Zone), ("severity", Severity)):
            value = getattr(self, field)
            if value is not None and value not in get_args(words):
                raise ValueError(
                    f"Finding {field}: expected one of {get_args(words)} or None, got {value!r}; "
                    "use findings_from_mesh to read annotations"
                )


@dataclass(frozen=True)
class Box:
    """Box of one lesion in pixels of the image: edges, so x_max - x_min is the width."""

    label: str
    x_min: float
    y_min: float
    x_max: float
    y_max: float
