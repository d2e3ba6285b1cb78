"""Names of what a folder of curated records holds."""

CURATED = "curated records"
"""Purpose of the folder, in its mark; see ``offclip.folders``."""
RECORDS, LEFT_OUT, COUNTS = "records.parquet", "left_out.parquet", "counts.json"
CLASSIFIER, TEXTS = "classifier.json", "texts.jsonl"
INVENTED = "REHEARSAL.txt"
"""A file at the root of a copy that ``offclip.rehearsal`` wrote; records of it have it as well."""
