"""Damaged label files: rows that keep the contract, or an error that names the file.

OFFCLIP_FUZZ_CASES raises the number of cases of each set.
"""

import gzip
import os
import zlib

import numpy as np
import pytest

from offclip.data.readers import READERS
from offclip.data.tables import read_table
from tests.copies import copied_labels
from tests.data.label_files import label_file
from tests.data.readers.contract import check_contract
from tests.data.readers.mutate import mutated

CASES = int(os.environ.get("OFFCLIP_FUZZ_CASES", "30"))
LABELS = (".csv", ".gz", ".json", ".xml", "list.txt")
PADCHEST = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """Folders of the first lines of real label files."""

    def head(name, folder, called):
        path = label_file(name, folder, called="whole.gz")
        with gzip.open(path, "rt", encoding="utf-8") as file:
            text = "".join(file.readline() for _ in range(120))
        (folder / called).write_text(text, encoding="utf-8")
        path.unlink()
        return folder

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        if name == "padchest":
            return head(PADCHEST, folder, PADCHEST.removesuffix(".gz"))
        if name == "chexpert":
            return head("chexpert_train.csv.gz", folder, "train.csv")
        head("BBox_List_2017.csv.gz", folder, "BBox_List_2017.csv")
        head("Data_Entry_2017_v2020.csv.gz", folder, "Data_Entry_2017.csv")
        names = read_table(folder / "Data_Entry_2017.csv", ("Image Index",))["Image Index"]
        (folder / "train_val_list.txt").write_text("\n".join(names[:60]))
        (folder / "test_list.txt").write_text("\n".join(names[60:]))
        return folder

    return make


def fuzz(name, root, cases):
    """How many damaged copies were read and how many refused."""
    files = [path for path in sorted(root.rglob("*")) if path.name.endswith(LABELS)]
    whole = {path: path.read_bytes() for path in files}
    read = 0
    for case in range(cases):
        rng = np.random.default_rng((zlib.crc32(name.encode()), case))
        path = files[rng.integers(len(files))]
        data, how = mutated(whole[path], path.suffix == ".gz", rng)
        path.write_bytes(data)
        try:
            rows, counts = READERS[name](root)
            check_contract(name, rows, counts)
            read += 1
        except (ValueError, FileNotFoundError) as error:
            said = str(error)
            assert path.name in said or str(root) in said, (case, how, path.name, said)
            assert len(said) < 2000, (case, how, path.name, said[:300])
        except Exception as error:
            raise AssertionError(f"case {case}, {how}, {path.name}: {error!r}") from error
        finally:
            path.write_bytes(whole[path])
    return read, cases - read


@pytest.mark.parametrize("name", READERS)
def test_a_damaged_copy_is_read_or_refused_by_name(name, tmp_path):
    root = copied_labels(name, tmp_path)
    rows, counts = READERS[name](root)
    check_contract(name, rows, counts)
    read, refused = fuzz(name, root, CASES)
    assert read and (refused or CASES < 30)


@pytest.mark.parametrize("name", ["padchest", "chexpert", "nih_chestxray14"])
def test_damaged_real_labels_are_read_or_refused_by_name(name, real):
    root = real(name)
    check_contract(name, *READERS[name](root))
    read, refused = fuzz(name, root, CASES)
    assert read and refused
