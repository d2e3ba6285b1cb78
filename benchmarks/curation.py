"""Curation at scale: images a second against a plain loop, workers, memory, and what it would take.

    python -m benchmarks.curation --record book/results/curation.csv
    python -m benchmarks.curation --memory --record book/results/curation_memory.csv

Pictures of the size that MIMIC-CXR and VinDr-CXR have (3,056 by 2,544 pixels, chests rendered by
the phantom with noise, so that they compress about as radiographs do) as 8-bit JPEG, as
uncompressed and JPEG 2000 DICOM, and as 16-bit PNG. On each kind of file, in turns:

- ``plain``: the loop of the published code, one file after the other: OpenCV or pydicom, the
  largest value as 255, the longer side to 256 by areas, zeros around (no tables, no checks);
- ``ours, 1 process``: the image cache, written part by part with checksums;
- ``ours, N processes``: the same spread by Dask; the start of the processes is not counted.

Both have the files in the machine's memory: what a disk or a network adds is not measured.

``--memory``: whole curations in MIMIC-CXR's layout with tiny pictures in a process of their own,
with ``--studies`` studies and with eight times as many.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks._notes import clean_commit
from offclip.data import cache
from offclip.data.archive import curate_archive
from offclip.data.cache import write_cache
from offclip.data.spread import Spread, cores, spread
from offclip.evaluation import Record, RunInfo, config_hash, write_evidence
from offclip.imaging.resize import published_square
from offclip.phantom import render_many
from offclip.rehearsal import rehearse
from offclip.training.watch import process_gib

HEIGHT, WIDTH = 3056, 2544
KINDS = ("JPEG", "DICOM, uncompressed", "DICOM, JPEG 2000", "PNG, 16 bits")
ARCHIVES = {"MIMIC-CXR": 377_110, "ten times MIMIC-CXR": 3_771_100}
STUDIES = {"MIMIC-CXR": 227_835, "ten times MIMIC-CXR": 2_278_350}
PROJECTED_CORES = 16


def make_files(folder: Path, kind: str, count: int) -> list[str]:
    """Write so many files of a kind; every one is another picture."""
    generator = np.random.default_rng(0)
    chests = render_many([()] * 4, [(0, k) for k in range(4)], size=256)
    names = []
    for number in range(count):
        small = chests[number % 4].image.astype(np.float32) * 16
        large = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        large += generator.normal(0, 24, large.shape).astype(np.float32)
        pixels = np.clip(large, 0, 4095).astype(np.uint16)
        ending = {"J": "jpg", "D": "dicom", "P": "png"}[kind[0]]
        names.append(f"{number:05d}.{ending}")
        path = folder / names[-1]
        if kind == "JPEG":
            cv2.imwrite(str(path), (pixels >> 4).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95])
        elif kind == "PNG, 16 bits":
            cv2.imwrite(str(path), pixels)
        else:
            write_dicom(path, pixels, compressed=kind.endswith("2000"))
    return names


def write_dicom(path: Path, pixels: np.ndarray, *, compressed: bool) -> None:
    """A chest film of 12 bits with a window."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, generate_uid

    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.SOPClassUID = film.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    film.SOPInstanceUID = film.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PixelRepresentation = 1, 0
    film.BitsAllocated, film.BitsStored, film.HighBit = 16, 12, 11
    film.PhotometricInterpretation = "MONOCHROME2"
    film.WindowCenter, film.WindowWidth = 2048, 4096
    film.PixelData = pixels.tobytes()
    if compressed:
        film.compress(JPEG2000Lossless, generate_instance_uid=False)
    film.save_as(path, enforce_file_format=True)


