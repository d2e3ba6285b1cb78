"""Records: one row a study image, one schema for every dataset, stored as Parquet.

``width``, ``height`` and ``boxes`` are in pixels of the image as ``read_radiograph`` reads it,
upright. pandera and pyarrow are imported where they are used.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from offclip.data.manifests import ACCESS
from offclip.data.splits import SPLITS
from offclip.files import atomic_path
from offclip.phantom import Finding

if TYPE_CHECKING:
    import pandera.pandas as pa
    import pyarrow

COLUMNS = (
    "dataset", "study_id", "patient_id", "split", "image", "view", "sentences", "prompts",
    "prompt_abnormal", "is_normal", "labels", "boxes", "width", "height", "access",
)  # fmt: skip
RENDERED_COLUMNS = ("drawn", "not_drawn")
_UNIQUE = ("dataset", "study_id", "image")
_BOX = {"label": str, "x_min": float, "y_min": float, "x_max": float, "y_max": float}


def validate_records(records: pd.DataFrame) -> pd.DataFrame:
    """Return the records unchanged if they keep the schema.

    Raises:
        ValueError: a column is missing or unknown, a value outside its domain, lists of a row that
            do not fit each other, or a study in two splits; names the column and the first rows.
    """
    import pandera.errors

    try:
        _schema("drawn" in records.columns or "not_drawn" in records.columns).validate(
            records, lazy=True
        )
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases[["column", "check", "failure_case"]]
        rows = cases.head(5).to_numpy(dtype=object)
        shown = "; ".join(" / ".join(map(str, row))[:160] for row in rows)
        raise ValueError(
            f"records: expected the schema of one row a study image, got {len(cases)} faults "
            f"(column / check / value): {shown}; repair the reader that made them"
        ) from error
    return records


def write_records(records: pd.DataFrame, path: str | Path) -> Path:
    """Check the records and write them as Parquet, atomically; return the path."""
    return write_record_parts([records], path)


def write_record_parts(parts: Iterable[pd.DataFrame], path: str | Path) -> Path:
    """Check records part by part and write them as one Parquet file, atomically.

    No more than one part is in memory, beside the names of all studies.

    Raises:
        ValueError: as :func:`validate_records`, of a part or of all of them together; or no part.
    """
    import pyarrow
    import pyarrow.parquet

    names: list[pd.DataFrame] = []
    with atomic_path(path) as temporary, ExitStack() as stack:
        for part in parts:
            validate_records(part)
            schema = _arrow_schema("drawn" in part.columns)
            if not names:
                writer = stack.enter_context(pyarrow.parquet.ParquetWriter(temporary, schema))
            plain = part.assign(labels=[list(labels.items()) for labels in part["labels"]])
            writer.write_table(pyarrow.Table.from_pandas(plain, schema, preserve_index=False))
            names.append(part[[*_UNIQUE, "patient_id", "split"]])
        if not names:
            raise ValueError(f"{path}: expected at least one part of records, got none")
        _check_together(pd.concat(names))
    return Path(path)


def _check_together(names: pd.DataFrame) -> None:
    """What no part can tell alone."""
    repeated = names.duplicated(list(_UNIQUE))
    apart = ~_patients_apart(names)
    for fault, rows in {"it occurs twice": repeated, "a patient in two splits": apart}.items():
        if rows.any():
            first = names[rows].iloc[0].to_dict()
            raise ValueError(
                f"records: {fault}: {first} ({int(rows.sum())} such rows); repair the reader that "
                "made them"
            )


def read_records(path: str | Path) -> pd.DataFrame:
    """Read and check records; lists are Python lists, labels and boxes are dicts.

    Raises:
        ValueError: the file is missing, damaged or does not keep the schema; the message names it.
    """
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        columns: dict[str, list[Any]] = table.to_pydict()
    except (OSError, pyarrow.ArrowException) as error:
        raise ValueError(
            f"{path}: expected records in Parquet, got a missing or damaged file ({error}); "
            "delete it and curate again"
        ) from error
    if "labels" in columns:
        columns["labels"] = [dict(labels) for labels in columns["labels"]]
    try:
        return validate_records(pd.DataFrame(columns))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def drawn_of(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return findings as plain dicts, the form of the column ``drawn``."""
    return [asdict(finding) for finding in findings]


