"""Data: manifests, fetching, readers, records, splits, curation and batches."""

from offclip.data.curate import Curation, curate
from offclip.data.fetch import SourceUnreachable, fetch
from offclip.data.manifests import Manifest, load_manifest
from offclip.data.openi import Report, ReportSet, read_reports
from offclip.data.records import (
    drawn_of,
    findings_of,
    read_records,
    validate_records,
    write_record_parts,
    write_records,
)
from offclip.data.splits import grouped_split

__all__ = [
    "Curation",
    "Manifest",
    "Report",
    "ReportSet",
    "SourceUnreachable",
    "curate",
    "drawn_of",
    "fetch",
    "findings_of",
    "grouped_split",
    "load_manifest",
    "read_records",
    "read_reports",
    "validate_records",
    "write_record_parts",
    "write_records",
]