def plain_loop(root: Path, names: list[str]) -> np.ndarray:
    """What the published code does to a file, one after the other."""
    from pydicom import dcmread

    squares = []
    for name in names:
        if name.endswith(".dicom"):
            values = np.maximum(dcmread(root / name).pixel_array.astype(np.float32), 0)
            grey = (values / values.max() * 255).astype(np.uint8)
        elif name.endswith(".png"):
            values = cv2.imread(str(root / name), cv2.IMREAD_UNCHANGED).astype(np.float32)
            grey = (values / values.max() * 255).astype(np.uint8)
        else:
            grey = cv2.imread(str(root / name), cv2.IMREAD_GRAYSCALE)
        squares.append(published_square(grey))
    return np.stack(squares)


def rates(kind: str, count: int, rounds: int, workers: int, each: Spread) -> dict[str, list[float]]:
    """Images a second of every way, round by round."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "files"
        root.mkdir()
        names = make_files(root, kind, count)
        made = write_cache(Path(folder) / "first", root, names)
        near = np.abs(made.pictures.astype(int) - plain_loop(root, names).astype(int)).mean()
        if made.images["fault"].any() or near > 32:
            raise SystemExit(f"{kind}: ours and the plain loop differ by {near:.1f} grey levels")

        def ours(spread: Spread) -> None:
            write_cache(Path(folder) / "cache", root, names, spread=spread)

        ways: dict[str, Callable[[], object]] = {
            "plain": lambda: plain_loop(root, names),
            "ours, 1 process": lambda: ours(map),
            f"ours, {workers} processes": lambda: ours(each),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                start = time.perf_counter()
                way()
                found[name].append(count / (time.perf_counter() - start))
                shutil.rmtree(Path(folder) / "cache", ignore_errors=True)
    return found


def large_copy(root: Path, studies: int) -> None:
    """A copy of MIMIC-CXR's layout with so many studies: files are links to a few real ones."""
    few = rehearse("mimic_cxr", root / "few", studies=40, size=32)
    table = pd.read_csv(few / "mimic-cxr-2.0.0-metadata.csv.gz", dtype=str, keep_default_na=False)
    table = table[table["ViewPosition"].isin(["PA", "AP"])].drop_duplicates("study_id")
    marks = pd.read_csv(few / "mimic-cxr-2.0.0-chexpert.csv.gz", dtype=str, keep_default_na=False)
    marks = marks.set_index("study_id").loc[table["study_id"]]
    copy, rows, labels = root / "copy", [], []
    for number in range(studies):
        source = table.iloc[number % len(table)]
        subject, study = f"1{number % 10}{number // 2:06d}", f"{50_000_000 + number}"
        before = few / f"files/p{source.subject_id[:2]}/p{source.subject_id}/s{source.study_id}"
        place = copy / f"files/p{subject[:2]}/p{subject}/s{study}"
        name = f"{number:08x}-{source.dicom_id[9:]}"
        place.mkdir(parents=True)
        os.link(before / f"{source.dicom_id}.jpg", place / f"{name}.jpg")
        os.link(f"{before}.txt", f"{place}.txt")
        own = {"subject_id": subject, "study_id": study}
        rows.append({**source.to_dict(), **own, "dicom_id": name})
        labels.append({**marks.iloc[number % len(table)].to_dict(), **own})
    pd.DataFrame(rows).to_csv(copy / "mimic-cxr-2.0.0-metadata.csv.gz", index=False)
    pd.DataFrame(labels).to_csv(copy / "mimic-cxr-2.0.0-chexpert.csv.gz", index=False)