def findings_of(drawn: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    """Return exactly the findings that ``drawn_of`` wrote."""
    return tuple(Finding(**each) for each in drawn)


def _schema(rendered: bool) -> "pa.DataFrameSchema":
    import pandera.pandas as pa

    def each(check: Any, name: str) -> pa.Check:
        return pa.Check(check, element_wise=True, error=name)

    text = pa.Column(str, nullable=False)
    named = pa.Column(str, pa.Check.str_length(min_value=1), nullable=False)
    strings = pa.Column(object, each(_is_strings, "list of non-empty strings"))
    columns = {
        "dataset": named,
        "study_id": named,
        "patient_id": named,
        "split": pa.Column(str, pa.Check.isin(SPLITS)),
        "image": text,
        "view": text,
        "sentences": strings,
        "prompts": strings,
        "prompt_abnormal": pa.Column(object, each(_is_probabilities, "probabilities in [0, 1]")),
        "is_normal": pa.Column(bool),
        "labels": pa.Column(object, each(_is_labels, "map of name to 1, 0 or null")),
        "boxes": pa.Column(object, each(_is_boxes, "list of boxes")),
        "width": pa.Column(int, pa.Check.ge(0)),
        "height": pa.Column(int, pa.Check.ge(0)),
        "access": pa.Column(str, pa.Check.isin(ACCESS)),
    }
    if rendered:
        columns["drawn"] = pa.Column(object, each(_is_drawn, "list of findings"))
        columns["not_drawn"] = pa.Column(object, each(_is_strings, "list of non-empty strings"))
    whole = [
        pa.Check(_lengths_agree, error="prompt_abnormal has one value a prompt"),
        pa.Check(_patients_apart, error="a patient in two splits"),
    ]
    return pa.DataFrameSchema(columns, checks=whole, strict=True, unique=list(_UNIQUE))


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)


def _is_probabilities(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, float) and 0 <= each <= 1 for each in value
    )


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str) and (label is None or label in (0, 1))
        for name, label in value.items()
    )


def _is_boxes(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(box, dict)
        and {name: type(each) for name, each in box.items()} == _BOX
        and np.isfinite([box[name] for name in list(_BOX)[1:]]).all()
        and box["x_min"] <= box["x_max"]
        and box["y_min"] <= box["y_max"]
        for box in value
    )


def _is_drawn(value: Any) -> bool:
    try:
        return isinstance(value, list) and len(findings_of(value)) == len(value)
    except (TypeError, ValueError):
        return False


def _lengths_agree(records: pd.DataFrame) -> pd.Series:
    if not {"prompts", "prompt_abnormal"} <= set(records.columns):
        return pd.Series(True, index=records.index)
    return records["prompts"].map(_length) == records["prompt_abnormal"].map(_length)


def _patients_apart(records: pd.DataFrame) -> pd.Series:
    if not {"dataset", "patient_id", "split"} <= set(records.columns):
        return pd.Series(True, index=records.index)
    return records.groupby(["dataset", "patient_id"])["split"].transform("nunique") <= 1


def _length(value: Sequence[Any]) -> int:
    return len(value) if isinstance(value, list) else -1


def _arrow_schema(rendered: bool) -> "pyarrow.Schema":
    import pyarrow as arrow

    strings = arrow.list_(arrow.string())
    box = arrow.struct([(n, arrow.string() if n == "label" else arrow.float64()) for n in _BOX])
    types = {
        "sentences": strings,
        "prompts": strings,
        "prompt_abnormal": arrow.list_(arrow.float64()),
        "is_normal": arrow.bool_(),
        "labels": arrow.map_(arrow.string(), arrow.int8()),
        "boxes": arrow.list_(box),
        "width": arrow.int64(),
        "height": arrow.int64(),
        "drawn": arrow.list_(
            arrow.struct(
                [(n, arrow.string()) for n in ("name", "side", "zone", "severity")]
                + [("multiple", arrow.bool_())]
            )
        ),
        "not_drawn": strings,
    }
    names = COLUMNS + (RENDERED_COLUMNS if rendered else ())
    return arrow.schema([(name, types.get(name, arrow.string())) for name in names])
