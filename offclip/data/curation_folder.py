"""What a folder of curated records holds, and what was counted on the way to it."""

from collections.abc import Iterable, Iterator

import pandas as pd

CURATED = "curated records"
"""Purpose of the folder, in its mark; see ``offclip.folders``."""
RECORDS, LEFT_OUT, COUNTS = "records.parquet", "left_out.parquet", "counts.json"
CLASSIFIER, TEXTS = "classifier.json", "texts"
INVENTED = "REHEARSAL.txt"
"""A file at the root of a copy that ``offclip.rehearsal`` wrote; records of it have it as well."""
_COUNTED = ("images", "normal", "abnormal", "prompts")


class Tally:
    """Parts of records on their way, and what was counted of them."""

    def __init__(self, parts: Iterable[pd.DataFrame]):
        self.parts = parts
        self.splits: dict[str, dict[str, int]] = {}

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for part in self.parts:
            for split, own in part.groupby("split"):
                counts = self.splits.setdefault(str(split), dict.fromkeys(_COUNTED, 0))
                normal = int(own["is_normal"].sum())
                prompts = int(own["prompts"].map(len).sum())
                new = (len(own), normal, len(own) - normal, prompts)
                for name, count in zip(_COUNTED, new, strict=True):
                    counts[name] += count
            if len(part):
                yield part