def memory(studies: int) -> float:
    """Largest memory in GiB of a process that curates so many studies."""
    with tempfile.TemporaryDirectory() as folder:
        large_copy(Path(folder), studies)
        command = [sys.executable, "-m", "benchmarks.curation", "--curate", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        found = json.loads(done.stdout)
        if found["kept"] + found["left_out"] != studies:
            raise SystemExit(f"{studies} studies: {found}")
    return float(found["gib"])


def curate_and_tell(folder: Path) -> None:
    """Curate the copy in a folder and print the largest memory of this process."""
    counts = curate_archive("mimic_cxr", folder / "copy", folder / "out").counts
    left_out = counts["listed"] - counts["kept"]
    print(json.dumps({"gib": process_gib(), "kept": counts["kept"], "left_out": left_out}))


def speed_records(
    kind: str, found: dict[str, list[float]], workers: int, count: int, config: str
) -> list[Record]:
    """Rates, ratios in the same round, and the time for whole archives."""

    def measured(variant: str, metric: str, detail: str, values: list[float], unit: str) -> Record:
        return _run(variant, config).record(
            "train", metric, detail, statistics.median(values), count, unit=unit,
            interval=(min(values), max(values)), method="smallest and largest of the rounds",
        )  # fmt: skip

    plain, one, many = found.values()
    records = [
        measured(name, "curation_images_per_second", kind, each, "images/s")
        for name, each in found.items()
    ]
    for metric, above, below, name in (
        ("curation_over_plain", one, plain, f"{kind}: one process over the plain loop"),
        ("curation_scaling", many, one, f"{kind}: {workers} processes over one"),
    ):
        ratios = [a / b for a, b in zip(above, below, strict=True)]
        records.append(measured("curation", metric, name, ratios, ""))
    efficiency = min(1.0, records[-1].value / workers)
    for name, images in ARCHIVES.items():
        hours = images / (statistics.median(one) * PROJECTED_CORES * efficiency) / 3600
        detail = f"{name} as {kind}: {images:,} images, {PROJECTED_CORES} cores"
        run = _run("curation", config)
        records.append(
            run.record("train", "curation_hours_projected", detail, hours, images, unit="h")
        )
    return records


def memory_records(few: int, config: str) -> list[Record]:
    """Memory at two sizes, and what a study adds to it."""
    found = {studies: memory(studies) for studies in (few, 8 * few)}
    slope = (found[8 * few] - found[few]) / (7 * few)
    rows = [("curation_memory", f"{n:,} studies", gib, n, "GiB") for n, gib in found.items()]
    what = "tables of a study in memory"
    rows.append(("curation_memory_a_study", what, slope * 2**20, 8 * few, "KiB"))
    for name, studies in STUDIES.items():
        value = found[8 * few] + slope * (studies - 8 * few)
        detail = f"{name}: {studies:,} studies"
        rows.append(("curation_memory_projected", detail, value, studies, "GiB"))
    return [
        _run("curation", config).record("train", metric, detail, value, n, unit=unit)
        for metric, detail, value, n, unit in rows
    ]


def _run(variant: str, config: str) -> RunInfo:
    return RunInfo(dataset="generated", variant=variant, seed=0, config=config)


def speed_of_all(files: int, rounds: int, workers: int, config: str) -> list[Record]:
    """Every kind of file; those that take seconds each are fewer."""
    records = []
    with spread(workers) as each:
        for kind in KINDS:
            slow = 8 if kind.endswith("2000") else 1
            count = max(files // slow, 4 * workers)
            cache.PART = -(-count // (2 * workers))  # two for each: less than in earnest
            found = rates(kind, count, rounds, workers, each)
            records += speed_records(kind, found, workers, count, config)
    return records


def main() -> None:
    """Measure and print; with ``--record`` write evidence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=96)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--curate", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.curate:
        return curate_and_tell(options.curate)
    commit, start = clean_commit() if options.record else "", time.perf_counter()
    config = config_hash({"height": HEIGHT, "width": WIDTH})
    if options.memory:
        records = memory_records(options.studies, config)
    else:
        records = speed_of_all(options.files, options.rounds, options.workers, config)
    minutes = (time.perf_counter() - start) / 60
    records = [replace(record, commit=commit, minutes=minutes) for record in records]
    for record in records:
        low, high = record.interval or (record.value, record.value)
        print(f"{record.metric:28} {record.variant:18} {record.value:9.2f} {record.unit:9} "
              f"[{low:.2f}, {high:.2f}]  {record.detail}")  # fmt: skip
    if options.record:
        print(f"wrote {write_evidence(options.record, records)}")
    return None


if __name__ == "__main__":
    main()
