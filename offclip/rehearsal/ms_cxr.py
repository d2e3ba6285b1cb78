"""The layout of MS-CXR with the images of MIMIC-CXR-JPG that it names.

Quirks: several boxes and several phrases an image; boxes in pixels of pictures twice the files'
size; a split of the table's own.
"""

from pathlib import Path

from offclip.data.manifests import load_manifest
from offclip.rehearsal.cases import Case, draw_cases, pictures, save, save_table, shares
from offclip.rehearsal.mimic import dicom_id, ids, place_of

TIMES = 2
"""The table's pictures are so many times as large as the files."""


def write(root: Path, *, studies: int, seed: int, size: int) -> None:
    """Write images and the table; normal cases have nothing to show and are left out."""
    prompts = load_manifest("ms_cxr").prompts
    drawn = draw_cases(prompts, shares(2 * studies, validation=0.1, train=0.2, test=0.7), seed=seed)
    rows: list[dict[str, object]] = []
    for split, cases in drawn.items():
        shown = [case for case in cases if case.classes][: -(-len(cases) // 2)]
        for case, picture, boxes in pictures(shown, prompts, size=size):
            subject, study = ids(case, split)
            name = dicom_id(seed, study, 0)
            path = f"{place_of(subject, study)}/{name}.jpg"
            save(picture, root / path)
            for box in boxes:
                corner = (box.x_min, box.y_min)
                extent = (box.x_max - box.x_min, box.y_max - box.y_min)
                place = [round(TIMES * value) for value in (*corner, *extent)]
                rows.append(
                    {"dicom_id": name, "category_name": box.label}
                    | {"label_text": _phrase(case, prompts[box.label]), "path": path}
                    | dict(zip("xywh", place, strict=True))
                    | {"image_width": TIMES * picture.shape[1]}
                    | {"image_height": TIMES * picture.shape[0]}
                    | {"split": ("train", "val", "test")[case.number % 3]}
                )
    save_table(rows, root / "MS_CXR_Local_Alignment_v1.1.0.csv")


def _phrase(case: Case, phrase: str) -> str:
    return (f"There is {phrase}.", f"{phrase}, as before", f"new {phrase}")[case.number % 3]
